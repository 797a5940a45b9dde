"""A written structure set judged before anybody acts on it: read back, checked, filled, compared with its source."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from ..errors import InputError, VerificationError
from .check import check_structure_set
from .check_attributes import value_findings
from .ct_series import CtSeries
from .findings import Finding
from .patient_and_study import TAKEN_OVER
from .rasterise import roi_mask
from .structure_reader import Roi, read_structure_set

LEAST_AGREEMENT = 0.999
"""Dice between the contours, filled at voxel centres, and the source. Ours reach 1.0, thinned or not."""


def verify(path: Path, ct: CtSeries, mask: np.ndarray, number: int, known: Sequence[Finding] = ()) -> float:
    """Dice of structure `number` of the file with `mask` (z, y, x). `known`: findings that are not the writer's doing.

    Raises VerificationError where the file cannot be read, where the checker finds an error, or on a mismatch.
    """
    try:
        structures = read_structure_set(path)
    except InputError as fault:
        raise VerificationError("The written structure set cannot be read back; it was not put in place.") from fault
    excused = (*known, *inherited_findings(ct))
    tolerated = {finding.sentence for finding in excused if finding.severity == "error"}
    errors = [
        finding
        for finding in check_structure_set(structures, ct)
        if finding.severity == "error" and finding.sentence not in tolerated
    ]
    if errors:
        raise VerificationError(
            f"The written structure set did not pass its check and was not put in place: {errors[0].sentence}"
        )
    found = [roi for roi in structures.rois if roi.number == number]
    if len(found) != 1:
        raise VerificationError("The written structure set lacks its structure; it was not put in place.")
    filled = roi_mask(_on_grid(found[0], ct), ct.volume.geometry)[0].array.view(bool)
    agreement = dice(filled, mask)
    if agreement < LEAST_AGREEMENT:
        raise VerificationError(
            f"The written contours do not match the mask (Dice {agreement:.3f}); the file was not put in place. "
            "Please report this."
        )
    return agreement


def _on_grid(roi: Roi, ct: CtSeries) -> Roi:
    """The structure on the regular grid: a contour lies where its own image does, which may be a fraction off it."""
    at = {(image.sop_instance_uid, image.frame_number): z for z, image in enumerate(ct.slices)}
    contours = []
    for contour in roi.contours:
        z = next((at[image] for image in contour.images if image in at), None)
        if z is not None:
            off_mm = ct.volume.geometry.to_patient((0.0, 0.0, float(z))) - np.array(ct.slices[z].position_mm)
            contour = dataclasses.replace(contour, points_mm=contour.points_mm + off_mm)
        contours.append(contour)
    return dataclasses.replace(roi, contours=tuple(contours))


def inherited_findings(ct: CtSeries) -> list[Finding]:
    """Faults of the CT's own patient and study attributes and identifiers: they go into a structure set as they are."""
    inherited = Dataset()
    for keyword in (*TAKEN_OVER, "FrameOfReferenceUID", "PositionReferenceIndicator", "SpecificCharacterSet"):
        if keyword in ct.header:
            inherited[keyword] = ct.header[keyword]
    study_uid = str(ct.header.get("StudyInstanceUID", ""))
    inherited.ReferencedSOPInstanceUID = [*(image.sop_instance_uid for image in ct.slices), study_uid]
    inherited.ReferencedFrameOfReferenceUID = ct.frame_of_reference_uid
    inherited.SeriesInstanceUID = ct.series_uid
    return value_findings(inherited)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice coefficient of two boolean arrays (z, y, x); 1 where both are empty."""
    total = int(np.count_nonzero(one)) + int(np.count_nonzero(other))
    # Slice by slice: what is compared stays in the processor's cache.
    both = sum(int(np.count_nonzero(a & b)) for a, b in zip(one, other, strict=True))
    return 1.0 if total == 0 else 2.0 * both / total
