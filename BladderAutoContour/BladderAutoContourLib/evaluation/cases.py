"""Cases with a known bladder, as folders: `ct/` (DICOM) or `ct.nrrd`, and `bladder.nrrd` or `RTSTRUCT.dcm`.

Or a patient's folder as a planning system exports it: one structure set under any name and the CT's slices, each in the
folder itself or in folders below.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..dicom.check import doubtful_contours, same_name_findings
from ..dicom.ct_series import read_ct, survey
from ..dicom.findings import Finding
from ..dicom.image_header import CT_IMAGE, ENHANCED_CT
from ..dicom.rasterise import roi_mask
from ..dicom.reading import header_texts
from ..dicom.structure_reader import STRUCTURE_SET, StructureSet, read_structure_set
from ..errors import InputError
from ..imaging.axes import along_axes_of
from ..imaging.files import is_volume_file, read_mask, read_volume
from ..imaging.volume import Volume

CT_IMAGES = (CT_IMAGE, *ENHANCED_CT)
CT_NAMES = ("ct", "ct.nrrd")
REFERENCE_NAMES = ("bladder.nrrd", "RTSTRUCT.dcm")
"""What a case may hold, in the order of preference: a mask is nearer to the truth than contours traced from it."""


@dataclass(frozen=True)
class CaseFolder:
    """A case on disk; nothing of it is read yet."""

    name: str
    ct: Path
    reference: Path


@dataclass(frozen=True)
class KnownCase:
    """A CT and its true bladder, boolean (z, y, x) on the CT's grid; empty for a field without a bladder.

    findings: what is odd about the CT and the bladder's contours, what these lack, and that they were drawn on other
    images: to be known before they are trusted.
    """

    ct: Volume
    bladder: np.ndarray
    findings: tuple[Finding, ...] = ()

    def notes(self, name: str) -> list[str]:
        """The findings as sentences about the case of that name."""
        return [f"{name}: {finding.sentence}." for finding in self.findings]


def find_cases(folder: Path) -> list[CaseFolder]:
    """The case that `folder` is, or else those in its sub-folders, by name.

    A sub-folder with neither CT nor reference is none. Raises InputError: no folder, no case, a CT without reference or
    the reverse, several structure sets.
    """
    if not folder.is_dir():
        raise InputError(f"The folder {folder} does not exist. Give a folder of cases.", [folder])
    if case := _case(folder, of_one=False):
        return [case]
    found = [case for place in sorted(folder.iterdir()) if place.is_dir() and (case := _case(place, of_one=True))]
    if not found:
        raise InputError(
            f"There is no case in {folder}. A case is a folder with ct (DICOM) or ct.nrrd, and bladder.nrrd or "
            "RTSTRUCT.dcm; or one with the files of a DICOM CT and its structure set.",
            [folder],
        )
    return found


def read_case(case: CaseFolder, *roi_names: str) -> KnownCase:
    """Read the CT and the reference; in a structure set the bladder has one of `roi_names`, the first that is outlined.

    Of several CT series, the one that the structure set was drawn on.
    That there is no bladder, only a mask can say: a structure without contours is one that nobody drew. Raises
    InputError: unreadable, a mask on another grid or of several values, a structure set of another CT, no such
    structure or an empty one.
    """
    structures = None if is_volume_file(case.reference) else read_structure_set(case.reference)
    series = read_ct([case.ct], _drawn_on(structures, case.ct)) if case.ct.is_dir() else None
    ct = series.volume if series else read_volume(case.ct)
    findings = tuple(one for one in series.findings if one.severity != "note") if series else ()
    if structures:
        frame_uid = series.frame_of_reference_uid if series else ""
        roi = structures.roi(*roi_names, frame_uid=frame_uid)
        doubts = doubtful_contours(structures, [roi], series) if series else ()
        mask, lacking = roi_mask(roi, ct.geometry)
        findings += (*doubts, *same_name_findings(structures, roi, frame_uid), *lacking)
        if not mask.array.any():
            lacks = "no contours within its CT" if roi.outlined else "no contours"
            raise InputError(
                f"{roi.name!r} in {case.reference.name} has {lacks}. Outline it; or, if there is no bladder, put an "
                "empty bladder.nrrd beside the CT.",
                [case.reference],
            )
    else:
        mask = along_axes_of(read_mask(case.reference), ct.geometry)
    if not mask.geometry.same_as(ct.geometry, tolerance_mm=0.1):
        raise InputError(
            f"{case.reference.name} of the case {case.name} is not on the grid of its CT. Resample it onto the CT.",
            [case.reference],
        )
    return KnownCase(ct, mask.array > 0, findings)


def _drawn_on(structures: StructureSet | None, folder: Path) -> str | None:
    """The series of a folder that a structure set names, if it names one and no other of those there."""
    named = set(structures.series_uids) if structures else set()
    named &= {summary.series_uid for summary in survey([folder])[0]} if named else set()
    return named.pop() if len(named) == 1 else None


def _case(folder: Path, of_one: bool) -> CaseFolder | None:
    """The case that a folder is, if any. of_one: what lies in its folders can only be the same patient's.

    Raises InputError.
    """
    ct, reference = (
        next((folder / name for name in names if (folder / name).exists()), None)
        for names in (CT_NAMES, REFERENCE_NAMES)
    )
    name = folder.resolve().name if folder.name in ("", "..") else folder.name  # a link's own, not its target's
    if not reference and not (ct and ct.is_file()):
        reference = _structure_set_among(name, _files(folder))
        if not reference and (ct or of_one):
            reference = _structure_set_among(name, _files(ct or folder, "**/*"))
    if not ct and (reference or of_one) and any(_kind(path) in CT_IMAGES for path in _files(folder, "**/*")):
        ct = folder
    if ct and reference:
        return CaseFolder(name, ct, reference)
    if ct or reference:
        lacks = f"no {' or '.join(CT_NAMES)}" if reference else f"no {' or '.join(REFERENCE_NAMES)}"
        raise InputError(f"The case {name} has {lacks}. Add it, or take the folder away.", [folder])
    return None


def _files(folder: Path, pattern: str = "*") -> Iterator[Path]:
    return (path for path in sorted(folder.glob(pattern)) if path.is_file())


def _structure_set_among(name: str, files: Iterable[Path]) -> Path | None:
    """The structure set among the files of a case. Raises InputError where there are several."""
    found = [path for path in files if _kind(path) == STRUCTURE_SET]
    if len(found) > 1:
        raise InputError(
            f"{name} holds {len(found)} structure sets, {', '.join(path.name for path in found)}: leave the one "
            "whose bladder counts.",
            found,
        )
    return found[0] if found else None


def _kind(path: Path) -> str:
    """The SOP class of a DICOM file, "" for others."""
    return header_texts(path, "SOPClassUID")[0]
