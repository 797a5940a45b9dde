"""What differs between the pydicom of Slicer 5.10 (2.4) and of 5.12 (3): writing a file, and undoing encapsulation."""

import itertools
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom import encaps
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset

NEW = int(pydicom.__version__.split(".")[0]) >= 3
BINARY_NUMBERS = ("AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV")
_ITEM_HEADER_BYTES = 8  # tag and length, before the values of an item (PS3.5 A.4)


def save(dataset: FileDataset, target: Path | BinaryIO) -> None:
    """Write a DICOM file, with preamble and file meta information, in the transfer syntax that the latter names.

    Numbers that could not be read, their bytes being too many or too few, go out as those bytes.
    """
    _keep_bytes(dataset)
    syntax = dataset.file_meta.TransferSyntaxUID
    if NEW:
        implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
        pydicom.dcmwrite(target, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
        return
    dataset.is_implicit_VR, dataset.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    dataset.save_as(target, write_like_original=False)


def _keep_bytes(dataset: Dataset) -> None:
    """Declare what is no number unknown (UN): pydicom would refuse to write it as one."""
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)  # as it stands: reading every coordinate of a contour would take long
        if isinstance(element, RawDataElement):
            continue
        if element.VR == "SQ":
            for item in element.value:
                _keep_bytes(item)
        elif element.VR in BINARY_NUMBERS and isinstance(element.value, bytes):
            element.VR = "UN"


def decoded_frames(dataset: FileDataset, numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """Values (y, x) of the frames of these numbers, from 0, as numpy alone decodes them: stored ones."""
    if NEW:
        from pydicom.pixels import iter_pixels

        yield from iter_pixels(dataset, indices=list(numbers), raw=True)
        return
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    for number in numbers:
        yield frames[number]


def encapsulated_frame(dataset: FileDataset, number: int, count: int) -> bytes:
    """The compressed frame of a number, from 0, of `count` in the file (PS3.5 A.4).

    Raises ValueError, among others, for damaged ones: see `damage.making_sense`.
    """
    offsets = None
    if "ExtendedOffsetTable" in dataset:
        offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    if NEW:
        return encaps.get_frame(dataset.PixelData, number, number_of_frames=count, extended_offsets=offsets)
    if offsets is None:
        frames = encaps.generate_pixel_data_frame(dataset.PixelData, count)
        frame = next(itertools.islice(frames, number, None), None)
        if frame is None:
            raise ValueError(f"frame {number + 1} of {count} is missing")
        return frame
    start, length = (struct.unpack_from("<Q", table, 8 * number)[0] for table in offsets)
    # counted from the first item behind the basic offset table, which is empty beside an extended one
    start += 2 * _ITEM_HEADER_BYTES
    frame = dataset.PixelData[start : start + length]
    if len(frame) < length:
        raise ValueError(f"frame {number + 1} of {count} is cut off")
    return frame
