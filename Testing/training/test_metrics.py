"""Scores against known shapes and against scipy's distance transform."""

import math

import numpy as np
import pytest
from BladderAutoContourLib.training.metrics import dice, distances_mm, score, surface, surface_distances_mm
from scipy import ndimage

SPACING_MM = (1.0, 1.5, 2.5)  # x, y, z
SHAPE = (36, 48, 70)


def sphere(centre_mm: tuple[float, float, float], radius_mm: float, spacing_mm=SPACING_MM, shape=SHAPE) -> np.ndarray:
    """A solid sphere about a point (x, y, z) in mm from the first voxel's centre."""
    z, y, x = np.indices(shape)
    offsets = [index * step - at for index, step, at in zip((x, y, z), spacing_mm, centre_mm, strict=True)]
    return sum(offset**2 for offset in offsets) <= radius_mm**2


def blobs(seed: int) -> np.ndarray:
    """Ragged parts, some at the edge of the grid."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 3)
    return noise > np.percentile(noise, 93)


def scipy_directed_mm(start: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Distances from the surface of `start` to that of `target`, by scipy alone."""
    border = [mask & ~ndimage.binary_erosion(mask) for mask in (start, target)]
    return ndimage.distance_transform_edt(~border[1], sampling=SPACING_MM[::-1])[border[0]]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_distances_are_those_of_scipy(seed):
    mask = blobs(seed)
    expected = ndimage.distance_transform_edt(~mask, sampling=SPACING_MM[::-1])
    np.testing.assert_allclose(distances_mm(mask, SPACING_MM), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(surface(mask), mask & ~ndimage.binary_erosion(mask))


@pytest.mark.parametrize("seed", [4, 5])
def test_surface_scores_are_those_of_scipy(seed):
    predicted, reference = blobs(seed), blobs(seed + 100)
    there, back = scipy_directed_mm(predicted, reference), scipy_directed_mm(reference, predicted)
    both = np.concatenate((there, back))
    found = score(predicted, reference, SPACING_MM)
    assert found.asd_mm == pytest.approx(both.mean(), rel=1e-5)
    assert found.msd_mm == pytest.approx(both.max(), rel=1e-5)
    assert found.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-5)
    assert found.surface_dice_2mm == pytest.approx((both <= 2).mean(), abs=1e-9)


def test_overlap_scores_count_voxels():
    predicted, reference = np.zeros((4, 5, 6), bool), np.zeros((4, 5, 6), bool)
    predicted[1:3, 1:3, 1:4] = True  # 12 voxels
    reference[1:3, 1:3, 2:4] = True  # 8 of them
    found = score(predicted, reference, (1.0, 2.0, 5.0))
    assert found.dice == pytest.approx(16 / 20) == dice(predicted, reference)
    assert found.iou == pytest.approx(8 / 12)
    assert found.voe == pytest.approx(4 / 12)
    assert found.rvd == pytest.approx(0.5)
    assert found.pixel_accuracy == pytest.approx(1 - 4 / 120)
    assert (found.volume_ml, found.reference_ml) == pytest.approx((0.12, 0.08))
    assert found.msd_mm == pytest.approx(1.0)


@pytest.mark.parametrize(("axis", "step_mm"), list(enumerate(SPACING_MM)))
def test_a_moved_sphere_is_as_far_off_as_it_was_moved(axis, step_mm):
    reference = sphere((32.0, 34.0, 42.0), 18.0)
    moved = np.roll(reference, 3, axis=2 - axis)
    found = score(moved, reference, SPACING_MM)
    assert found.rvd == 0
    assert found.msd_mm == pytest.approx(3 * step_mm, abs=step_mm)
    assert 0.3 * 3 * step_mm < found.asd_mm < 0.7 * 3 * step_mm  # half of it, on average over a sphere
    assert found.asd_mm < found.hd95_mm <= found.msd_mm


@pytest.mark.parametrize("growth_mm", [1.0, 4.0])
def test_a_larger_sphere_is_off_by_the_difference_of_the_radii(growth_mm):
    spacing_mm, shape = (1.0, 1.0, 1.0), (60, 60, 60)
    reference = sphere((30.0, 30.0, 30.0), 20.0, spacing_mm, shape)
    larger = sphere((30.0, 30.0, 30.0), 20.0 + growth_mm, spacing_mm, shape)
    there, back = surface_distances_mm(larger, reference, spacing_mm)
    assert there.mean() == pytest.approx(growth_mm, abs=0.25)
    assert back.mean() == pytest.approx(growth_mm, abs=0.25)
    found = score(larger, reference, spacing_mm)
    assert found.rvd == pytest.approx((1 + growth_mm / 20) ** 3 - 1, abs=0.01)
    assert (found.surface_dice_2mm > 0.99) == (growth_mm < 2)


def test_scores_are_symmetric_but_for_the_volume():
    one, other = blobs(7), blobs(8)
    forth, back = score(one, other, SPACING_MM), score(other, one, SPACING_MM)
    for name in ("dice", "iou", "voe", "pixel_accuracy", "asd_mm", "msd_mm", "hd95_mm", "surface_dice_2mm"):
        assert getattr(forth, name) == pytest.approx(getattr(back, name)), name


def test_perfect_empty_and_impossible():
    mask = sphere((30.0, 30.0, 40.0), 12.0)
    perfect = score(mask, mask.astype(np.uint8), SPACING_MM)
    assert (perfect.dice, perfect.voe, perfect.asd_mm, perfect.msd_mm, perfect.surface_dice_2mm) == (1, 0, 0, 0, 1)
    missed = score(np.zeros_like(mask), mask, SPACING_MM)
    assert (missed.dice, missed.voe, missed.rvd, missed.surface_dice_2mm) == (0, 1, -1, 0)
    assert math.isnan(missed.asd_mm)
    assert math.isnan(missed.hd95_mm)
    with pytest.raises(ValueError, match="empty"):
        score(mask, np.zeros_like(mask), SPACING_MM)
    with pytest.raises(ValueError, match="grid"):
        score(mask[1:], mask, SPACING_MM)
    assert np.isinf(distances_mm(np.zeros((2, 2, 2), bool), SPACING_MM)).all()
