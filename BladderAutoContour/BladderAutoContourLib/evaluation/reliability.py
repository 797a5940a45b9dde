"""Whether the confidence means what it says: predicted confidence against the share of real bladders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..pipeline.preview import CONTOUR, QUIET
from .accuracy import CONTOURED, MISSED
from .chart import Chart

BINS = 10
TOUCHING_DICE = 0.1
"""A contour that overlaps the bladder less than this is of something else, and no real bladder was found."""


@dataclass(frozen=True)
class Bin:
    """The cases whose confidence lies in [lowest, highest): how many, their mean confidence, the share that is real."""

    lowest: float
    highest: float
    cases: int
    confidence: float
    real: float


@dataclass(frozen=True)
class Reliability:
    """The bins that hold cases, and the expected calibration error: mean |confidence - real| over the cases."""

    cases: int
    bins: tuple[Bin, ...]
    expected_calibration_error: float


class Tally:
    """Counts promises and what was kept of them, bin by bin, so that millions of voxels take no memory.

    Usage::

        tally = Tally()
        tally.add(probability, truth)   # as often as wished
        tally.reliability()
    """

    def __init__(self) -> None:
        self._sums = np.zeros((3, BINS))

    def add(self, promised: np.ndarray, kept: np.ndarray) -> None:
        """Count probabilities in [0, 1], and whether each came true (a share of it counts as that)."""
        promised, kept = (np.asarray(values, dtype=float).ravel() for values in (promised, kept))
        which = np.minimum((promised * BINS).astype(int), BINS - 1)
        for row, weights in enumerate((np.ones_like(promised), promised, kept)):
            self._sums[row] += np.bincount(which, weights, minlength=BINS)

    def reliability(self) -> Reliability | None:
        """The bins so far; None where nothing was counted."""
        counts, promised, kept = self._sums
        total = int(counts.sum())
        if total == 0:
            return None
        bins = tuple(
            Bin(
                lowest=number / BINS,
                highest=(number + 1) / BINS,
                cases=int(counts[number]),
                confidence=float(promised[number] / counts[number]),
                real=float(kept[number] / counts[number]),
            )
            for number in np.flatnonzero(counts).tolist()
        )
        return Reliability(total, bins, float(np.abs(promised - kept).sum() / total))


def reliability(rows: Sequence[Mapping[str, Any]]) -> Reliability | None:
    """The reliability of an evaluation's rows (CaseResult.row, or evaluation.json's cases); None without a confidence.

    Contours that were refused count too, with the confidence that was too low.
    """
    judged = [row for row in rows if row["confidence"] is not None]
    tally = Tally()
    tally.add(np.array([row["confidence"] for row in judged]), np.array([_is_real(row) for row in judged]))
    return tally.reliability()


def reliability_plot(
    found: Reliability, what: str = "case", promised: str = "Confidence", kept: str = "share of real bladders"
) -> np.ndarray:
    """What was kept against what was promised, a point a bin, beside the diagonal; RGB uint8. `what` is counted."""
    chart = Chart(
        f"{promised} of {found.cases} {what}s, expected calibration error {found.expected_calibration_error:.3f}",
        promised.lower(),
        kept,
        (0.0, 1.0),
        (0.0, 1.0),
    )
    chart.line((0.0, 0.0), (1.0, 1.0), QUIET)
    chart.points([one.confidence for one in found.bins], [one.real for one in found.bins], CONTOUR)
    for one in found.bins:
        chart.note(one.confidence, one.real, f"{one.cases} {what}{'' if one.cases == 1 else 's'}", QUIET)
    return chart.picture


def _is_real(row: Mapping[str, Any]) -> bool:
    return row["outcome"] == MISSED or (row["outcome"] == CONTOURED and row["dice"] >= TOUCHING_DICE)
