"""What the header of a CT image says, as far as it is needed before pixels are read."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
SAME_PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
FRAME_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
TAGS = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "StudyInstanceUID",
    "SeriesInstanceUID", "FrameOfReferenceUID", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "GantryDetectorTilt", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation", "PixelPaddingValue", "RescaleSlope",
    "RescaleIntercept", "RescaleType", "AcquisitionNumber", "LossyImageCompression", *SAME_PATIENT, *FRAME_GROUPS,
)  # fmt: skip
JPEG_LOSSY = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 53, 55))
"""JPEG by cosine transform: always with loss."""
MAYBE_LOSSY = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (81, 91, 93, 203))
"""JPEG-LS near-lossless and JPEG 2000: with loss, unless the file denies it."""


MATERIAL_MAPS = ("MAT_SPECIFIC", "MAT_FRACTIONAL", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY")
"""Fourth values of ImageType that stand for maps of something else than HU (PS3.3 C.8.2.1.1.1)."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What is needed of one CT image, a file's only one or a frame of several, before its pixels are read.

    frame: its number in a multi-frame file, from 1; else None. position_mm (3), orientation (6) and pixel_spacing_mm
    (row spacing, column spacing: PS3.3 10.7.1.3) are empty tuples where the file lacks them. pixel_offset: byte at
    which uncompressed 16-bit little-endian values begin, else None. patient: a hash of each of SAME_PATIENT, enough to
    tell two patients apart; nothing of the patient itself is kept. uid_in_file_header: MediaStorageSOPInstanceUID.
    lossy: whether the values were compressed with loss, now or earlier. unit: what the values are after rescaling (HU
    where nothing else is said). has_rescale: whether slope and intercept were in the file; else they are 1 and 0.
    acquisition: AcquisitionNumber, 0 where it is absent.
    """

    path: Path
    frame: int | None
    sop_class_uid: str
    sop_instance_uid: str
    uid_in_file_header: str
    patient: tuple[int, ...]
    study_uid: str
    series_uid: str
    frame_uid: str
    instance_number: int
    localizer: bool
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, ...]
    tilt_degrees: float
    rows: int
    columns: int
    slope: float
    intercept: float
    has_rescale: bool
    unit: str
    acquisition: int
    signed: bool
    bits_allocated: int
    bits_stored: int
    high_bit: int
    padding: int | None
    transfer_syntax: str
    lossy: bool
    pixel_offset: int | None

    @property
    def name(self) -> str:
        """How a sentence calls the image: its file, and its frame where the file holds several."""
        return self.path.name if self.frame is None else f"frame {self.frame} of {self.path.name}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Why a file gave no CT image. kind: the finding's code; what: a few words. Equal ones share a finding."""

    kind: str
    severity: str
    what: str


DAMAGED = Skipped("damaged", "warning", "damaged or cut off")


@dataclass(frozen=True)
class Described:
    """The data sets that say where an image lies and what its values mean: all the same in a file of one image."""

    position: pydicom.Dataset
    orientation: pydicom.Dataset
    measures: pydicom.Dataset
    rescale: pydicom.Dataset
    acquisition: pydicom.Dataset
    image_type: tuple[str, ...]


def patient_value(dataset: pydicom.Dataset, keyword: str) -> str:
    """One of SAME_PATIENT as files are compared by it: what a name leaves empty at its end may be written or not."""
    text = str(dataset.get(keyword, "") or "").strip()
    if keyword != "PatientName":
        return text
    return "=".join(group.rstrip("^ ") for group in text.split("=")).rstrip("=")  # PS3.5 6.2.1.1


def frame_count(dataset: pydicom.Dataset) -> int:
    """NumberOfFrames; 1 where it is absent."""
    return int(dataset.get("NumberOfFrames", 1) or 1)


def pixel_offset(dataset: pydicom.FileDataset, stream: BinaryIO, frames: int) -> int | Skipped | None:
    """Where the stored values begin in `stream`, which stands at the pixel data element.

    None where they are not plain 16-bit little-endian values; Skipped where the file ends before they do.
    """
    begin, head = stream.tell(), stream.read(12)
    syntax = transfer_syntax(dataset)
    if syntax not in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        return None
    if head[:4] != b"\xe0\x7f\x10\x00":
        return Skipped("damaged", "warning", "cut off before its pixels")
    # The element's own bytes decide: pydicom reads a data set also where its syntax is declared wrongly.
    explicit = head[4:6] in (b"OW", b"OB") and head[6:8] == b"\0\0"
    length = int.from_bytes(head[8:12] if explicit else head[4:8], "little")
    begin += 12 if explicit else 8
    bits = int(dataset.get("BitsAllocated", 16))
    needed = frames * int(dataset.Rows) * int(dataset.Columns) * bits // 8
    stream.seek(0, os.SEEK_END)
    if min(stream.tell() - begin, length) < needed:
        return Skipped("damaged", "warning", "cut off within its pixels")
    return begin if bits == 16 else None


def transfer_syntax(dataset: pydicom.FileDataset) -> str:
    """The transfer syntax of a file that was read."""
    return str(dataset.file_meta.get("TransferSyntaxUID", "") or ImplicitVRLittleEndian)


def _is_lossy(dataset: pydicom.FileDataset) -> bool:
    """Whether pixel values were compressed with loss. The attribute stays when they are decompressed (C.7.6.1.1.5)."""
    said, syntax = str(dataset.get("LossyImageCompression", "") or ""), transfer_syntax(dataset)
    return said == "01" or syntax in JPEG_LOSSY or (syntax in MAYBE_LOSSY and said != "00")


def image_header(
    path: Path, dataset: pydicom.FileDataset, described: Described, offset: int | None, frame: int | None = None
) -> ImageHeader:
    """The header of a file's only image, or of one of its frames, whose values begin at byte `offset`."""
    signed = int(dataset.get("PixelRepresentation", 0) or 0) == 1
    bits_allocated = int(dataset.get("BitsAllocated", 16))
    bits_stored = int(dataset.get("BitsStored", bits_allocated))
    return ImageHeader(
        path=path,
        frame=frame,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        uid_in_file_header=str(dataset.file_meta.get("MediaStorageSOPInstanceUID", "") or ""),
        patient=tuple(hash(patient_value(dataset, keyword)) for keyword in SAME_PATIENT),
        study_uid=str(dataset.get("StudyInstanceUID", "") or ""),
        series_uid=str(dataset.SeriesInstanceUID),
        frame_uid=str(dataset.get("FrameOfReferenceUID", "") or ""),
        instance_number=frame or int(dataset.get("InstanceNumber", 0) or 0),
        localizer="LOCALIZER" in described.image_type,
        position_mm=_numbers(described.position, "ImagePositionPatient", 3),
        orientation=_numbers(described.orientation, "ImageOrientationPatient", 6),
        pixel_spacing_mm=_numbers(described.measures, "PixelSpacing", 2),
        tilt_degrees=_tilt(described.acquisition),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        slope=_number(described.rescale, "RescaleSlope", 1),
        intercept=_number(described.rescale, "RescaleIntercept", 0),
        has_rescale=all(described.rescale.get(one) is not None for one in ("RescaleSlope", "RescaleIntercept")),
        unit=_unit(described),
        acquisition=_whole(dataset, "AcquisitionNumber"),
        signed=signed,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=int(dataset.get("HighBit", bits_stored - 1)),
        padding=_padding(dataset, signed),
        transfer_syntax=transfer_syntax(dataset),
        lossy=_is_lossy(dataset),
        pixel_offset=offset,
    )


def single_frame(path: Path, dataset: pydicom.FileDataset, stream: BinaryIO) -> list[ImageHeader] | Skipped:
    """The one image of a CT Image file (PS3.3 A.3), `stream` standing at its pixels."""
    offset = pixel_offset(dataset, stream, 1)
    if isinstance(offset, Skipped):
        return offset
    described = Described(dataset, dataset, dataset, dataset, dataset, texts(dataset, "ImageType"))
    return [image_header(path, dataset, described, offset)]


def texts(dataset: pydicom.Dataset, keyword: str) -> tuple[str, ...]:
    """The values of a text attribute; none where it is absent."""
    value = dataset.get(keyword)
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(one) for one in value)


def file_names(images: Sequence[ImageHeader]) -> list[str]:
    """The files of images, each once."""
    return list(dict.fromkeys(str(image.path) for image in images))


def _numbers(dataset: pydicom.Dataset, keyword: str, count: int) -> tuple[float, ...]:
    value = dataset.get(keyword)
    if value is None or isinstance(value, str | float | int) or len(value) != count:
        return ()
    numbers = tuple(float(number) for number in value)
    return numbers if np.isfinite(numbers).all() else ()


def _number(dataset: pydicom.Dataset, keyword: str, absent: float) -> float:
    value = dataset.get(keyword)
    return float(absent if value is None else value)


def _tilt(dataset: pydicom.Dataset) -> float:
    """GantryDetectorTilt, which serves a remark alone: 0 for one that cannot be read."""
    with contextlib.suppress(ValueError, TypeError):
        return float(dataset.get("GantryDetectorTilt", 0) or 0)
    return 0.0


def _whole(dataset: pydicom.Dataset, keyword: str) -> int:
    """A whole number that is worth no refusal: 0 where it is absent or cannot be read."""
    with contextlib.suppress(ValueError, TypeError):
        return int(dataset.get(keyword, 0) or 0)
    return 0


def _unit(described: Described) -> str:
    """What the values are: RescaleType (PS3.3 C.11.1.1.2), or what kind of map the image type calls them."""
    said = str(described.rescale.get("RescaleType", "") or "").strip()
    kind = described.image_type[3] if len(described.image_type) > 3 else ""
    return kind if kind in MATERIAL_MAPS else said or "HU"


def _padding(dataset: pydicom.Dataset, signed: bool) -> int | None:
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    # The element's VR follows PixelRepresentation, but is often written with the other sign.
    value &= 0xFFFF
    return value - 0x10000 if signed and value >= 0x8000 else value
