"""Connected parts by their weight, and holes, against scipy's labels."""

import numpy as np
from BladderAutoContourLib.imaging.components import bounding_box, box_of_both, components, fill_holes, heaviest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

masks = hnp.arrays(bool, st.tuples(*[st.integers(1, 7) for _ in range(3)]))


@given(masks, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_parts_are_scipys_parts(mask: np.ndarray, seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.1, 1.0, mask.shape)
    labels, found = components(mask, weights)
    expected, count = ndimage.label(mask)
    assert len(found) == count
    assert [part.mass for part in found] == sorted((part.mass for part in found), reverse=True)
    for part in found:
        where = labels == part.label
        assert len(np.unique(expected[where])) == 1
        assert part.voxels == where.sum()
        np.testing.assert_allclose(part.mass, weights[where].sum())
        np.testing.assert_allclose(part.centroid[::-1], ndimage.center_of_mass(weights * where))
    if count:
        np.testing.assert_array_equal(heaviest(mask, weights), labels == found[0].label)


@given(masks)
@settings(max_examples=60, deadline=None)
def test_filled_mask_has_no_hole_left_and_loses_nothing(mask: np.ndarray) -> None:
    solid = fill_holes(mask)
    assert (solid | ~mask).all()
    for layer in solid:
        np.testing.assert_array_equal(layer, ndimage.binary_fill_holes(layer))
    cavities = ndimage.binary_fill_holes(mask)
    assert (solid | ~cavities).all()


@given(masks)
@settings(max_examples=30, deadline=None)
def test_box_is_the_smallest(mask: np.ndarray) -> None:
    box = bounding_box(mask)
    if not mask.any():
        assert box is None
        return
    assert mask[box].sum() == mask.sum()
    assert all(face.any() for axis in range(3) for face in np.moveaxis(mask[box], axis, 0)[[0, -1]])


def test_heavier_wins_over_larger() -> None:
    weights = np.zeros((5, 5, 9))
    weights[1:4, 1:4, 1:4] = 0.3  # 27 voxels
    weights[2, 2, 6:8] = 6.0
    assert heaviest(weights > 0, weights).sum() == 2


def test_margin_stays_inside_the_array() -> None:
    mask = np.zeros((6, 6, 6), bool)
    mask[0, 3, 5] = True
    assert bounding_box(mask, margin=2) == (slice(0, 3), slice(1, 6), slice(3, 6))


def test_empty_masks() -> None:
    empty = np.zeros((3, 3, 3), bool)
    assert not heaviest(empty, empty.astype(float)).any()
    assert not fill_holes(empty).any()
    assert components(empty, empty.astype(float))[1] == ()


@given(masks, masks)
@settings(max_examples=30, deadline=None)
def test_box_of_both_is_the_box_of_the_union(mask: np.ndarray, other: np.ndarray) -> None:
    other = np.resize(other, mask.shape)
    assert box_of_both(bounding_box(mask), bounding_box(other)) == bounding_box(mask | other)


@given(masks, st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_box_above_a_level_is_that_of_what_is_above(mask: np.ndarray, seed: int) -> None:
    values = np.random.default_rng(seed).uniform(0, 1, mask.shape)
    assert bounding_box(values, above=0.8) == bounding_box(values > 0.8)
