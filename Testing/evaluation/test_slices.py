"""Wrong slices are found by their outlines, and ranked as an independent statistic says."""

import numpy as np
import pytest
from BladderAutoContourLib.evaluation.slices import area_under_roc, in_plane_hd95_mm, slice_errors
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats

SPACING_MM = (1.5, 2.0, 5.0)


def disc(radius_mm: float, at_mm: tuple[float, float] = (45.0, 50.0)) -> np.ndarray:
    y, x = np.indices((50, 60))
    return np.hypot(x * SPACING_MM[0] - at_mm[0], y * SPACING_MM[1] - at_mm[1]) <= radius_mm


def scipy_hd95_mm(one: np.ndarray, other: np.ndarray) -> float:
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (one, other)]
    away = [ndimage.distance_transform_edt(~border, sampling=SPACING_MM[1::-1]) for border in borders]
    return max(np.percentile(away[1][borders[0]], 95), np.percentile(away[0][borders[1]], 95))


@pytest.mark.parametrize("other", [disc(20), disc(26), disc(20, (52.0, 50.0)), disc(20) & ~disc(8)])
def test_the_distance_is_in_the_plane_and_as_scipy_says(other):
    assert in_plane_hd95_mm(disc(20), other, SPACING_MM) == pytest.approx(scipy_hd95_mm(disc(20), other), rel=1e-5)
    assert in_plane_hd95_mm(other, disc(20), SPACING_MM) == in_plane_hd95_mm(disc(20), other, SPACING_MM)


def test_slices_are_right_wrong_missed_or_added():
    nothing = np.zeros_like(disc(20))
    contour = np.stack([nothing, disc(20), disc(20), disc(20), nothing, nothing])
    reference = np.stack([nothing, nothing, disc(22), disc(30), disc(12), nothing])
    found = slice_errors(contour, reference, SPACING_MM)
    assert [error.number for error in found] == [1, 2, 3, 4]
    assert [error.wrong for error in found] == [True, False, True, True]
    assert [error.added for error in found] == [True, False, False, False]
    assert [error.missed for error in found] == [False, False, False, True]
    assert found[2].hd95_mm == pytest.approx(10, abs=2)
    assert np.isinf(found[3].hd95_mm)


scored = st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), st.booleans())


@given(st.lists(scored, min_size=2, max_size=40))
def test_the_area_is_that_of_mann_and_whitney(items):
    scores, wrong = (np.array(values) for values in zip(*items, strict=True))
    area = area_under_roc(scores, wrong)
    if wrong.all() or not wrong.any():
        assert np.isnan(area)
    else:
        statistic = stats.mannwhitneyu(scores[wrong], scores[~wrong]).statistic
        assert area == pytest.approx(statistic / (wrong.sum() * (~wrong).sum()))


def test_perfect_reversed_and_constant_scores():
    wrong = np.array([True, True, False, False])
    assert area_under_roc(np.array([4, 3, 2, 1]), wrong) == 1
    assert area_under_roc(np.array([1, 2, 3, 4]), wrong) == 0
    assert area_under_roc(np.zeros(4), wrong) == 0.5
