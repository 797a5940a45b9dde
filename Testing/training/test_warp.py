"""Elastic warps: image and label move together, as far as said, along the axes that the mesh has."""

import numpy as np
import pytest
import torch
from BladderAutoContourLib.training.warp import PAPER, Mesh, basis, draw_mesh, warp
from hypothesis import given
from hypothesis import strategies as st

SPACING_MM = (3.0, 3.0, 4.0)


@pytest.fixture
def ball() -> tuple[torch.Tensor, torch.Tensor]:
    """HU and label of a ball in fat."""
    z, y, x = np.mgrid[:24, :32, :32]
    label = torch.from_numpy(((z - 12) ** 2 + (y - 16) ** 2 + (x - 16) ** 2 < 49).astype(np.float32))
    return label * 110 - 100, label


def centre_mm(label: torch.Tensor) -> np.ndarray:
    """Where the label lies, (x, y, z)."""
    mass = [label.sum(dim=tuple({0, 1, 2} - {axis})) for axis in (2, 1, 0)]
    middles = [float((one * torch.arange(len(one))).sum() / one.sum()) for one in mass]
    return np.array(middles) * SPACING_MM


@pytest.mark.parametrize("mesh", [PAPER, draw_mesh(np.random.default_rng(1))])
def test_image_and_label_move_together(ball, mesh):
    for seed in range(5):
        hu, label = warp(*ball, SPACING_MM, mesh, np.random.default_rng(seed))
        assert not torch.allclose(label, ball[1], atol=0.1)
        assert torch.allclose((hu + 100) / 110, label, atol=1e-3)
        assert np.abs(centre_mm(label) - centre_mm(ball[1])).max() < mesh.reach_mm


def test_the_paper_warps_within_the_plane(ball):
    _, label = warp(*ball, SPACING_MM, PAPER, np.random.default_rng(1))
    moved, there = (one.sum(dim=(1, 2)) > 1e-3 for one in (label, ball[1]))
    assert not moved[~there].any()
    middle = [torch.argwhere(label[z] > 0.5).float().mean(dim=0) for z in (9, 15)]
    assert torch.allclose(*middle, atol=0.5)


def test_equal_coefficients_shift_everything_equally(ball):
    class Same:
        """A generator whose every number is the largest."""

        def uniform(self, low, high, size):
            return np.full(size, high)

    mesh = Mesh((2, 2, 2), 12.0)
    _, label = warp(*ball, SPACING_MM, mesh, Same())
    np.testing.assert_allclose(centre_mm(label) - centre_mm(ball[1]), -12.0, atol=0.05)


@given(st.integers(2, 60), st.integers(0, 5))
def test_weights_of_a_spline_add_up_to_one(voxels, intervals):
    weights = basis(voxels, intervals)
    assert weights.shape == (voxels, intervals + 3 if intervals else 1)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1)
