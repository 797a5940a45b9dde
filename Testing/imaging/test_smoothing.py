"""A CT under a Gaussian, slice by slice."""

import numpy as np
import pytest
from BladderAutoContourLib.imaging.smoothing import smoothed


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 9), (9, 3), (3, 3), (4, 12)])
def test_few_pixels_are_smoothed_too(rows: int, columns: int) -> None:
    hu = np.full((2, rows, columns), 40, np.int16)
    hu[1] = -100
    result = smoothed(hu, (9.0, 12.0, 3.0), 1.5)
    assert result.shape == hu.shape
    np.testing.assert_allclose(result, hu, atol=0.01)  # each slice by itself


def test_noise_goes_and_edges_stay_in_place() -> None:
    hu = np.random.default_rng(0).normal(0, 30, (3, 60, 60))
    hu[:, :, 30:] += 200
    result = smoothed(hu, (1.0, 1.0, 3.0), 2.0)
    assert result[:, 10:50, 5:20].std() < 6
    np.testing.assert_allclose(np.argmax(result.mean(axis=(0, 1)) > 100), 30, atol=1)
