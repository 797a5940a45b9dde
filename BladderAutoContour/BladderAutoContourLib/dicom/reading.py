"""The one door through which pydicom opens a file.

Values out of the standard's bounds are common in real files: pydicom is told to hand them over without a complaint (its
warnings quote the value, which may be the patient's name), and the rooms behind judge what they need.
"""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom import config
from pydicom.datadict import tag_for_keyword

from ..errors import InputError
from .damage import DamagedDicomError, making_sense

config.settings.reading_validation_mode = config.IGNORE
config.settings.writing_validation_mode = config.IGNORE
config.convert_wrong_length_to_UN = True
"""A value that its kind does not allow stays as bytes: private elements hold texts where pydicom knows numbers."""
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module=r"pydicom\b")

PREAMBLE_BYTES = 132
LAST_FIRST_ELEMENT = 0x0018
"""A data set has its class and its instance identifier, (0008,0016) and (0008,0018): no other begins it later."""


class NotDicomError(Exception):
    """The file does not begin as a DICOM file does."""


def begins_as_dicom(head: bytes) -> bool:
    """Whether the first bytes are a DICOM preamble (PS3.10 7.1), or a data set without one (group 0002 or 0008)."""
    if head[128:132] == b"DICM":
        return True
    first = int.from_bytes(head[2:4], "little")
    return len(head) >= 8 and ((head[:2] == b"\x08\x00" and first <= LAST_FIRST_ELEMENT) or head[:4] == b"\2\0\0\0")


def header_texts(path: Path, *keywords: str) -> tuple[str, ...]:
    """Attributes of a file as texts, stripped; "" where one is absent, or where the file is no DICOM or damaged.

    Raises InputError where the file cannot be read at all.
    """
    try:
        dataset = open_dataset(path, only=keywords)
        with making_sense():
            return tuple(str(dataset.get(keyword) or "").strip() for keyword in keywords)
    except (NotDicomError, DamagedDicomError):
        return ("",) * len(keywords)
    except OSError as fault:
        raise InputError(f"{path} cannot be read: {fault.strerror or fault}.", [path]) from fault


def open_dataset(
    source: Path | BinaryIO, *, pixels: bool = False, only: Sequence[str] | None = None
) -> pydicom.FileDataset:
    """The data set of a file, up to the pixels or with them, all elements or `only` those.

    Of these, what an older pydicom has no name for stays unread.

    An open binary file is left where reading stopped: at the pixel data element, when there is one.
    Raises NotDicomError, DamagedDicomError; OSError where the file cannot be read at all.
    """
    if isinstance(source, Path):
        with source.open("rb") as stream:
            return open_dataset(stream, pixels=pixels, only=only)
    head = source.read(PREAMBLE_BYTES)
    if not begins_as_dicom(head):
        raise NotDicomError
    source.seek(0)
    with making_sense():
        return pydicom.dcmread(
            source, stop_before_pixels=not pixels, force=head[128:132] != b"DICM",
            specific_tags=None if only is None else list(filter(tag_for_keyword, only)),
        )  # fmt: skip
