"""From the networks' evidence to a confidence: a logistic curve fitted on generated scans with and without a bladder.

The scans are of the training family: nothing is fitted on what the weights are judged by.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from ...imaging.volume import Volume
from ...networks.plan import DecisionPlan
from ...phantom.case import draw_case
from ...phantom.fields import WITH_BLADDER, WITHOUT_BLADDER, draw_scan
from ...phantom.render import render
from ...pipeline.decide import logit
from ...pipeline.engine import Engine
from ...pipeline.steps import Progress
from .logistic import fit_logistic

FIRST_SEED = 700_000
SPACING_MM = (3.0, 3.0, 4.0)
PRIOR = 1.0  # strength of the pull towards slope 1: few scans must not make a step of the curve


@dataclass(frozen=True)
class Evidence:
    """What the networks said of one scan, and whether it showed a bladder."""

    value: float
    bladder: bool


def gather(engine: Engine, count: int, progress: Progress) -> list[Evidence]:
    """Evidence of `count` scans with a bladder and as many without, seeds of their own."""
    found = []
    for number in range(2 * count):
        bladder = number < count
        case = draw_case(FIRST_SEED + number)
        rng = np.random.default_rng([FIRST_SEED, number])
        kinds = WITH_BLADDER if bladder else WITHOUT_BLADDER
        scan = draw_scan(case, kinds[number % len(kinds)], SPACING_MM, rng)
        ct = Volume(render(case, scan.geometry).stored_hu(), scan.geometry)
        found.append(Evidence(engine.evidence(ct, lambda step, fraction: None), bladder))
        progress("calibrate", (number + 1) / (2 * count))
    return found


def fit(evidence: list[Evidence], plan: DecisionPlan) -> DecisionPlan:
    """The plan with slope and offset of maximum likelihood under a weak prior."""
    x = np.array([logit(one.value) for one in evidence])
    y = np.array([float(one.bladder) for one in evidence])
    design = np.stack((x, np.ones_like(x)), axis=1)
    centre = np.array([1.0, 0.0])
    precision = np.diag([PRIOR, 0.05 * PRIOR])
    weights = fit_logistic(design, y, centre, precision)
    return dataclasses.replace(plan, calibration_slope=float(weights[0]), calibration_offset=float(weights[1]))
