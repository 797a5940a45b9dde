"""The reliability curve counts what was promised and what was kept."""

import numpy as np
import pytest
from BladderAutoContourLib.evaluation.reliability import Tally, reliability, reliability_plot


def row(confidence: float | None, outcome: str, dice: float | None = None) -> dict:
    return {"confidence": confidence, "outcome": outcome, "dice": dice}


def test_bins_hold_their_cases_and_the_error_is_their_mean_gap():
    rows = [
        row(0.95, "contoured", 0.9),
        row(0.97, "contoured", 0.05),  # a contour of something else
        row(0.91, "false-contour"),
        row(0.45, "missed", 0.0),
        row(0.42, "none"),
        row(0.0, "none"),
        row(1.0, "contoured", 0.8),
        row(None, "failed"),
    ]
    found = reliability(rows)
    assert found is not None
    assert found.cases == 7
    assert [(one.lowest, one.cases, one.real) for one in found.bins] == [(0.0, 1, 0.0), (0.4, 2, 0.5), (0.9, 4, 0.5)]
    assert [one.confidence for one in found.bins] == pytest.approx([0.0, 0.435, 0.9575])
    assert found.expected_calibration_error == pytest.approx((0 + 2 * 0.065 + 4 * 0.4575) / 7)


def test_a_confidence_that_is_kept_has_no_error():
    rng = np.random.default_rng(5)
    promised = rng.uniform(size=20_000)
    kept = rng.uniform(size=20_000) < promised
    honest = [row(p, "contoured", 0.9) if k else row(p, "none") for p, k in zip(promised, kept, strict=True)]
    boastful = [{**one, "confidence": one["confidence"] ** 0.3} for one in honest]
    assert reliability(honest).expected_calibration_error < 0.02
    assert reliability(boastful).expected_calibration_error > 0.2


def test_nothing_judged_is_no_curve():
    assert reliability([row(None, "failed")]) is None
    assert reliability([]) is None


def test_the_plot_shows_every_bin():
    found = reliability([row(0.05, "none"), row(0.55, "contoured", 0.9), row(0.55, "none")])
    more = reliability([row(0.05, "none"), row(0.25, "missed", 0.0), row(0.55, "contoured", 0.9), row(0.55, "none")])
    few, many = (amber(reliability_plot(one)) for one in (found, more))
    assert many == pytest.approx(1.5 * few, rel=0.1)


def amber(picture: np.ndarray) -> int:
    return int(((picture[..., 0] > 150) & (picture[..., 2] < 60)).sum())


def test_voxels_are_tallied_as_if_they_came_at_once():
    rng = np.random.default_rng(2)
    promised = rng.uniform(size=(4, 3, 50))
    kept = rng.uniform(size=promised.shape) < promised
    parts, whole = Tally(), Tally()
    for p, k in zip(promised, kept, strict=True):
        parts.add(p, k)
    whole.add(promised, kept)
    for one, other in zip(parts.reliability().bins, whole.reliability().bins, strict=True):
        assert (one.lowest, one.cases) == (other.lowest, other.cases)
        assert (one.confidence, one.real) == pytest.approx((other.confidence, other.real))
    assert whole.reliability().cases == 600
    top = promised >= 0.9
    assert whole.reliability().bins[-1].real == pytest.approx(kept[top].mean())
    assert whole.reliability().bins[-1].confidence == pytest.approx(promised[top].mean())
    assert Tally().reliability() is None
