"""Corrections of a few slices carry over to the others, and nothing that a clinician decided changes."""

import dataclasses

import numpy as np
import pytest
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.pipeline.corrections.planes import touched_planes
from BladderAutoContourLib.pipeline.corrections.refine import Corrections, Refinement
from BladderAutoContourLib.pipeline.engine import Engine
from correction_scene import Scene, dice, scene

AXES = {"axial": 0, "coronal": 1, "sagittal": 2}
OBLIQUE = ((0.8, -0.6, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0))


def corrected(
    engine: Engine, pelvis: Scene, predicted: np.ndarray, numbers: list[int], view: str = "axial"
) -> tuple[Refinement, np.ndarray, np.ndarray]:
    """Outline the true bladder on some planes and propagate: what came of it, what was drawn, what was touched."""
    drawn, touched = predicted.copy(), np.zeros(predicted.shape, dtype=bool)
    planes = tuple([slice(None)] * AXES[view] + [numbers])
    drawn[planes], touched[planes] = pelvis.bladder[planes], True
    corrections = Corrections(pelvis.probability(predicted), pelvis.volume(drawn), pelvis.volume(touched))
    refinement = engine.refine(pelvis.ct, corrections).result
    check(refinement, drawn, touched)
    return refinement, drawn, touched


def check(refinement: Refinement, drawn: np.ndarray, touched: np.ndarray) -> None:
    """What holds of every refinement."""
    mask = refinement.mask.array > 0
    np.testing.assert_array_equal(mask[touched], drawn[touched])
    np.testing.assert_array_equal(refinement.probability.array >= np.float32(0.5), mask)
    assert refinement.touched_slices == tuple(np.flatnonzero(touched.any(axis=(1, 2))))
    assert refinement.changed_slices == tuple(np.flatnonzero((mask != drawn).any(axis=(1, 2))))


def middle(array: np.ndarray, axis: int = 0) -> int:
    """The index of the middle plane that is not empty."""
    filled = np.flatnonzero(array.any(axis=tuple(other for other in range(3) if other != axis)))
    return int(filled[len(filled) // 2])


def test_without_a_touched_voxel_everything_stays(engine, pelvis):
    predicted = pelvis.bladder | pelvis.bowel
    corrections = Corrections(
        pelvis.probability(predicted), pelvis.volume(pelvis.bladder), pelvis.volume(np.zeros_like(predicted))
    )
    refinement = engine.refine(pelvis.ct, corrections).result
    np.testing.assert_array_equal(refinement.mask.array, pelvis.bladder)
    np.testing.assert_array_equal(refinement.probability.array, corrections.probability.array)
    assert refinement.touched_slices == refinement.changed_slices == ()


@pytest.mark.parametrize("view", AXES)
def test_a_leak_cut_on_two_planes_recedes_on_those_between(engine, pelvis, view):
    predicted = pelvis.bladder | pelvis.bowel
    centre = middle(pelvis.bowel, AXES[view])
    refinement, drawn, _ = corrected(engine, pelvis, predicted, [centre - 3, centre + 3], view)
    mask = refinement.mask.array > 0
    between = tuple([slice(None)] * AXES[view] + [slice(centre - 2, centre + 3)])
    leaked = (pelvis.bowel & ~pelvis.bladder)[between]
    assert (mask[between] & leaked).sum() < 0.15 * leaked.sum()
    assert dice(mask, pelvis.bladder) > dice(drawn, pelvis.bladder) + 0.01
    assert refinement.changed_slices


def test_a_missing_dome_grows_from_one_outlined_slice(engine, pelvis):
    predicted = pelvis.bladder.copy()
    top = int(np.flatnonzero(pelvis.bladder.any(axis=(1, 2)))[-1])
    predicted[top - 6 :] = False
    refinement, drawn, _ = corrected(engine, pelvis, predicted, [top - 3])
    mask = refinement.mask.array > 0
    missed = pelvis.bladder & ~drawn
    assert (mask & missed).sum() > 0.7 * missed.sum()
    assert dice(mask, pelvis.bladder) > 0.97
    assert not mask[top + 3 :].any(), "the organ grew without end"


def test_a_missed_bladder_grows_from_three_outlined_slices(engine, pelvis):
    nothing = np.zeros_like(pelvis.bladder)
    filled = np.flatnonzero(pelvis.bladder.any(axis=(1, 2)))
    refinement, _, _ = corrected(engine, pelvis, nothing, [int(filled[k]) for k in (3, 9, 15)])
    assert dice(refinement.mask.array > 0, pelvis.bladder) > 0.93


def test_a_shifted_contour_follows_two_corrected_slices(engine, pelvis):
    predicted = np.roll(pelvis.bladder, 2, axis=2)  # 6 mm
    centre = middle(pelvis.bladder)
    refinement, drawn, _ = corrected(engine, pelvis, predicted, [centre - 4, centre + 4])
    assert 1 - dice(refinement.mask.array > 0, pelvis.bladder) < 0.5 * (1 - dice(drawn, pelvis.bladder))


def test_an_emptied_slice_ends_the_organ(engine, pelvis):
    predicted = pelvis.bladder.copy()
    top = int(np.flatnonzero(pelvis.bladder.any(axis=(1, 2)))[-1])
    predicted[top : top + 5] = predicted[top - 1]  # runs on beyond the dome
    drawn, touched = predicted.copy(), np.zeros_like(predicted)
    drawn[top + 1], touched[top + 1] = False, True
    corrections = Corrections(pelvis.probability(predicted), pelvis.volume(drawn), pelvis.volume(touched))
    refinement = engine.refine(pelvis.ct, corrections).result
    check(refinement, drawn, touched)
    mask = refinement.mask.array > 0
    assert not mask[top + 1 :].any()
    assert dice(mask, pelvis.bladder) > 0.97


@pytest.mark.parametrize("outlined", [[17], [11, 15]])
def test_what_was_erased_elsewhere_does_not_draw_the_organ_there(engine, pelvis, outlined):
    """The wrong structure was contoured: without a word of it the organ closes as if nothing had been."""
    elsewhere, nothing = np.zeros_like(pelvis.bladder), np.zeros_like(pelvis.bladder)
    elsewhere[29:33, 18:30, 18:30] = True
    alone, _drawn, touched = corrected(engine, pelvis, nothing, outlined)
    touched[29:33] = True
    drawn = nothing.copy()
    drawn[outlined] = pelvis.bladder[outlined]
    corrections = Corrections(pelvis.probability(elsewhere), pelvis.volume(drawn), pelvis.volume(touched))
    refinement = engine.refine(pelvis.ct, corrections).result
    check(refinement, drawn, touched)
    assert dice(refinement.mask.array > 0, alone.mask.array > 0) > 0.99
    assert not refinement.mask.array[27:].any()  # the true one ends at 26


def test_everything_erased_leaves_nothing(engine, pelvis):
    drawn, touched = np.zeros_like(pelvis.bladder), np.ones_like(pelvis.bladder)
    corrections = Corrections(pelvis.probability(pelvis.bladder), pelvis.volume(drawn), pelvis.volume(touched))
    refinement = engine.refine(pelvis.ct, corrections).result
    check(refinement, drawn, touched)
    assert not refinement.mask.array.any()


def test_a_stroke_that_touched_a_part_of_a_slice_counts_there(engine, pelvis):
    predicted = pelvis.bladder | pelvis.bowel
    centre = middle(pelvis.bowel)
    drawn, touched = predicted.copy(), np.zeros_like(predicted)
    for number in (centre - 2, centre + 2):
        touched[number] = pelvis.bowel[number]  # the eraser's path alone
        drawn[number] &= ~pelvis.bowel[number]
    corrections = Corrections(pelvis.probability(predicted), pelvis.volume(drawn), pelvis.volume(touched))
    refinement = engine.refine(pelvis.ct, corrections).result
    check(refinement, drawn, touched)
    leaked = pelvis.bowel[centre - 1 : centre + 2]
    assert (refinement.mask.array[centre - 1 : centre + 2][leaked] > 0).mean() < 0.3


def test_a_second_propagation_moves_nothing_twice(engine, pelvis):
    predicted = np.roll(pelvis.bladder, 2, axis=2)
    first, _, touched = corrected(engine, pelvis, predicted, [middle(pelvis.bladder)])
    again = engine.refine(pelvis.ct, Corrections(first.probability, first.mask, pelvis.volume(touched))).result
    assert dice(again.mask.array > 0, first.mask.array > 0) > 0.985
    drawn = first.mask.array > 0
    same = engine.refine(
        pelvis.ct, Corrections(pelvis.probability(predicted), first.mask, pelvis.volume(touched))
    ).result
    np.testing.assert_array_equal(same.mask.array > 0, drawn)


def test_what_no_correction_reaches_stays(engine, pelvis):
    predicted = pelvis.bladder.copy()
    predicted[6, 10:13, 10:13] = True  # drawn by somebody, far from the correction
    last = int(np.flatnonzero(pelvis.bladder.any(axis=(1, 2)))[-1])
    refinement, drawn, _ = corrected(engine, pelvis, predicted, [last])
    np.testing.assert_array_equal(refinement.mask.array[:8] > 0, drawn[:8])


def test_the_same_comes_out_again_and_in_an_oblique_scan(engine, pelvis):
    predicted = pelvis.bladder | pelvis.bowel
    first, _, _ = corrected(engine, pelvis, predicted, [middle(pelvis.bowel)])
    for other in (pelvis, scene(direction=OBLIQUE)):
        second, _, _ = corrected(engine, other, predicted, [middle(pelvis.bowel)])
        np.testing.assert_array_equal(first.mask.array, second.mask.array)
        np.testing.assert_array_equal(first.probability.array, second.probability.array)
        assert second.mask.geometry == other.ct.geometry


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 8.0), (3.0, 1.5, 2.0)], ids=str)
def test_voxels_of_other_shapes(engine, spacing_mm):
    pelvis = scene(spacing_mm)
    predicted = pelvis.bladder | pelvis.bowel
    centre, apart = middle(pelvis.bowel), round(8 / spacing_mm[2])
    refinement, drawn, _ = corrected(engine, pelvis, predicted, [centre - apart, centre + apart])
    assert 1 - dice(refinement.mask.array > 0, pelvis.bladder) < 0.6 * (1 - dice(drawn, pelvis.bladder))


def test_touched_voxels_are_sorted_by_the_view_they_were_painted_in():
    touched = np.zeros((8, 10, 12), dtype=bool)
    touched[3] = True
    touched[:, :, 7] = True
    axial, sagittal = touched_planes(touched)
    assert (axial.axis, axial.numbers, sagittal.axis, sagittal.numbers) == (0, (3,), 2, (7,))
    assert (axial.voxels ^ sagittal.voxels == touched).all()


def test_whole_slices_are_axial_however_many_there_are():
    touched = np.zeros((80, 40, 40), dtype=bool)
    touched[10:70] = True
    (planes,) = touched_planes(touched)
    assert planes.axis == 0
    assert planes.numbers == tuple(range(10, 70))


def test_a_stroke_beside_whole_slices_belongs_to_its_own_view():
    touched = np.zeros((20, 30, 32), dtype=bool)
    touched[[2, 5, 16]] = True  # 3 voxels of every sagittal plane are in these; the stroke holds but 2 of each slice
    touched[8:14, 10:12, 7] = True
    axial, sagittal = touched_planes(touched)
    assert (axial.axis, axial.numbers, sagittal.axis, sagittal.numbers) == (0, (2, 5, 16), 2, (7,))
    assert sagittal.voxels.sum() == 12


def test_a_sagittal_stroke_carries_on_beside_whole_slices(engine, pelvis):
    """A dent in the wall, filled in one sagittal plane by somebody who had outlined axial slices above and below."""
    z, y, x = np.indices(pelvis.bladder.shape)
    centre, column = middle(pelvis.bladder), middle(pelvis.bladder, AXES["sagittal"])
    wall = int(np.flatnonzero(pelvis.bladder[centre, :, column])[0])
    dent = pelvis.bladder & (
        ((z - centre) * 4 / 14) ** 2 + ((y - wall) * 3 / 11) ** 2 + ((x - column) * 3 / 14) ** 2 < 1
    )
    predicted = pelvis.bladder & ~dent
    stroke = dent & (x == column)
    touched = stroke | np.isin(z, [centre - 6, centre - 5, centre + 5, centre + 6])
    drawn = predicted | stroke
    corrections = Corrections(pelvis.probability(predicted), pelvis.volume(drawn), pelvis.volume(touched))
    refinement = engine.refine(pelvis.ct, corrections).result
    check(refinement, drawn, touched)
    rest = dent & ~stroke
    assert (refinement.mask.array[rest] > 0).mean() > 0.9


@pytest.mark.parametrize("view", ["coronal", "sagittal"])
def test_a_stroke_on_a_bladder_drawn_by_hand_changes_what_is_near_it(engine, pelvis, view):
    nothing = np.zeros_like(pelvis.bladder)
    filled = np.flatnonzero(pelvis.bladder.any(axis=(1, 2)))
    first, _, touched = corrected(engine, pelvis, nothing, [int(filled[k]) for k in (3, 9, 15)])
    drawn, stroke = first.mask.array > 0, np.zeros_like(nothing)
    planes = np.moveaxis(stroke, AXES[view], 0)  # (sagittal or coronal, z, the third), a view of `stroke`
    outline = np.moveaxis(drawn, AXES[view], 0)
    plane = middle(drawn, AXES[view])
    for k in range(middle(drawn) - 3, middle(drawn) + 4):
        edge = int(np.flatnonzero(outline[plane, k])[0])
        planes[plane, k, edge - 2 : edge] = True
    drawn, touched = drawn | stroke, touched | stroke
    corrections = Corrections(pelvis.probability(nothing), pelvis.volume(drawn), pelvis.volume(touched))
    refinement = engine.refine(pelvis.ct, corrections).result
    check(refinement, drawn, touched)
    mask = refinement.mask.array > 0
    assert dice(mask, drawn) > 0.97
    assert dice(mask, pelvis.bladder) > 0.93


def flat_ended(pelvis: Scene) -> tuple[np.ndarray, int, int]:
    """The bladder cut off above and below, where it is still broad, and its last slices."""
    filled = np.flatnonzero(pelvis.bladder.any(axis=(1, 2)))
    low, high = int(filled[5]), int(filled[-6])
    bladder = pelvis.bladder.copy()
    bladder[:low], bladder[high + 1 :] = False, False
    return bladder, low, high


@pytest.mark.parametrize("slice_mm", [1.5, 2.5, 4.0])
@pytest.mark.parametrize("ends", ["top", "both"])
def test_the_slice_beside_an_emptied_one_keeps_its_area(engine, slice_mm, ends):
    pelvis = scene((3.0, 3.0, slice_mm))
    bladder, low, high = flat_ended(pelvis)
    predicted = bladder.copy()
    emptied = [high + 1] if ends == "top" else [low - 1, high + 1]
    for number in emptied:
        predicted[number] = bladder[number + 1 if number < low else number - 1]
    drawn, touched = predicted.copy(), np.zeros_like(predicted)
    drawn[emptied], touched[emptied] = False, True
    ct = np.where(bladder | ~pelvis.bladder, pelvis.ct.array, -95).astype(np.int16)
    corrections = Corrections(pelvis.probability(predicted), pelvis.volume(drawn), pelvis.volume(touched))
    refinement = engine.refine(Volume(ct, pelvis.ct.geometry), corrections).result
    check(refinement, drawn, touched)
    mask = refinement.mask.array > 0
    assert mask[high].sum() > 0.75 * bladder[high].sum()
    assert dice(mask, bladder) > 0.97


def test_what_lies_between_emptied_slices_goes(engine, pelvis):
    bladder, _, high = flat_ended(pelvis)
    predicted = bladder.copy()
    predicted[high + 1 : high + 8] = bladder[high]
    emptied = [high + 1, high + 5]
    drawn, touched = predicted.copy(), np.zeros_like(predicted)
    drawn[emptied], touched[emptied] = False, True
    corrections = Corrections(pelvis.probability(predicted), pelvis.volume(drawn), pelvis.volume(touched))
    refinement = engine.refine(pelvis.ct, corrections).result
    check(refinement, drawn, touched)
    mask = refinement.mask.array > 0
    assert not mask[high + 1 :].any()
    assert dice(mask, bladder) > 0.95


def test_an_emptied_slice_ends_what_goes_on_far_beyond_it(engine, pelvis):
    """A false column on the dome, longer than corrections reach."""
    more = 16  # 64 mm

    def taller(array: np.ndarray, value: float) -> np.ndarray:
        return np.pad(array, ((0, more), (0, 0), (0, 0)), constant_values=value)

    x, y, z = pelvis.ct.geometry.size
    grid = dataclasses.replace(pelvis.ct.geometry, size=(x, y, z + more))
    tall = Scene(Volume(taller(pelvis.ct.array, -95), grid), taller(pelvis.bladder, False), taller(pelvis.bowel, False))
    top = int(np.flatnonzero(tall.bladder.any(axis=(1, 2)))[-1])
    predicted = tall.bladder.copy()
    predicted[top + 1 : top + more + 3, y // 2 - 4 : y // 2 + 4, x // 2 - 4 : x // 2 + 4] = True
    drawn, touched = predicted.copy(), np.zeros_like(predicted)
    drawn[top + 1], touched[top + 1] = False, True
    corrections = Corrections(tall.probability(predicted), tall.volume(drawn), tall.volume(touched))
    refinement = engine.refine(tall.ct, corrections).result
    check(refinement, drawn, touched)
    assert not refinement.mask.array[top + 1 :].any()


def test_a_copied_contour_snaps_to_the_ct(engine, pelvis):
    top = int(np.flatnonzero(pelvis.bladder.any(axis=(1, 2)))[-1])
    source, target = top - 3, top - 2
    mask = np.where(np.arange(len(pelvis.bladder))[:, None, None] <= source, pelvis.bladder, False)
    fitted = engine.copy_and_fit(pelvis.ct, pelvis.volume(mask), source, target).result.array > 0
    others = np.arange(len(mask)) != target
    np.testing.assert_array_equal(fitted[others], mask[others])
    truth = pelvis.bladder[target]
    assert 1 - dice(fitted[target], truth) < 0.5 * (1 - dice(mask[source], truth))


def test_copying_what_is_not_there_is_refused(engine, pelvis):
    mask = pelvis.volume(pelvis.bladder)
    for source, target in ((0, 1), (16, 16), (16, 99), (-1, 16)):
        with pytest.raises(InputError, match=r"Slice 0 has no contour|two different slices"):
            engine.copy_and_fit(pelvis.ct, mask, source, target)


def test_a_small_contour_of_which_the_ct_shows_nothing_is_not_copied_as_none(engine, pelvis):
    top = int(np.flatnonzero(pelvis.bladder.any(axis=(1, 2)))[-1])
    y, x = np.indices(pelvis.bladder.shape[1:]) - np.mean(np.nonzero(pelvis.bladder[top]), axis=1)[:, None, None]
    mask = np.zeros_like(pelvis.bladder)
    mask[top] = np.hypot(y, x) * 3.0 <= 2.0
    with pytest.raises(InputError, match=f"nothing like this contour in slice {top + 3}. Draw it by hand"):
        engine.copy_and_fit(pelvis.ct, pelvis.volume(mask), top, top + 3)
