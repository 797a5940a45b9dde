"""From the networks' evidence to a confidence: a logistic curve fitted on generated scans with and without a bladder.

A bladder is right where the contour touches the true one: what was taken for it in its place is none. The scans are of
the training family: nothing is fitted on what the weights are judged by.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from ...imaging.volume import Volume
from ...networks.plan import DecisionPlan
from ...phantom.case import Case, draw_case
from ...phantom.fields import WITH_BLADDER, WITHOUT_BLADDER, draw_scan
from ...phantom.render import render
from ...pipeline.decide import THRESHOLD, logit
from ...pipeline.engine import Engine
from ...pipeline.steps import Progress
from ..metrics import dice
from ..reliability import TOUCHING_DICE
from .logistic import fit_logistic

FIRST_SEED = 700_000
SPACING_MM = (3.0, 3.0, 4.0)
PRIOR = 1.0  # strength of the pull towards slope 1: few scans must not make a step of the curve


@dataclass(frozen=True)
class Evidence:
    """What the networks said of one scan, and whether what they meant is the bladder."""

    value: float
    bladder: bool


def gather(engine: Engine, count: int, progress: Progress) -> list[Evidence]:
    """Evidence of `count` scans with a bladder and as many without, seeds of their own.

    A scan whose bladder was not seen at all says nothing of what is seen, and is left out.
    """
    found = []
    for number in range(2 * count):
        bladder = number < count
        case = draw_case(FIRST_SEED + number)
        rng = np.random.default_rng([FIRST_SEED, number])
        kinds = WITH_BLADDER if bladder else WITHOUT_BLADDER
        scan = draw_scan(case, kinds[number % len(kinds)], SPACING_MM, rng)
        ct = Volume(render(case, scan.geometry).stored_hu(), scan.geometry)
        value, probability = engine.evidence(ct, lambda step, fraction: None)
        if value or not bladder:
            found.append(Evidence(value, bladder and _touches(probability, case)))
        progress("calibrate", (number + 1) / (2 * count))
    return found


def _touches(probability: Volume, case: Case) -> bool:
    """Whether what was seen is the case's bladder, on the grid that it was seen on."""
    truth = render(case, probability.geometry).bladder.numpy() >= THRESHOLD
    return dice(probability.array >= THRESHOLD, truth) >= TOUCHING_DICE


def fit(evidence: list[Evidence], plan: DecisionPlan) -> DecisionPlan:
    """The plan with slope and offset of maximum likelihood under a weak prior."""
    x = np.array([logit(one.value) for one in evidence])
    y = np.array([float(one.bladder) for one in evidence])
    design = np.stack((x, np.ones_like(x)), axis=1)
    centre = np.array([1.0, 0.0])
    precision = np.diag([PRIOR, 0.05 * PRIOR])
    weights = fit_logistic(design, y, centre, precision)
    return dataclasses.replace(plan, calibration_slope=float(weights[0]), calibration_offset=float(weights[1]))
