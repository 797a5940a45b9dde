"""Augmentation changes what a scanner may change, and nothing of the crop it was given."""

import numpy as np
import pytest
import torch
from BladderAutoContourLib.networks.channels import AIR_HU, BODY_HU
from BladderAutoContourLib.networks.plan import StagePlan
from BladderAutoContourLib.training.augmentation import calibrated, in_slices, noise, noisy, recoloured, shaded, vary
from BladderAutoContourLib.training.samples import Recipe, replay

SEEDS = range(12)


@pytest.fixture
def hu() -> torch.Tensor:
    """A ball of 10 HU in fat, with air around: HU (z, y, x)."""
    z, y, x = np.mgrid[:16, :24, :24]
    away = (z - 8) ** 2 + (y - 12) ** 2 + (x - 12) ** 2
    return torch.from_numpy(np.where(away < 16, 10.0, np.where(away < 64, -100.0, AIR_HU)).astype(np.float32))


def test_the_curve_rises_and_keeps_water():
    values = torch.arange(-1100.0, 3101.0)
    for seed in SEEDS:
        curve = recoloured(values, np.random.default_rng(seed))
        assert bool((curve.diff() > 0).all())
        assert float(curve[values == 0]) == pytest.approx(0, abs=1e-4)
        assert not torch.equal(curve, values)


def test_calibration_keeps_the_order_of_any_two_values():
    values = torch.arange(-1100.0, 3101.0)
    for seed in SEEDS:
        assert bool((calibrated(values, np.random.default_rng(seed)).diff() > 0).all())


def test_shading_leaves_what_is_no_brighter_than_the_body_begins(hu):
    hu[0] = BODY_HU
    outside = hu <= BODY_HU
    for seed in SEEDS:
        shown = shaded(hu, np.random.default_rng(seed))
        assert torch.equal(shown[outside], hu[outside])
        assert not torch.equal(shown[~outside], hu[~outside])


def test_noise_has_one_strength_whatever_its_grain():
    grains = set()
    for seed in SEEDS:
        values = noise(torch.Size((24, 96, 96)), np.random.default_rng(seed))
        assert float(values.std()) == pytest.approx(1, abs=0.02)
        beside = float((values[:, :, 1:] * values[:, :, :-1]).mean())
        grains.add(beside > 0.02)
        assert float((values[1:] * values[:-1]).mean()) == pytest.approx(0, abs=0.02), "slices have noise of their own"
    assert grains == {True, False}


@pytest.mark.parametrize("change", [vary, recoloured, shaded, calibrated, noisy, in_slices])
def test_what_was_given_stays_and_what_comes_has_its_shape(hu, change):
    before = hu.clone()
    for seed in SEEDS:
        shown = change(hu, np.random.default_rng(seed))
        assert torch.equal(hu, before)
        assert (shown.shape, shown.dtype) == (hu.shape, torch.float32)
        again = change(hu, np.random.default_rng(seed))
        assert torch.equal(shown, again), "it follows from the generator alone"


@pytest.mark.parametrize(("stage", "least"), [("localiser", 0.16), ("segmenter", 0.34)])
def test_a_narrow_field_shows_less_from_side_to_side(stage: str, least: float) -> None:
    """The localiser must find a bladder in a CT that somebody cropped about it."""
    recipe = Recipe(stage, StagePlan((6.0, 6.0, 6.0), (64, 64, 48)), 1, 1, 1, 0.0, narrow=1.0)
    hu, label = torch.full((48, 64, 64), 40.0), torch.zeros(48, 64, 64)
    widths = []
    for seed in range(40):
        seen, _ = replay(hu, label, recipe, np.random.default_rng(seed))
        columns = (seen > -500).any(dim=1).any(dim=0).nonzero().flatten()
        widths.append((int(columns[-1]) - int(columns[0]) + 1) / 64)
    assert least - 1 / 32 <= min(widths) < least + 0.2
