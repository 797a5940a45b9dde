"""The frames of an enhanced (multi-frame) CT, each as an image of its own.

PS3.3 A.38 (Enhanced CT, Legacy Converted Enhanced CT), C.7.6.16 (functional groups). The order of the frames says
nothing about where they lie: every frame has its own plane position.
"""

from pathlib import Path
from typing import BinaryIO

import pydicom

from .image_header import (
    FRAME_GROUPS,
    Described,
    ImageHeader,
    Skipped,
    frame_count,
    image_header,
    pixel_offset,
    texts,
)

NO_GROUPS = Skipped("damaged", "warning", "enhanced CT that does not describe each of its frames")


def multi_frame(path: Path, dataset: pydicom.FileDataset, stream: BinaryIO) -> list[ImageHeader] | Skipped:
    """The frames of an enhanced CT file in the file's order, `stream` standing at its pixels.

    Frame attributes come from the frame's own functional groups, or else from the shared ones. A file with other
    than one item a frame is skipped: which item belongs to which frame would be a guess.
    """
    frames = frame_count(dataset)
    shared_items, own_items = (dataset.get(keyword) or [] for keyword in FRAME_GROUPS)
    if len(own_items) != frames or len(shared_items) > 1:
        return NO_GROUPS
    offset = pixel_offset(dataset, stream, frames)
    if isinstance(offset, Skipped):
        return offset
    shared = shared_items[0] if shared_items else pydicom.Dataset()
    frame_bytes = 2 * int(dataset.Rows) * int(dataset.Columns)
    return [
        image_header(
            path,
            dataset,
            _described(dataset, own, shared),
            None if offset is None else offset + place * frame_bytes,
            frame=place + 1,
        )
        for place, own in enumerate(own_items)
    ]


def _described(dataset: pydicom.Dataset, own: pydicom.Dataset, shared: pydicom.Dataset) -> Described:
    def group(sequence: str) -> pydicom.Dataset:
        items = own.get(sequence) or shared.get(sequence) or []
        return items[0] if items else pydicom.Dataset()

    return Described(
        position=group("PlanePositionSequence"),
        orientation=group("PlaneOrientationSequence"),
        measures=group("PixelMeasuresSequence"),
        rescale=group("PixelValueTransformationSequence"),
        acquisition=group("CTAcquisitionDetailsSequence"),
        image_type=texts(group("CTImageFrameTypeSequence"), "FrameType") or texts(dataset, "ImageType"),
    )
