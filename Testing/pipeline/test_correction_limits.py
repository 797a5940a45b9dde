"""What a correction must not do elsewhere: wipe slices, carry a hole on, flatten a bulge, leave specks."""

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.pipeline.corrections.field import Reach, disagreement
from BladderAutoContourLib.pipeline.corrections.planes import touched_planes
from BladderAutoContourLib.pipeline.corrections.refine import Corrections
from BladderAutoContourLib.pipeline.engine import Engine
from correction_scene import Scene, scene

LEAST_MM2 = 25.0


def hazy(pelvis: Scene) -> Scene:
    """The same bladder in tissue that hardly differs from it; air and bone lie far off."""
    hu = np.where(pelvis.bladder, 8.0, 38.0) + np.random.default_rng(3).normal(0, 15, pelvis.bladder.shape)
    hu[:, :3], hu[:, -3:] = -1000, 300
    return dataclasses.replace(pelvis, ct=Volume(np.rint(hu).astype(np.int16), pelvis.ct.geometry))


def refined(engine: Engine, pelvis: Scene, predicted: np.ndarray, planes: dict[int, np.ndarray]) -> np.ndarray:
    """The mask after these axial planes were drawn so."""
    drawn, touched = predicted.copy(), np.zeros_like(predicted)
    for number, plane in planes.items():
        drawn[number], touched[number] = plane, True
    corrections = Corrections(pelvis.probability(predicted), pelvis.volume(drawn), pelvis.volume(touched))
    mask = engine.refine(pelvis.ct, corrections).result.mask.array > 0
    np.testing.assert_array_equal(mask[touched], drawn[touched])
    return mask


def filled(mask: np.ndarray) -> np.ndarray:
    """The slices that are not empty."""
    return np.flatnonzero(mask.any(axis=(1, 2)))


def test_an_emptied_slice_in_the_middle_empties_no_other(engine, pelvis):
    """Half of what lies on one side of it is out of reach: the other half may not go alone."""
    middle = int(np.median(filled(pelvis.bladder)))
    mask = refined(engine, pelvis, pelvis.bladder, {middle: np.zeros_like(pelvis.bladder[0])})
    lost = (pelvis.bladder & ~mask).sum(axis=(1, 2)) / pelvis.bladder.sum(axis=(1, 2)).clip(1)
    assert lost[middle] == 1
    assert np.delete(lost, middle).max() < 0.1


@pytest.mark.parametrize("radius_mm", [8.0, 12.0])
def test_a_hole_that_was_drawn_shortens_the_organ_nowhere(engine, pelvis, radius_mm):
    """A balloon left out: where it lies deep in the organ, its depth is more than the organ has at its end."""
    pelvis = hazy(pelvis)
    first = int(filled(pelvis.bladder)[0])
    rows, columns = np.indices(pelvis.bladder.shape[1:])
    centre = np.argwhere(pelvis.bladder).mean(axis=0)
    balloon = np.hypot(rows - centre[1], columns - centre[2]) * 3.0 <= radius_mm
    planes = {number: pelvis.bladder[number] & ~balloon for number in (first + 3, first + 5)}
    mask = refined(engine, pelvis, pelvis.bladder, planes)
    kept = (mask & pelvis.bladder)[first : first + 3].sum(axis=(1, 2)) / pelvis.bladder[first : first + 3].sum((1, 2))
    assert kept.min() > 0.9


def test_between_two_shifted_slices_a_bulge_stays():
    """The prediction knows that the organ is wider there; a line between the two outlines does not."""
    z, y, x = np.indices((11, 60, 60))
    radius_mm = 14.0 + 6.0 * (1 - ((z - 5) / 5.0) ** 2)
    predicted = np.hypot(y - 30, x - 30) * 2.0 <= radius_mm
    edited, touched = predicted.copy(), np.zeros_like(predicted)
    for end in (0, 10):
        edited[end], touched[end] = np.roll(predicted[end], 5, axis=1), True
    field = disagreement(predicted, edited, touched_planes(touched), (2.0, 2.0, 3.0), Reach())
    areas = (field.distance_mm < 0).sum(axis=(1, 2)) / predicted.sum(axis=(1, 2))
    assert areas[3:8].min() > 0.87


def test_no_speck_is_left_in_a_slice():
    """Each would be a contour of its own in the structure set. The shipped CRF-RNN follows noise that it is shown."""
    engine = Engine.load(None, "cpu")
    pelvis = scene((1.5, 1.5, 5.0), noise_hu=40.0)
    middle = int(np.median(filled(pelvis.bladder)))
    mask = refined(engine, pelvis, np.roll(pelvis.bladder, 3, axis=1), {middle: pelvis.bladder[middle]})
    for plane in mask[filled(mask)]:
        labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(plane.astype(np.uint8))))
        assert np.bincount(labels.ravel())[1:].min() * 1.5**2 >= LEAST_MM2
