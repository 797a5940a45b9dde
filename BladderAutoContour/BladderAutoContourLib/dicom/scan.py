"""Which images lie in a folder or a list of files: headers only, every file accounted for."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ..errors import InputError
from .findings import Finding
from .reading import DamagedDicomError, NotDicomError, making_sense, open_dataset

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
TAGS = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "StudyInstanceUID",
    "SeriesInstanceUID", "FrameOfReferenceUID", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "GantryDetectorTilt", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated",
    "PixelRepresentation", "PhotometricInterpretation", "PixelPaddingValue", "RescaleSlope", "RescaleIntercept",
)  # fmt: skip
WORKERS = 4


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What is needed of one CT image before its pixels are read.

    position_mm (3), orientation (6) and pixel_spacing_mm (row spacing, column spacing: PS3.3 10.7.1.3) are empty tuples
    where the file lacks them. pixel_offset: byte at which uncompressed 16-bit little-endian values begin, else None.
    """

    path: Path
    sop_instance_uid: str
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
    signed: bool
    bits_allocated: int
    padding: int | None
    transfer_syntax: str
    pixel_offset: int | None


@dataclass(frozen=True)
class Scan:
    """All CT images found, and a finding on every file that is none."""

    images: tuple[ImageHeader, ...]
    findings: tuple[Finding, ...]
    others: dict[str, int]


def scan(paths: Sequence[Path], progress: Callable[[float], None] | None = None) -> Scan:
    """Read the headers of all files in folders (recursively) and files.

    Raises InputError where a path is missing or cannot be listed, or where there is no file at all.
    """
    files = _list_files([Path(path) for path in paths])
    images: list[ImageHeader] = []
    skipped: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for done, outcome in enumerate(pool.map(_read, files, chunksize=1), start=1):
                if isinstance(outcome, ImageHeader):
                    images.append(outcome)
                else:
                    skipped[outcome].append(str(files[done - 1]))
                if progress is not None and (done % 16 == 0 or done == len(files)):
                    progress(done / len(files))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    findings = [_finding(reason, names) for reason, names in skipped.items()]
    others = {what: len(names) for (kind, _, what), names in skipped.items() if kind == "other-object"}
    return Scan(tuple(images), tuple(findings), others)


def _list_files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []

    def refuse(fault: OSError) -> None:
        raise InputError(f"The folder {fault.filename} cannot be opened: {fault.strerror}.", [fault.filename])

    for path in paths:
        if path.is_dir():
            for folder, folders, names in os.walk(path, onerror=refuse):
                folders.sort()
                files.extend(Path(folder, name) for name in sorted(names))
        elif path.exists():
            files.append(path)
        else:
            raise InputError(f"{path} does not exist. Check the path of the CT.", [path])
    # A pipe or a socket would block the reader for ever.
    files = [file for file in dict.fromkeys(files) if file.is_file()]
    if not files:
        raise InputError(f"There is no file in {', '.join(map(str, paths))}. Give the folder of a CT series.", paths)
    return files


def _read(path: Path) -> ImageHeader | tuple[str, str, str]:
    """The header of a CT image, or why the file is none: (kind, severity, what)."""
    try:
        with path.open("rb") as stream:
            dataset = open_dataset(stream, only=TAGS)
            next_bytes = (stream.tell(), stream.read(12))
            stream.seek(0, os.SEEK_END)
            with making_sense():
                return _header(path, dataset, next_bytes, stream.tell())
    except NotDicomError:
        return "not-dicom", "note", "not DICOM"
    except OSError as fault:
        return "unreadable", "warning", f"unreadable ({fault.strerror or 'read error'})"
    except DamagedDicomError:
        return "damaged", "warning", "damaged or cut off"


def _header(
    path: Path, dataset: pydicom.FileDataset, next_bytes: tuple[int, bytes], file_bytes: int
) -> ImageHeader | tuple[str, str, str]:
    sop_class = str(dataset.get("SOPClassUID", "") or "")
    if not sop_class:
        return "damaged", "warning", "damaged or cut off"
    if sop_class != CT_IMAGE:
        if sop_class in ENHANCED_CT:
            return "enhanced", "warning", "enhanced multi-frame CT"
        what = str(dataset.get("Modality", "") or "") or pydicom.uid.UID(sop_class).name
        return "other-object", "note", what
    if int(dataset.get("NumberOfFrames", 1) or 1) != 1 or int(dataset.get("SamplesPerPixel", 1) or 1) != 1:
        return "other-object", "note", "CT in colour or with several frames"
    syntax = str(getattr(dataset.file_meta, "TransferSyntaxUID", ImplicitVRLittleEndian))
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    signed = int(dataset.get("PixelRepresentation", 0) or 0) == 1
    bits_allocated = int(dataset.get("BitsAllocated", 16))
    offset = None
    if syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        position, head = next_bytes
        if head[:4] != b"\xe0\x7f\x10\x00":
            return "damaged", "warning", "cut off before its pixels"
        offset = position + (8 if syntax == ImplicitVRLittleEndian else 12)
        if file_bytes < offset + rows * columns * bits_allocated // 8:
            return "damaged", "warning", "cut off within its pixels"
    return ImageHeader(
        path=path,
        sop_instance_uid=str(dataset.SOPInstanceUID),
        study_uid=str(dataset.get("StudyInstanceUID", "") or ""),
        series_uid=str(dataset.SeriesInstanceUID),
        frame_uid=str(dataset.get("FrameOfReferenceUID", "") or ""),
        instance_number=int(dataset.get("InstanceNumber", 0) or 0),
        localizer="LOCALIZER" in (dataset.get("ImageType") or ()),
        position_mm=_numbers(dataset, "ImagePositionPatient", 3),
        orientation=_numbers(dataset, "ImageOrientationPatient", 6),
        pixel_spacing_mm=_numbers(dataset, "PixelSpacing", 2),
        tilt_degrees=float(dataset.get("GantryDetectorTilt", 0) or 0),
        rows=rows,
        columns=columns,
        slope=float(dataset.get("RescaleSlope", 1) if dataset.get("RescaleSlope") is not None else 1),
        intercept=float(dataset.get("RescaleIntercept", 0) or 0),
        signed=signed,
        bits_allocated=bits_allocated,
        padding=_padding(dataset, signed),
        transfer_syntax=syntax,
        pixel_offset=offset if bits_allocated == 16 else None,
    )


def _numbers(dataset: pydicom.Dataset, keyword: str, count: int) -> tuple[float, ...]:
    value = dataset.get(keyword)
    if value is None or isinstance(value, str | float | int) or len(value) != count:
        return ()
    numbers = tuple(float(number) for number in value)
    return numbers if np.isfinite(numbers).all() else ()


def _padding(dataset: pydicom.Dataset, signed: bool) -> int | None:
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    # The element's VR follows PixelRepresentation, but is often written with the other sign.
    value &= 0xFFFF
    return value - 0x10000 if signed and value >= 0x8000 else value


def _finding(reason: tuple[str, str, str], names: list[str]) -> Finding:
    kind, severity, what = reason
    count = f"{len(names)} file" if len(names) == 1 else f"{len(names)} files"
    sentence = {
        "not-dicom": f"{count} skipped: not DICOM",
        "other-object": f"{count} skipped: {what}, not a CT image",
        "enhanced": f"{count} skipped: {what} cannot be read; convert to single-frame CT images first",
    }.get(kind, f"{count} skipped: {what}; copy them from the archive again if they belong to the CT")
    return Finding(kind, severity, sentence, tuple(names))
