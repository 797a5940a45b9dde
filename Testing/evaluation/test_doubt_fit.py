"""The fitted doubt: slices whose features say so come out wrong first, on slices that the fit has not seen."""

import numpy as np
import pytest
from BladderAutoContourLib.evaluation.calibration.doubt import KnownSlices, fit
from BladderAutoContourLib.evaluation.slices import area_under_roc
from BladderAutoContourLib.pipeline.doubt import FEATURES, SliceFeatures, doubts


def drawn(count: int, seed: int) -> KnownSlices:
    """Slices that are wrong the more often the farther a weak isoline strays; the other features are noise."""
    rng = np.random.default_rng(seed)
    features = rng.gamma(2.0, 2.0, size=(count, len(FEATURES)))
    stray = np.log1p(features[:, FEATURES.index("weak_outward_mm")])
    return KnownSlices(features, rng.random(count) < 1 / (1 + np.exp(-4 * (stray - 1.5))))


def test_what_makes_slices_wrong_is_learnt_and_calibrated() -> None:
    plan = fit([drawn(300, seed) for seed in range(5)])
    assert max(plan.weights, key=lambda name: abs(plan.weights[name])) == "weak_outward_mm"
    unseen = drawn(4000, 99)
    found = np.array(doubts(SliceFeatures(0, unseen.features), plan))
    assert area_under_roc(found, unseen.wrong) > 0.85
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
        group = (found >= low) & (found < high)
        assert unseen.wrong[group].mean() == pytest.approx(found[group].mean(), abs=0.06)


def test_without_a_slice_nothing_is_fitted() -> None:
    with pytest.raises(ValueError, match="no slice"):
        fit([])
