"""The cosine series of the appearance kernel, measured beside the engine's, against the kernel's definition."""

import math

import pytest
import torch
from BladderAutoContourLib.evaluation.peers.cosine_series import CosineSeries

SHAPE, SPACING_MM, SIGMA_MM, SIGMA_HU, WINDOW_HU = (3, 4, 5), (2.0, 2.0, 3.0), (6.0, 6.0, 6.0), 30.0, (-200.0, 300.0)


@pytest.mark.parametrize(("reach", "filters"), [(2.0, 13), (3.0, 21)])
def test_the_series_errs_by_what_the_gaussian_has_at_its_reach(reach, filters):
    random = torch.Generator().manual_seed(3)
    low, high = WINDOW_HU
    hu = low + (high - low) * torch.rand(1, *SHAPE, generator=random)
    hu[0, 0, 0, :2] = torch.tensor(WINDOW_HU)  # the furthest apart that two voxels can be
    count = math.prod(SHAPE)
    kernel = CosineSeries(reach, hu, SPACING_MM, SIGMA_MM, SIGMA_HU, WINDOW_HU)
    assert kernel.nodes == filters
    rows = torch.stack([kernel(one.view(1, 1, *SHAPE)).flatten() for one in torch.eye(count)])
    places = torch.stack(torch.meshgrid(*(torch.arange(n) for n in SHAPE), indexing="ij"), -1).view(count, 3)
    apart = torch.cdist(places * torch.tensor(SPACING_MM[::-1]), places * torch.tensor(SPACING_MM[::-1])) / 6.0
    intensity = (hu.flatten() / SIGMA_HU)[:, None]
    exact = torch.exp(-(apart**2) / 2 - (intensity - intensity.T) ** 2 / 2)
    assert torch.allclose(rows, rows.T, atol=1e-5)
    assert 0.0 < (rows - exact).abs().max() < 1.5 * math.exp(-(reach**2) / 2)
