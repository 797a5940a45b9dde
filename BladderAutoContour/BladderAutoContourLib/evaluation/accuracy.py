"""The whole pipeline on cases with a known bladder: what came of each, and the summary."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import NoBladderError
from ..pipeline.engine import Engine
from ..training.metrics import Scores, score
from .cases import KnownCase

CONTOURED, MISSED, NONE_RIGHTLY, FALSE_CONTOUR, FAILED = "contoured", "missed", "none", "false-contour", "failed"
OUTCOMES = (CONTOURED, MISSED, NONE_RIGHTLY, FALSE_CONTOUR, FAILED)
"""What may come of a case: a contour, or none, of a bladder; none, or one, where there is no bladder; an error."""

METRICS = tuple(field.name for field in dataclasses.fields(Scores))
OF_CONTOURS_ALONE = ("rvd", "asd_mm", "msd_mm", "hd95_mm", "volume_ml")
"""Metrics that say nothing about a case without a contour: their means leave missed cases out."""


@dataclass(frozen=True)
class CaseResult:
    """One case. `scores` is None where there is no bladder or an error; a missed case scores Dice 0."""

    name: str
    outcome: str
    seconds: float = 0.0
    confidence: float | None = None
    warnings: tuple[str, ...] = ()
    scores: Scores | None = None
    message: str = ""

    def row(self) -> dict[str, Any]:
        """Plain data, one value a column; None where there is no number."""
        scores = dataclasses.asdict(self.scores) if self.scores else {}
        return {
            "case": self.name,
            "outcome": self.outcome,
            **{name: _number(scores.get(name)) for name in METRICS},
            "confidence": _number(self.confidence),
            "seconds": round(self.seconds, 2),
            "warnings": " ".join(self.warnings),
            "message": self.message,
        }


def evaluate_case(name: str, case: KnownCase, engine: Engine, check: Callable[[], None]) -> CaseResult:
    """Contour one case and score it. `check` is called often and may raise to stop. Raises InputError."""
    begun = time.perf_counter()
    spacing_mm, is_there = case.ct.geometry.spacing_mm, bool(case.bladder.any())
    try:
        found = engine.contour(case.ct, lambda step, fraction: check())
    except NoBladderError as error:
        seconds = time.perf_counter() - begun
        if not is_there:
            return CaseResult(name, NONE_RIGHTLY, seconds, message=error.message)
        nothing = score(np.zeros_like(case.bladder), case.bladder, spacing_mm)
        return CaseResult(name, MISSED, seconds, scores=nothing, message=error.message)
    seconds = time.perf_counter() - begun
    return CaseResult(
        name,
        CONTOURED if is_there else FALSE_CONTOUR,
        seconds,
        confidence=found.confidence,
        warnings=tuple(dict.fromkeys(warning.code for warning in found.warnings)),
        scores=score(found.mask.array, case.bladder, spacing_mm) if is_there else None,
    )


def summary(results: Sequence[CaseResult]) -> dict[str, Any]:
    """How many cases came to what, which ones were missed, and mean and median of every metric.

    Missed cases count with Dice 0; see OF_CONTOURS_ALONE for the metrics that leave them out.
    """
    names = {outcome: [one.name for one in results if one.outcome == outcome] for outcome in OUTCOMES}
    metrics = {}
    for metric in METRICS:
        values = [
            getattr(one.scores, metric)
            for one in results
            if one.scores and (one.outcome == CONTOURED or metric not in OF_CONTOURS_ALONE)
        ]
        if values:
            metrics[metric] = {
                "mean": _number(np.mean(values)),
                "median": _number(np.median(values)),
                "cases": len(values),
            }
    return {
        "cases": len(results),
        **{outcome: len(listed) for outcome, listed in names.items()},
        "missed_cases": names[MISSED],
        "false_contours": names[FALSE_CONTOUR],
        "failed_cases": names[FAILED],
        "metrics": metrics,
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 5)
