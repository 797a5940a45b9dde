"""What a training did for the patients that it was not shown: each before and after, as text and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import SOFTWARE_NAME, __version__
from ..networks.plan import Plan
from ..output_files import write_text
from .accuracy import CaseResult

SCHEMA = 1
TEXT, REPORT = "held-out.txt", "held-out.json"


@dataclass(frozen=True)
class Judged:
    """What weights made of the held-out patients. The results are in the order of the patients."""

    plan: Plan
    results: Sequence[CaseResult]

    @property
    def mean_dice(self) -> float | None:
        """Over the patients with a bladder, missed ones counting 0; None where there is none."""
        dices = [result.scores.dice for result in self.results if result.scores]
        return round(float(np.mean(dices)), 5) if dices else None


def write_comparison(folder: Path, before: Judged | None, after: Judged) -> str:
    """Write TEXT and REPORT into `folder`; returns the text. `before` is None where nothing was before.

    Raises OutputError.
    """
    sides = {"before": before, "after": after}
    there = {side: judged for side, judged in sides.items() if judged}
    report = {
        "schema": SCHEMA,
        "software": {"name": SOFTWARE_NAME, "version": __version__},
        "models": {side: {"name": one.plan.name, "sha256": one.plan.sha256} for side, one in there.items()},
        "mean_dice": {side: one.mean_dice for side, one in there.items()},
        "patients": [
            {"patient": result.name, **{side: one.results[number].row() for side, one in there.items()}}
            for number, result in enumerate(after.results)
        ],
    }
    text = as_text(before, after)
    write_text(folder / REPORT, json.dumps(report, indent=2) + "\n")
    write_text(folder / TEXT, text + "\n")
    return text


def as_text(before: Judged | None, after: Judged) -> str:
    """One line a patient: Dice, or what came of one without a bladder, and volume, before and after, the reference's
    volume; the mean Dice below."""
    there = [(side, judged) for side, judged in (("before", before), ("after", after)) if judged]
    width = max(len("mean"), len("patient"), *(len(result.name) for result in after.results))
    titles = [f"{f'{what} {side}':>14}" for side, _ in there for what in ("Dice", "mL")]
    lines = [f"{'patient':<{width}}" + "".join(titles) + f"{'reference mL':>14}"]
    for number, result in enumerate(after.results):
        rows = [judged.results[number].row() for _, judged in there]
        # where there is no bladder there is no Dice: what came of it stands in its place
        cells = [
            (f"{row['outcome']:>14}" if row["dice"] is None else _cell(row["dice"], 3)) + _cell(row["volume_ml"], 1)
            for row in rows
        ]
        lines.append(f"{result.name:<{width}}" + "".join(cells) + f"{_cell(rows[-1]['reference_ml'], 1):>14}")
    means = [_cell(judged.mean_dice, 3) + " " * 14 for _, judged in there]
    lines.append((f"{'mean':<{width}}" + "".join(means)).rstrip())
    return "\n".join(lines)


def _cell(value: Any, digits: int) -> str:
    return f"{'-' if value is None else f'{value:.{digits}f}':>14}"
