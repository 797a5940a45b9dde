"""Stored values of CT images out of their files: plain, or compressed as pydicom or SimpleITK decode it."""

import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import SimpleITK
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from .. import host
from ..errors import InputError, OutputError
from .codestream import Declared, declared
from .damage import DamagedDicomError, making_sense
from .image_header import CT_IMAGE, ImageHeader, frame_count
from .pydicom_versions import decoded_frames, encapsulated_frame, save
from .reading import NotDicomError, open_dataset

NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2",
          "1.2.840.10008.1.2.5")  # fmt: skip
"""Implicit, explicit, deflated, big endian, RLE: pydicom decodes them with numpy alone. SimpleITK decodes the rest."""
LARGEST_SIZE = 1 << 26
"""Compressed values that claim to be more pixels than this are damaged: no CT image is so large."""


def stored_values(images: Sequence[ImageHeader]) -> Iterator[np.ndarray]:
    """(y, x) values of images of one file, as stored, before rescaling.

    Raises InputError naming the image that cannot be decoded, and OutputError where there is no room to unpack it.
    """
    if images[0].pixel_offset is not None:
        decoded = map(_plain, images)
    elif images[0].transfer_syntax in NATIVE:
        decoded = _by_pydicom(images)
    else:
        decoded = _by_simpleitk(images)
    for image in images:
        try:
            if image.pixel_offset is None and image.rows * image.columns > LARGEST_SIZE:
                raise ValueError("too large")
            with making_sense():
                stored = _values(image, next(decoded).reshape(image.rows, image.columns))
        except OSError as fault:
            raise (_no_room(fault) if _was_unpacking(fault) else _undecodable(image)) from fault
        except (NotDicomError, DamagedDicomError, ValueError) as fault:
            raise _undecodable(image) from fault
        yield stored


def _undecodable(image: ImageHeader) -> InputError:
    syntax = UID(image.transfer_syntax)
    known = syntax.name if syntax.is_valid else "unknown transfer syntax"
    return InputError(
        f"The pixels of {image.name} cannot be read ({known}): the file is cut off, damaged, or compressed in a way "
        "that is not supported. Copy it from the archive again, uncompressed.",
        [str(image.path)],
    )


def _values(image: ImageHeader, stored: np.ndarray) -> np.ndarray:
    """What the stored bits say. Bits above and below them are no part of a value (PS3.5 8.1.1).

    Old scanners kept overlays there. A padding value may need them all the same.
    """
    if image.bits_allocated != 16:
        return stored
    spare = 16 - image.bits_stored
    # a codestream has no bits below; they were allowed until 2014
    below = max(image.high_bit + 1 - image.bits_stored, 0) if image.transfer_syntax in NATIVE else 0
    if not 0 <= spare < 16 or below > spare:
        raise ValueError("impossible number of stored bits")
    if spare == 0:
        return stored
    stored = stored.astype(np.int16 if image.signed else np.uint16, copy=False)
    return np.where(stored == image.padding, stored, stored >> below << spare >> spare)


def _plain(image: ImageHeader) -> np.ndarray:
    count = image.rows * image.columns
    return np.fromfile(image.path, "<i2" if image.signed else "<u2", count, offset=image.pixel_offset)


def _by_pydicom(images: Sequence[ImageHeader]) -> Iterator[np.ndarray]:
    dataset = open_dataset(images[0].path, pixels=True)
    yield from decoded_frames(dataset, [(image.frame or 1) - 1 for image in images])


def _by_simpleitk(images: Sequence[ImageHeader]) -> Iterator[np.ndarray]:
    """Each image as a file of its own without the rest of the header.

    Left to itself, SimpleITK rescales, puts frames in the file's order, and believes any size that a codestream says.
    """
    dataset = open_dataset(images[0].path, pixels=True)
    with tempfile.TemporaryDirectory() as folder:
        for image in images:
            frame = encapsulated_frame(dataset, (image.frame or 1) - 1, frame_count(dataset))
            if declared(frame) != Declared(image.rows, image.columns, components=1):
                raise ValueError("the codestream is of another size")
            path = Path(folder, "frame.dcm")
            content = io.BytesIO()  # pydicom writes into memory, so that a failing disk shows as what it is
            save(_one_frame(dataset, frame), content)
            path.write_bytes(content.getbuffer())
            reader = SimpleITK.ImageFileReader()
            reader.SetImageIO("GDCMImageIO")
            reader.SetFileName(host.path_for_libraries(path))
            yield SimpleITK.GetArrayFromImage(reader.Execute())


def _was_unpacking(fault: OSError) -> bool:
    """Whether it was a temporary file that could not be written: reading does not fill a disk."""
    place = Path(tempfile.gettempdir()).absolute()
    return host.is_disk_full(fault) or place in Path(fault.filename or "").absolute().parents


def _no_room(fault: OSError) -> OutputError:
    place = tempfile.gettempdir()
    return OutputError(
        f"The CT is compressed, and the folder {place}, where it is unpacked image by image, takes no file: "
        f"{fault.strerror or fault}. Make room there.",
        [place],
    )


def _one_frame(dataset: FileDataset, frame: bytes) -> FileDataset:
    """A file of one compressed frame without rescaling, and without anything about the patient."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CT_IMAGE, "1.2.3"
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    single = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    single.SOPClassUID, single.SOPInstanceUID = CT_IMAGE, "1.2.3"
    for keyword in ("SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
                    "PixelRepresentation"):  # fmt: skip
        single[keyword] = dataset[keyword]
    single.PhotometricInterpretation = "MONOCHROME2"  # of MONOCHROME1, which is how values are shown, GDCM turns them
    single.PixelData = encapsulate([frame])
    single["PixelData"].VR = "OB"
    single["PixelData"].is_undefined_length = True
    return single
