"""The temperature: fitted so that voxels near a contour are as sure as they are right, and no contour moves."""

import dataclasses

import numpy as np
import pytest
import torch
from BladderAutoContourLib.evaluation.calibration.temperature import HIGHEST, NearVoxels, fit, with_temperature
from BladderAutoContourLib.networks.plan import CrfPlan, NetworkPlan, Plan, StagePlan
from BladderAutoContourLib.networks.weights import Networks, build_networks

STAGE = StagePlan((3.0, 3.0, 3.0), (16, 16, 16), network=NetworkPlan(width=2))


def drawn(too_sure: float, count: int, seed: int) -> NearVoxels:
    """Voxels whose log odds are `too_sure` times what they should be."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(0, 2, count)
    bladder = rng.random(count) < 1 / (1 + np.exp(-margins))
    return NearVoxels((1 / (1 + np.exp(-too_sure * margins))).astype(np.float32), bladder)


def networks_with(temperature: float | None) -> Networks:
    torch.manual_seed(1)
    return build_networks(Plan("small", STAGE, STAGE, CrfPlan(temperature=temperature)))


@pytest.mark.parametrize("too_sure", [0.3, 1.0, 2.0, 3.0])
def test_the_factor_is_how_much_too_sure_the_voxels_were(too_sure: float) -> None:
    found = fit([drawn(too_sure, 20_000, seed) for seed in range(4)])
    assert found == pytest.approx(too_sure, rel=0.06)


def test_a_large_scan_does_not_outweigh_the_others() -> None:
    large, small = drawn(4.0, 2_000_000, 1), [drawn(1.0, 20_000, seed) for seed in range(2, 8)]
    assert fit([large, *small]) < 1.5


def test_what_says_nothing_makes_no_endless_temperature() -> None:
    rng = np.random.default_rng(5)
    chance = NearVoxels(rng.random(40_000).astype(np.float32), rng.random(40_000) < 0.5)
    assert fit([chance]) == pytest.approx(HIGHEST)
    with pytest.raises(ValueError, match="no voxel"):
        fit([])


def test_probabilities_soften_and_no_voxel_changes_sides() -> None:
    networks = networks_with(2.0)
    softer = with_temperature(networks, 3.0)
    assert softer.crf.log_temperature.exp().item() == pytest.approx(6.0)
    assert networks.crf.log_temperature.exp().item() == pytest.approx(2.0)
    rng = torch.Generator().manual_seed(2)
    logits, hu = torch.randn(1, 2, 8, 8, 8, generator=rng), 50 * torch.randn(1, 8, 8, 8, generator=rng)
    with torch.no_grad():
        before, after = (one.crf(logits, hu, (3.0, 3.0, 3.0)) for one in (networks, softer))
    assert torch.allclose(after, before / 3, atol=1e-5)


def test_the_papers_crf_without_a_temperature_stays() -> None:
    networks = networks_with(None)
    assert dataclasses.asdict(with_temperature(networks, 3.0).plan) == dataclasses.asdict(networks.plan)
    assert with_temperature(networks, 3.0).crf is networks.crf
