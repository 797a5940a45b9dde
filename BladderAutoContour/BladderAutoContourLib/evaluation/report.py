"""An evaluation as a table for a spreadsheet, as JSON, as pictures, and as text for the person at the screen."""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import SOFTWARE_NAME, __version__
from ..networks.plan import Plan
from ..output_files import put, remove, write_text
from ..pipeline.lettering import write_png
from .accuracy import CONTOURED, MISSED, OUTCOMES, CaseResult, summary, unseen
from .reliability import reliability, reliability_plot
from .volumes import volume_agreement, volume_plot

SCHEMA = 1
TABLE, REPORT = "evaluation.csv", "evaluation.json"
VOLUMES, RELIABILITY, WORST = "volumes.png", "reliability.png", "worst_cases.png"
_SHOWN = (
    ("dice", "Dice", ".3f"),
    ("asd_mm", "ASD mm", ".2f"),
    ("hd95_mm", "HD95 mm", ".2f"),
    ("volume_ml", "mL", ".0f"),
)


def write_evaluation(
    folder: Path, results: Sequence[CaseResult], plan: Plan, device: str, worst: np.ndarray | None = None
) -> None:
    """Write TABLE, REPORT, and the pictures that there is something for; `worst` is WorstCases.sheet().

    Raises OutputError.
    """
    rows = [result.row() for result in results]
    counted = unseen(results)
    pairs = [(one.scores.volume_ml, one.scores.reference_ml) for one in counted if one.outcome == CONTOURED]
    trust = reliability([one.row() for one in counted])
    report = {
        "schema": SCHEMA,
        "software": {"name": SOFTWARE_NAME, "version": __version__},
        "model": {"name": plan.name, "sha256": plan.sha256},
        "device": " and ".join(dict.fromkeys(one.device for one in results if one.device)) or device,
        "summary": summary(results),
        "volume_agreement": dataclasses.asdict(volume_agreement(pairs)) if pairs else None,
        "reliability": dataclasses.asdict(trust) if trust else None,
        "cases": rows,
    }
    write_text(folder / TABLE, _csv(rows))
    _write_picture(folder / VOLUMES, volume_plot(pairs) if pairs else None)
    _write_picture(folder / RELIABILITY, reliability_plot(trust) if trust else None)
    _write_picture(folder / WORST, worst)
    write_text(folder / REPORT, json.dumps(report, indent=2) + "\n")


def _write_picture(path: Path, picture: np.ndarray | None) -> None:
    """Write a picture likewise; where there is none, that of an earlier evaluation goes."""
    if picture is None:
        remove(path)
    else:
        put(path, lambda temporary: write_png(picture, temporary))


def as_text(results: Sequence[CaseResult]) -> str:
    """One line a case, mean and median, and how many cases came to what."""
    totals = summary(results)
    width = max(6, *(len(result.name) for result in results))
    head = f"{'case':<{width}}  {'outcome':<13}" + "".join(f"{title:>10}" for _, title, _ in _SHOWN) + "  reference mL"
    lines = [head]
    for result in results:
        line = f"{result.name:<{width}}  {result.outcome:<13}"
        if result.scores:
            line += _numbers(result.row()) + f"{result.scores.reference_ml:14.0f}"
        lines.append(line.rstrip())
    for which in ("mean", "median"):
        values = {name: metric[which] for name, metric in totals["metrics"].items()}
        if values:
            lines.append(f"{which:<{width}}  {'':<13}{_numbers(values)}")
    lines.append(", ".join(f"{totals[outcome]} {outcome}" for outcome in OUTCOMES))
    if totals[MISSED]:
        lines.append("Missed cases count with Dice 0, and not at all in mm and mL.")
    if shown := totals["shown_in_training"]:
        lines.append(f"{len(shown)} not counted, which the weights were shown in training: {', '.join(shown)}")
    return "\n".join(lines)


def _numbers(values: dict[str, Any]) -> str:
    found = [(values.get(name), form) for name, _, form in _SHOWN]
    return "".join(f"{'-' if value is None else format(value, form):>10}" for value, form in found)


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()
