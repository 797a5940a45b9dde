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


def reliability(rows: Sequence[Mapping[str, Any]], count: int = BINS) -> Reliability | None:
    """The reliability of an evaluation's rows (CaseResult.row, or evaluation.json's cases); None without a confidence.

    Contours that were refused count too, with the confidence that was too low.
    """
    judged = [row for row in rows if row["confidence"] is not None]
    if not judged:
        return None
    confidence = np.array([row["confidence"] for row in judged], dtype=float)
    real = np.array([_is_real(row) for row in judged], dtype=float)
    which = np.minimum((confidence * count).astype(int), count - 1)
    bins = tuple(
        Bin(
            lowest=number / count,
            highest=(number + 1) / count,
            cases=int((which == number).sum()),
            confidence=float(confidence[which == number].mean()),
            real=float(real[which == number].mean()),
        )
        for number in np.unique(which).tolist()
    )
    error = sum(one.cases * abs(one.confidence - one.real) for one in bins) / len(judged)
    return Reliability(len(judged), bins, float(error))


def reliability_plot(found: Reliability) -> np.ndarray:
    """Share of real bladders against mean confidence, a point a bin with its cases, beside the diagonal; RGB uint8."""
    chart = Chart(
        f"Confidence of {found.cases} cases, expected calibration error {found.expected_calibration_error:.3f}",
        "confidence",
        "share of real bladders",
        (0.0, 1.0),
        (0.0, 1.0),
    )
    chart.line((0.0, 0.0), (1.0, 1.0), QUIET)
    chart.points([one.confidence for one in found.bins], [one.real for one in found.bins], CONTOUR)
    for one in found.bins:
        chart.note(one.confidence, one.real, "1 case" if one.cases == 1 else f"{one.cases} cases", QUIET)
    return chart.picture


def _is_real(row: Mapping[str, Any]) -> bool:
    return row["outcome"] == MISSED or (row["outcome"] == CONTOURED and row["dice"] >= TOUCHING_DICE)
