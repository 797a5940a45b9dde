"""The ablation as a picture: mean Dice of every row with its interval, a point each seed."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...pipeline.preview import CONTOUR, LETTERS, QUIET
from ..chart import Chart


def ablation_plot(found: Mapping[str, Any]) -> np.ndarray:
    """RGB uint8 (rows, columns, 3) of a report with at least one row (`scores.report`)."""
    rows = list(found["rows"].items())
    ends = [100 * row["dice"][key] for _, row in rows for key in ("low", "high")]
    ends += [100 * value for _, row in rows for value in row["dice_by_seed"].values()]
    room = max(0.5, 0.12 * (max(ends) - min(ends)))
    chart = Chart(
        f"Ablation: {rows[0][1]['cases']} cases",
        "row",
        "mean Dice % (bar: 95 % interval; points: seeds)",
        (0.5, len(rows) + 1.5),
        (min(ends) - room, max(ends) + room),
    )
    for place, (name, row) in enumerate(rows, start=1):
        low, mean, high = (100 * row["dice"][key] for key in ("low", "mean", "high"))
        chart.line((place, low), (place, high), QUIET)
        chart.line((place - 0.12, mean), (place + 0.12, mean), LETTERS)
        by_seed = [100 * value for value in row["dice_by_seed"].values()]
        chart.points([place] * len(by_seed), by_seed, CONTOUR)
        chart.note(place, mean, name, LETTERS)
    return chart.picture
