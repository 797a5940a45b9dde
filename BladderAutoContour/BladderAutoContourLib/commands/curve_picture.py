"""The picture of a training's curve: curve.png beside curve.csv."""

import itertools
from pathlib import Path

import numpy as np

from ..evaluation.chart import Chart
from ..pipeline.lettering import Colour, write_png
from ..training.curve import read_losses

NAME = "curve.png"
COLUMNS = 200  # the curve is drawn in at most so many pieces: their mean, and how far the losses of their steps reach
_REACH: Colour = (96, 78, 30)
_MEAN: Colour = (255, 196, 0)


def draw_curve(folder: Path) -> None:
    """Draw the losses of a stage's folder; those that are no number are left out. Raises OSError."""
    losses = np.array(read_losses(folder))
    steps = np.flatnonzero(np.isfinite(losses))
    if not steps.size:
        return
    high = max(float(losses[steps].max()), 1e-3)
    chart = Chart(f"Training: {folder.name}", "step", "loss", (0.0, float(losses.size)), (0.0, high))
    means = []
    for piece in np.array_split(steps, min(COLUMNS, steps.size)):
        x, part = float(piece.mean()) + 1, np.maximum(losses[piece], 0)
        chart.line((x, float(part.min())), (x, float(part.max())), _REACH)
        means.append((x, float(part.mean())))
    for start, end in itertools.pairwise(means):
        chart.line(start, end, _MEAN)
    write_png(chart.picture, folder / NAME)
