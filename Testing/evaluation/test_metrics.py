"""Scores against known shapes, against scipy and SimpleITK, and properties that hold for any masks."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
from BladderAutoContourLib.evaluation.metrics import dice, distances_mm, score, surface, surface_distances_mm
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
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


def itk_image(mask: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(SPACING_MM)
    return image


def itk_directed_mm(start: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Distances from the surface of `start` to that of `target`, by SimpleITK alone; masks clear of the grid's edge."""
    border, goal = (sitk.LabelContour(itk_image(mask), False) for mask in (start, target))
    away = sitk.Abs(sitk.SignedMaurerDistanceMap(goal, squaredDistance=False, useImageSpacing=True))
    return sitk.GetArrayFromImage(away)[sitk.GetArrayFromImage(border) > 0]


@pytest.mark.parametrize("seed", [11, 12])
def test_scores_are_those_of_simpleitk(seed):
    clear = sphere((34.0, 35.0, 43.0), 28.0)
    predicted, reference = blobs(seed) & clear, blobs(seed + 100) & clear
    found = score(predicted, reference, SPACING_MM)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(itk_image(reference), itk_image(predicted))
    assert found.dice == pytest.approx(overlap.GetDiceCoefficient())
    assert found.iou == pytest.approx(overlap.GetJaccardCoefficient())
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(itk_image(predicted))
    assert found.volume_ml == pytest.approx(shape.GetPhysicalSize(1) / 1000)
    there, back = itk_directed_mm(predicted, reference), itk_directed_mm(reference, predicted)
    both = np.concatenate((there, back))
    assert found.asd_mm == pytest.approx(both.mean(), rel=1e-4)
    assert found.msd_mm == pytest.approx(both.max(), rel=1e-4)
    assert found.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-4)
    # a region's farthest voxel from the other region lies on its surface
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(itk_image(predicted), itk_image(reference))
    assert found.msd_mm >= hausdorff.GetHausdorffDistance() * (1 - 1e-5)


SMALL = (4, 5, 6)
masks = arrays(bool, SMALL)
solid = masks.filter(np.any)
steps = st.floats(0.3, 6.0)
spacings = st.tuples(steps, steps, steps)


@given(masks, solid, spacings)
def test_any_scores_are_within_their_bounds_and_agree_with_each_other(predicted, reference, spacing_mm):
    found = score(predicted, reference, spacing_mm)
    assert 0 <= found.iou <= found.dice <= 1
    assert found.dice == pytest.approx(2 * found.iou / (1 + found.iou))
    assert found.voe == pytest.approx(1 - found.iou)
    assert found.rvd == pytest.approx(found.volume_ml / found.reference_ml - 1)
    assert 0 <= found.surface_dice_2mm <= 1
    if predicted.any():
        diagonal = math.hypot(*((size - 1) * step for size, step in zip(SMALL[::-1], spacing_mm, strict=True)))
        assert 0 <= found.asd_mm <= found.msd_mm <= diagonal * (1 + 1e-5)
        assert found.hd95_mm <= found.msd_mm
    else:
        assert all(math.isnan(value) for value in (found.asd_mm, found.msd_mm, found.hd95_mm))


@given(solid, solid, spacings)
def test_any_two_masks_may_change_places(one, other, spacing_mm):
    forth, back = score(one, other, spacing_mm), score(other, one, spacing_mm)
    for name in ("dice", "iou", "voe", "pixel_accuracy", "asd_mm", "msd_mm", "hd95_mm", "surface_dice_2mm"):
        assert getattr(forth, name) == pytest.approx(getattr(back, name)), name


@given(solid, spacings)
def test_any_mask_agrees_with_itself(mask, spacing_mm):
    found = score(mask, mask, spacing_mm)
    assert (found.dice, found.iou, found.pixel_accuracy, found.surface_dice_2mm) == (1, 1, 1, 1)
    assert (found.voe, found.rvd, found.asd_mm, found.msd_mm, found.hd95_mm) == (0, 0, 0, 0, 0)


@given(solid, solid, spacings, st.floats(0.5, 3.0))
def test_distances_grow_with_the_spacing(one, other, spacing_mm, factor):
    found = score(one, other, spacing_mm)
    larger = score(one, other, tuple(factor * step for step in spacing_mm))
    for name in ("asd_mm", "msd_mm", "hd95_mm"):
        assert getattr(larger, name) == pytest.approx(factor * getattr(found, name), rel=1e-4, abs=1e-6), name
    assert larger.dice == found.dice
    assert larger.volume_ml == pytest.approx(factor**3 * found.volume_ml)


@pytest.mark.parametrize(("axis", "step_mm"), list(enumerate(SPACING_MM)))
def test_a_box_one_voxel_longer_is_one_step_off_at_that_end(axis, step_mm):
    reference = np.zeros((12, 12, 12), bool)
    reference[3:8, 3:8, 3:8] = True
    longer = reference | np.roll(reference, 1, axis=2 - axis)
    assert score(longer, reference, SPACING_MM).msd_mm == pytest.approx(step_mm)
    cubic = score(longer, reference, (2.0, 2.0, 2.0))
    assert cubic.rvd == pytest.approx(1 / 5)
    # of the longer box the 25 end voxels are off; of the shorter the 9 within its end: a rim voxel is surface of both
    surfaces = (5 * 5 * 6 - 3 * 3 * 4) + (5**3 - 3**3)
    assert cubic.asd_mm == pytest.approx(2.0 * (25 + 9) / surfaces)
