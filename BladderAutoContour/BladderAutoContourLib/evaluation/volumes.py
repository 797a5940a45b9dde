"""How the contours' volumes agree with the references': Bland and Altman's bias and limits, and their plot."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..pipeline.lettering import Colour
from ..pipeline.preview import CONTOUR, LETTERS, QUIET
from .chart import Chart

LIMIT = 1.96  # standard deviations: 95 % of normally distributed differences
LIMITS: Colour = (80, 170, 230)
_LEAST_SPAN_ML = 5.0


@dataclass(frozen=True)
class VolumeAgreement:
    """Mean difference (result - reference) and its 95 % limits; the limits are the bias where there is one case."""

    cases: int
    bias_ml: float
    lower_ml: float
    upper_ml: float


def volume_agreement(pairs: Sequence[tuple[float, float]]) -> VolumeAgreement:
    """The agreement of pairs of (result, reference) in mL, at least one."""
    differences = np.array([result - reference for result, reference in pairs])
    bias = float(differences.mean())
    spread = LIMIT * float(differences.std(ddof=1)) if len(pairs) > 1 else 0.0
    return VolumeAgreement(len(pairs), bias, bias - spread, bias + spread)


def volume_plot(pairs: Sequence[tuple[float, float]]) -> np.ndarray:
    """Difference against mean of every pair (result, reference) in mL, with bias and limits; RGB uint8."""
    found = volume_agreement(pairs)
    means = [(result + reference) / 2 for result, reference in pairs]
    differences = [result - reference for result, reference in pairs]
    reach = 1.15 * max(_LEAST_SPAN_ML, *(abs(value) for value in (*differences, found.lower_ml, found.upper_ml)))
    right = 1.08 * max(means)
    title = f"Volumes of {found.cases} contoured cases: bias {found.bias_ml:+.1f} mL"
    lines = [(0.0, QUIET), (found.bias_ml, LETTERS)]
    if found.cases == 1:
        title = f"Volume of 1 contoured case: difference {found.bias_ml:+.1f} mL"
    else:
        title += f", 95 % limits {found.lower_ml:+.1f} and {found.upper_ml:+.1f} mL"
        lines += [(found.lower_ml, LIMITS), (found.upper_ml, LIMITS)]
    chart = Chart(
        title,
        "mean of result and reference, mL",
        "result - reference, mL (white: bias; blue: 95 % limits)",
        (0.0, right),
        (-reach, reach),
    )
    for value, colour in lines:
        chart.line((0.0, value), (right, value), colour)
    chart.points(means, differences, CONTOUR)
    return chart.picture
