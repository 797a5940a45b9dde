"""Which images lie in a folder or a list of files: headers only, every file accounted for."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.uid import MediaStorageDirectoryStorage

from .. import host
from ..errors import InputError
from .damage import DamagedDicomError, making_sense
from .enhanced import multi_frame
from .findings import Finding
from .image_header import CT_IMAGE, DAMAGED, ENHANCED_CT, TAGS, ImageHeader, Skipped, frame_count, single_frame
from .reading import NotDicomError, open_dataset

WORKERS, AT_ONCE = 4, 256
CLOSED_FOLDER = "closed-folder"
CODE = re.compile(r"[A-Z0-9_ ]{1,16}")


@dataclass(frozen=True)
class Scan:
    """All CT images found, and a finding on every file that is none."""

    images: tuple[ImageHeader, ...]
    findings: tuple[Finding, ...]
    others: dict[str, int]


def scan(paths: Sequence[Path], progress: Callable[[float], None] | None = None) -> Scan:
    """Read the headers of all files in folders (recursively) and files.

    `progress` is told 0 again and again while the files are listed. Raises InputError where a path is missing or
    cannot be listed, or where there is no file at all; of folders in it that cannot be listed tells a finding.
    """
    tell = progress or (lambda share: None)
    files, closed = _list_files([Path(path) for path in paths], lambda: tell(0.0))
    images: list[ImageHeader] = []
    skipped: dict[Skipped, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for done, (file, outcome) in enumerate(_outcomes(pool, files), start=1):
                if isinstance(outcome, Skipped):
                    skipped[outcome].append(str(file))
                else:
                    images.extend(outcome)
                if done % 16 == 0 or done == len(files):
                    tell(done / len(files))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    findings = [_finding(reason, names) for reason, names in skipped.items()]
    if closed:
        count = "1 folder skipped: it" if len(closed) == 1 else f"{len(closed)} folders skipped: they"
        findings.append(Finding(CLOSED_FOLDER, "warning", f"{count} cannot be opened", tuple(closed)))
    others = {reason.what: len(names) for reason, names in skipped.items() if reason.kind == "other-object"}
    return Scan(tuple(images), tuple(findings), others)


def _outcomes(pool: ThreadPoolExecutor, files: Sequence[Path]) -> Iterator[tuple[Path, list[ImageHeader] | Skipped]]:
    """Every file with what was read of it, in order. Handed to the pool in parts: the first word comes soon."""
    for first in range(0, len(files), AT_ONCE):
        part = files[first : first + AT_ONCE]
        yield from zip(part, pool.map(_read, part), strict=True)


def files_below(folder: Path, refuse: Callable[[OSError], None]) -> Iterator[tuple[Path, list[str]]]:
    """A folder and all in it, linked ones too, each once and with the names of its files, in order.

    refuse: is told of each that cannot be listed. A link out to a folder around this one is not followed.
    """
    seen = {str(parent) for parent in Path(os.path.realpath(folder)).parents}
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield Path(place), sorted(names)


def _list_files(paths: Sequence[Path], tell: Callable[[], None]) -> tuple[list[Path], list[str]]:
    """The files, and the folders below the paths that cannot be opened."""
    files: list[Path] = []
    closed: dict[str, str] = {}

    def skip(fault: OSError) -> None:
        if fault.filename is None:  # it was opened, and its disk failed before the end: any file may be missing
            where = ", ".join(map(str, paths))
            raise InputError(f"A folder in {where} cannot be listed to its end: {fault.strerror}.", paths)
        closed[str(fault.filename)] = fault.strerror

    def add(candidates: Iterable[Path]) -> None:
        tell()
        # A pipe or a socket would block the reader for ever. What cannot be looked at, it tells of as unreadable.
        files.extend(path for path in candidates if host.is_there(path, Path.is_file, otherwise=True))

    for path in paths:
        if host.is_there(path, Path.is_dir):
            for folder, names in files_below(path, skip):
                add(folder / name for name in names)
            _refuse_closed(closed, str(path))
        elif host.is_there(path):
            add([path])
        else:
            raise InputError(f"{path} does not exist. Check the path of the CT.", [path])
    if not files:
        _refuse_closed(closed, *closed)
        raise InputError(f"There is no file in {', '.join(map(str, paths))}. Give the folder of a CT series.", paths)
    return list(dict.fromkeys(files)), list(closed)


def _refuse_closed(closed: dict[str, str], *folders: str) -> None:
    """Raise InputError where one of `folders` is closed (with the reason behind each that is)."""
    for folder in folders:
        if folder in closed:
            raise InputError(f"The folder {folder} cannot be opened: {closed[folder]}.", [folder])


def _read(path: Path) -> list[ImageHeader] | Skipped:
    """The headers of a file's CT images, or why it has none."""
    try:
        with path.open("rb") as stream:
            dataset = open_dataset(stream, only=TAGS)
            with making_sense():
                other = _is_no_ct(dataset)
                if other is not None:
                    return other
                read = multi_frame if str(dataset.SOPClassUID) in ENHANCED_CT else single_frame
                return read(path, dataset, stream)
    except NotDicomError:
        return Skipped("not-dicom", "note", "not DICOM")
    except OSError as fault:
        return Skipped("unreadable", "warning", f"unreadable ({fault.strerror or 'read error'})")
    except DamagedDicomError:
        return DAMAGED


def _is_no_ct(dataset: pydicom.FileDataset) -> Skipped | None:
    sop_class = str(dataset.get("SOPClassUID", "") or "")
    if not sop_class and dataset.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return Skipped("other-object", "note", "DICOMDIR")
    if not sop_class:
        return DAMAGED
    if sop_class not in (CT_IMAGE, *ENHANCED_CT):
        modality = str(dataset.get("Modality", "") or "")
        # Free text in this place would be printed: only what the standard allows as a modality is.
        known = modality if CODE.fullmatch(modality) else pydicom.uid.UID_dictionary.get(sop_class, ["other object"])[0]
        return Skipped("other-object", "note", known)
    several = sop_class == CT_IMAGE and frame_count(dataset) != 1
    if several or int(dataset.get("SamplesPerPixel", 1) or 1) != 1:
        return Skipped("other-object", "note", "CT in colour or with several frames")
    return None


def _finding(reason: Skipped, names: list[str]) -> Finding:
    count = f"{len(names)} file" if len(names) == 1 else f"{len(names)} files"
    sentence = {
        "not-dicom": f"{count} skipped: not DICOM",
        "other-object": f"{count} skipped: {reason.what}, not a CT image",
    }.get(reason.kind, f"{count} skipped: {reason.what}; copy them from the archive again if they belong to the CT")
    return Finding(reason.kind, reason.severity, sentence, tuple(names))
