"""The same crop as other kernels reconstruct it: smoother, or with edges that overshoot."""

import numpy as np
import torch
from BladderAutoContourLib.training.appearance import reconstructed


def edge() -> torch.Tensor:
    """Fat beside urine, the border along x, the same in every slice: HU (z, y, x)."""
    hu = torch.full((4, 12, 12), -100.0)
    hu[:, :, 6:] = 10.0
    return hu


def test_smoother_and_sharper_kernels_are_both_drawn() -> None:
    overshoots = [float(reconstructed(edge(), np.random.default_rng(seed)).max()) - 10.0 for seed in range(40)]
    softer = sum(overshoot < 0.01 for overshoot in overshoots)
    assert 8 < softer < 32
    assert 10 < max(overshoots) < 40


def test_away_from_edges_and_between_slices_nothing_changes() -> None:
    hu = edge()
    hu[2] += 30.0
    before = hu.clone()
    for seed in range(10):
        seen = reconstructed(hu, np.random.default_rng(seed))
        assert torch.equal(hu, before)
        assert torch.allclose(seen[..., :5], hu[..., :5], atol=1e-3)
        assert torch.allclose(seen[..., 7:], hu[..., 7:], atol=1e-3)
        assert torch.allclose(seen[2] - seen[1], torch.full((12, 12), 30.0), atol=1e-3)
        assert torch.allclose(seen.mean(), hu.mean(), atol=1e-2)
