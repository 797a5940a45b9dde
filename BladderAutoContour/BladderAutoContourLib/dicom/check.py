"""Is this structure set fit to act on? Ours after writing, or any maker's: attributes, references, geometry."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from .check_attributes import attribute_findings
from .check_contours import contour_findings
from .check_references import elsewhere_sentence, reference_findings
from .ct_series import CtSeries
from .findings import Finding
from .structure_reader import Roi, StructureSet, read_structure_set

ELSEWHERE = ("patient-mismatch", "wrong-frame")
"""Findings on a structure set whose contours lie in another patient, or cannot be placed in the CT."""
OTHER_IMAGES = ("wrong-series", "wrong-image")
"""Findings on one that was drawn on other images: of the same patient in the same place, maybe of another bladder."""
TO_BE_KNOWN = (*OTHER_IMAGES, "off-plane", "point-count")
"""Findings on contours that can be filled, and may yet not be what was drawn."""
ORDER = {"error": 0, "warning": 1, "note": 2}


def check_rtstruct(path: Path, ct: CtSeries | None) -> list[Finding]:
    """Findings on the structure set of a file, errors first; against its CT where given. InputError: unreadable."""
    return check_structure_set(read_structure_set(path), ct)


def check_belongs(structures: StructureSet, ct: CtSeries, codes: Sequence[str]) -> list[Finding]:
    """As `check_structure_set`. Raises InputError where an error of one of `codes` says that it is of another CT."""
    findings = check_structure_set(structures, ct)
    for finding in findings:
        if finding.severity == "error" and finding.code in codes:
            raise InputError(
                f"{structures.path.name} does not belong to this CT: {finding.sentence}.", [structures.path]
            )
    return findings


def expect_own_number(structures: StructureSet, rois: Sequence[Roi]) -> None:
    """Raise InputError where one of `rois` shares its number: whose contours are whose, nobody can tell."""
    numbers = [roi.number for roi in structures.rois]
    for roi in rois:
        if numbers.count(roi.number) > 1:
            others = " and ".join(repr(one.name) for one in structures.rois if one.number == roi.number)
            raise InputError(
                f"{structures.path.name} gives ROI number {roi.number} to several structures, {others}: which contours "
                "are whose cannot be told. Export it again.",
                [structures.path],
            )


def same_name_findings(structures: StructureSet, roi: Roi, frame_uid: str = "") -> list[Finding]:
    """A warning where `roi`, which was chosen by its name, is not the only outlined structure of it in its frame."""
    others = [
        one
        for one in structures.named_as(roi.name)
        if one is not roi and one.outlined and not one.lies_elsewhere(frame_uid)
    ]
    if not others:
        return []
    sentence = f"{len(others) + 1} outlined structures are named {roi.name!r}; number {roi.number} was taken"
    return [Finding("duplicate-name", "warning", sentence)]


def doubtful_contours(structures: StructureSet, rois: Sequence[Roi], ct: CtSeries) -> list[Finding]:
    """Findings TO_BE_KNOWN. Raises InputError where the contours of one of `rois` lie ELSEWHERE or may be others'.

    Other structures of the set may lie in frames of reference of their own, as those drawn on an MR (PS3.3 C.8.8.5.1).
    """
    expect_own_number(structures, rois)
    # By themselves, those of another frame are an error; beside one of the CT's frame they are lawful.
    elsewhere = tuple(roi for roi in rois if roi.lies_elsewhere(ct.frame_of_reference_uid))
    wanted = dataclasses.replace(structures, rois=elsewhere or tuple(rois))
    return [finding for finding in check_belongs(wanted, ct, ELSEWHERE) if finding.code in TO_BE_KNOWN]


def leave_out_elsewhere(rois: Sequence[Roi], ct: CtSeries) -> tuple[list[Roi], list[Finding]]:
    """The structures that can be placed in the CT, and a warning for each in another frame of reference.

    Where all of them lie there, none is left out: `doubtful_contours` refuses them.
    """
    here = [roi for roi in rois if not roi.lies_elsewhere(ct.frame_of_reference_uid)]
    if not here:
        return list(rois), []
    others = [roi for roi in rois if roi.lies_elsewhere(ct.frame_of_reference_uid)]
    return here, [Finding("wrong-frame", "warning", f"{elsewhere_sentence(roi)}; left out") for roi in others]


def check_structure_set(structures: StructureSet, ct: CtSeries | None) -> list[Finding]:
    """Findings on a structure set that was read, errors first. Without a CT, only what the file says by itself."""
    findings = [
        *attribute_findings(structures.dataset),
        *reference_findings(structures, ct),
        *contour_findings(structures, ct),
    ]
    return sorted(findings, key=lambda finding: ORDER[finding.severity])
