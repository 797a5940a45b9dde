"""The confidence: fitted on evidence, it rises with it and tells bladders from what is none."""

import numpy as np
import pytest
from BladderAutoContourLib.evaluation.calibration.confidence import Evidence, fit
from BladderAutoContourLib.networks.plan import DecisionPlan
from BladderAutoContourLib.pipeline.decide import calibrated


def drawn(count: int, offset: float) -> list[Evidence]:
    rng = np.random.default_rng(3)
    logits = np.concatenate([rng.normal(3 + offset, 0.8, count), rng.normal(0 + offset, 0.8, count)])
    values = 1 / (1 + np.exp(-logits))
    return [Evidence(float(value), number < count) for number, value in enumerate(values)]


@pytest.mark.parametrize("offset", [-1.0, 0.0, 1.5])
def test_the_middle_between_both_kinds_is_even_odds(offset: float) -> None:
    plan = fit(drawn(400, offset), DecisionPlan())
    middle = 1 / (1 + np.exp(-(1.5 + offset)))
    assert calibrated(middle, plan) == pytest.approx(0.5, abs=0.1)
    assert calibrated(0.5 * middle, plan) < 0.3
    assert calibrated(1 - 0.5 * (1 - middle), plan) > 0.7


def test_nothing_seen_stays_nothing() -> None:
    plan = fit([Evidence(0.95, True)] * 5 + [Evidence(0.0, False)] * 5, DecisionPlan())
    assert calibrated(0.0, plan) == 0.0
    assert calibrated(0.95, plan) > 0.8
    assert plan.calibration_slope > 0


def test_few_scans_do_not_make_a_step_of_the_curve() -> None:
    plan = fit([Evidence(0.9, True), Evidence(0.6, False)], DecisionPlan())
    assert 0.05 < calibrated(0.75, plan) < 0.95
    assert plan.calibration_slope < 5
