"""Slice by slice: which slices of a contour are wrong, and how well a score puts those first."""

from dataclasses import dataclass

import numpy as np

from .metrics import hd95_mm, surface_distances_mm

WRONG_HD95_MM = 4.0
IN_PLANE = (1, 2)


@dataclass(frozen=True)
class SliceError:
    """One slice (index along z) of contour or reference. hd95_mm is in the plane; infinite where one has no part in it.

    missed: the reference alone has a part in the slice. added: the contour alone.
    """

    number: int
    hd95_mm: float
    missed: bool
    added: bool

    @property
    def wrong(self) -> bool:
        """Whether somebody has to correct the slice."""
        return self.hd95_mm > WRONG_HD95_MM


def slice_errors(
    contour: np.ndarray, reference: np.ndarray, spacing_mm: tuple[float, float, float]
) -> list[SliceError]:
    """The error of every slice that contour or reference, boolean (z, y, x) on one grid, has a part in."""
    errors = []
    for number in np.flatnonzero((contour | reference).any(axis=IN_PLANE)).tolist():
        ours, theirs = contour[number], reference[number]
        apart_mm = in_plane_hd95_mm(ours, theirs, spacing_mm)
        errors.append(SliceError(number, apart_mm, missed=not ours.any(), added=not theirs.any()))
    return errors


def in_plane_hd95_mm(contour: np.ndarray, reference: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    """The larger of the two directed 95th percentiles between the outlines of two masks (y, x) of one slice.

    Infinite where one is empty.
    """
    there, back = surface_distances_mm(contour[None], reference[None], spacing_mm, IN_PLANE)
    return hd95_mm(there, back) if there.size else np.inf


def area_under_roc(scores: np.ndarray, wrong: np.ndarray) -> float:
    """The chance that a wrong item scores higher than a right one, ties counted half; NaN where one kind is missing."""
    scores, wrong = np.asarray(scores, dtype=float), np.asarray(wrong, dtype=bool)
    bad, good = scores[wrong], np.sort(scores[~wrong])
    if not (bad.size and good.size):
        return float("nan")
    below = np.searchsorted(good, bad, side="left") + np.searchsorted(good, bad, side="right")
    return float(below.mean() / (2 * good.size))
