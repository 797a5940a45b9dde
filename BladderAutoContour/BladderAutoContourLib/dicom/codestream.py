"""What a compressed image says about its own size, read before a decoder is let loose on it.

A damaged size makes decoders ask for gigabytes. Sources: ITU-T T.81 B.2.2 (JPEG), T.87 C.2 (JPEG-LS), T.800 A.5.1
(JPEG 2000).
"""

from dataclasses import dataclass

JPEG_BEGIN, JPEG_2000_BEGIN = b"\xff\xd8", b"\xff\x4f\xff\x51"
FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""Markers of a JPEG frame header: SOF0 to SOF15 without the tables among them, and SOF55 of JPEG-LS."""
LOSSLESS_FRAMES, LOSSY_BITS = (0xC3, 0xC7, 0xCB, 0xCF, 0xF7), (8, 12)
"""Frames without a cosine transform, and the bits a value may have in one with it (T.81 table B.2)."""
MOST_TILES = 4096


@dataclass(frozen=True)
class Declared:
    """Rows, columns and components of an image, as its codestream says."""

    rows: int
    columns: int
    components: int


def declared(codestream: bytes) -> Declared:
    """The size in the header of a JPEG, JPEG-LS or JPEG 2000 codestream. Raises ValueError where there is none."""
    if codestream.startswith(JPEG_2000_BEGIN):
        return _jpeg_2000(codestream)
    if not codestream.startswith(JPEG_BEGIN):
        raise ValueError("no codestream of the JPEG family")
    at = len(JPEG_BEGIN)
    while at + 10 <= len(codestream):
        if codestream[at] != 0xFF:
            raise ValueError("a marker is missing")
        if codestream[at + 1] == 0xFF:
            at += 1  # fill byte
            continue
        if codestream[at + 1] in FRAME_HEADERS:
            if codestream[at + 1] not in LOSSLESS_FRAMES and codestream[at + 4] not in LOSSY_BITS:
                # GDCM writes such images of CT, and reads others out of them.
                raise ValueError("a number of bits that lossy JPEG does not have")
            number = [int.from_bytes(codestream[at + one : at + one + 2], "big") for one in (5, 7)]
            return Declared(*number, components=codestream[at + 9])
        at += 2 + int.from_bytes(codestream[at + 2 : at + 4], "big")
    raise ValueError("no frame header")


def _jpeg_2000(codestream: bytes) -> Declared:
    numbers = [int.from_bytes(codestream[at : at + 4], "big") for at in range(8, 40, 4)]
    width, height, left, top, tile_width, tile_height, tile_left, tile_top = numbers
    if min(tile_width, tile_height) < 1:
        raise ValueError("tiles without size")
    if -(-(width - tile_left) // tile_width) * -(-(height - tile_top) // tile_height) > MOST_TILES:
        raise ValueError("more tiles than any image has")
    return Declared(height - top, width - left, int.from_bytes(codestream[40:42], "big"))
