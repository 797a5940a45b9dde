"""The whole pipeline on cases with a known bladder: what came of each, and the summary."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import NoBladderError
from ..pipeline.engine import Engine
from .cases import KnownCase
from .metrics import Scores, score
from .worst_cases import WorstCases

CONTOURED, MISSED, NONE_RIGHTLY, FALSE_CONTOUR, FAILED = "contoured", "missed", "none", "false-contour", "failed"
OUTCOMES = (CONTOURED, MISSED, NONE_RIGHTLY, FALSE_CONTOUR, FAILED)
"""What may come of a case: a contour, or none, of a bladder; none, or one, where there is no bladder; an error."""

METRICS = tuple(field.name for field in dataclasses.fields(Scores))
OF_CONTOURS_ALONE = ("rvd", "asd_mm", "msd_mm", "hd95_mm", "volume_ml")
"""Metrics that say nothing about a case without a contour: their means leave missed cases out."""


@dataclass(frozen=True)
class CaseResult:
    """One case. `scores` is None where there is no bladder or an error; a missed case scores Dice 0.

    confidence: of the contour, or of what resembled a bladder most where no contour came of it. device: where it was
    contoured, "" where no contour came of it. shown: whether the weights learnt from this patient.
    """

    name: str
    outcome: str
    seconds: float = 0.0
    confidence: float | None = None
    warnings: tuple[str, ...] = ()
    scores: Scores | None = None
    message: str = ""
    device: str = ""
    shown: bool = False

    def row(self) -> dict[str, Any]:
        """Plain data, one value a column; None where there is no number."""
        scores = dataclasses.asdict(self.scores) if self.scores else {}
        return {
            "case": self.name,
            "outcome": self.outcome,
            **{name: _number(scores.get(name)) for name in METRICS},
            "confidence": _number(self.confidence),
            "seconds": round(self.seconds, 2),
            "device": self.device,
            "shown": self.shown,
            "warnings": " ".join(self.warnings),
            "message": self.message,
        }


def evaluate_case(
    name: str, case: KnownCase, engine: Engine, check: Callable[[], None], worst: WorstCases | None = None
) -> CaseResult:
    """Contour one case and score it. `check` is called often and may raise to stop. Raises InputError.

    `worst` sees every case with a bladder or a contour; a false contour as Dice 0.
    """
    begun = time.perf_counter()
    is_there, result = bool(case.bladder.any()), np.zeros_like(case.bladder)
    warnings: tuple[str, ...] = ()
    message = device = ""
    try:
        found = engine.contour(case.ct, lambda step, fraction: check())
    except NoBladderError as error:
        outcome = MISSED if is_there else NONE_RIGHTLY
        confidence, message = error.confidence, error.message
    else:
        outcome = CONTOURED if is_there else FALSE_CONTOUR
        confidence, result, device = found.confidence, found.mask.array > 0, found.device
        warnings = tuple(dict.fromkeys(warning.code for warning in found.warnings))
    seconds = time.perf_counter() - begun
    scores = score(result, case.bladder, case.ct.geometry.spacing_mm) if is_there else None
    if worst and outcome != NONE_RIGHTLY:
        worst.see(name, scores.dice if scores else 0.0, case.ct, case.bladder, result)
    return CaseResult(name, outcome, seconds, confidence, warnings, scores, message, device)


def summary(results: Sequence[CaseResult]) -> dict[str, Any]:
    """How many cases came to what, which ones were missed, and mean and median of every metric.

    Missed cases count with Dice 0; see OF_CONTOURS_ALONE for the metrics that leave them out. Cases that the weights
    were shown do not count: they are no test of them.
    """
    shown = [one.name for one in results if one.shown]
    results = unseen(results)
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
        "shown_in_training": shown,
        "metrics": metrics,
    }


def unseen(results: Sequence[CaseResult]) -> list[CaseResult]:
    """Those that the weights were not shown."""
    return [one for one in results if not one.shown]


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 5)
