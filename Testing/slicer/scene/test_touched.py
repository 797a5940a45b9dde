"""Which slices a hand touched: seen from the contour alone, in any view, through undo, files and accepted proposals."""

import dataclasses

import numpy as np
import pytest
import slicer
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.slicer.scene.kept_contour import fact, is_begun_by_hand
from BladderAutoContourLib.slicer.scene.kept_probability import keep_probability, kept_probability
from BladderAutoContourLib.slicer.scene.segmentation import (
    Contour,
    as_it_stands,
    begin_by_hand,
    contours_of,
    is_edited,
    restore_automatic,
    show_result,
)
from BladderAutoContourLib.slicer.scene.slices import neighbour, slice_position_ras
from BladderAutoContourLib.slicer.scene.touched import touched_of
from BladderAutoContourLib.slicer.scene.voxels import Grid, VoxelBox
from ct_scene import OBLIQUE, RAS, Editor, add_ct, blob, drawn, saved_and_loaded, texture, voxels

SHAPE = OBLIQUE.shape


def patch(*slices: int, turned: bool = False) -> np.ndarray:
    """What somebody paints on some axial slices, beside the blob."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[list(slices), 10:20, 32:38] = 1
    return mask[::-1] if turned else mask


def stroke(axis: int) -> np.ndarray:
    """A stroke in a coronal (axis 1) or a sagittal (axis 2) plane that crosses many slices beside the blob."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[3:18, 33:35, 9] = 1
    if axis == 1:
        mask[:] = 0
        mask[3:18, 5, 10:14] = 1
    return mask


def test_axial_edits_touch_whole_slices_and_undo_untouches_them(ct, result):
    contour = show_result(ct, result)
    editor = Editor(contour.segmentation, ct)
    assert touched_of(contour).slices == ()
    editor.paint(contour.segment_id, patch(8))
    editor.erase(contour.segment_id, blob(OBLIQUE) * (np.arange(20) == 6)[:, None, None].astype(np.uint8))
    touched = touched_of(contour)
    assert touched.slices == (6, 8)
    mask = touched.mask(as_it_stands(contour)[1])
    assert mask.dtype == np.uint8
    assert mask[[6, 8]].all()
    assert mask.sum() == 2 * 36 * 40
    editor.logic.Undo()
    assert touched_of(contour).slices == (8,)
    editor.erase(contour.segment_id, patch(8))  # by hand, rather than by undo
    assert touched_of(contour).slices == ()


@pytest.mark.parametrize("axis", [1, 2])
def test_strokes_in_other_views_touch_their_voxels_alone(ct, result, axis):
    contour = show_result(ct, result)
    editor = Editor(contour.segmentation, ct)
    editor.paint(contour.segment_id, stroke(axis))
    touched = touched_of(contour)
    assert touched.slices == tuple(range(3, 18))
    np.testing.assert_array_equal(touched.mask(as_it_stands(contour)[1]), stroke(axis))
    editor.paint(contour.segment_id, patch(8))  # and an axial slice that it crosses
    mask = touched_of(contour).mask(as_it_stands(contour)[1])
    assert mask[8].all()
    rest = np.arange(20) != 8
    np.testing.assert_array_equal(mask[rest], stroke(axis)[rest])


def test_many_neighbouring_axial_slices_are_not_taken_for_another_view(ct, result):
    contour = show_result(ct, result)
    wider = np.roll(blob(OBLIQUE), 3, axis=2) | np.roll(blob(OBLIQUE), 3, axis=1)
    Editor(contour.segmentation, ct).paint(contour.segment_id, wider)
    assert set(range(6, 13)) <= touched_of(contour).whole


def test_an_empty_start_is_a_contour_and_what_is_drawn_in_it_is_touched(ct, result):
    contour = begin_by_hand(ct)
    assert contours_of(ct) == [contour]
    assert is_begun_by_hand(contour.segment)
    assert touched_of(contour).slices == ()
    Editor(contour.segmentation, ct).paint(contour.segment_id, patch(4, 11))
    assert touched_of(contour).slices == (4, 11)
    assert is_edited(contour)
    assert slice_position_ras(contour, 11) == pytest.approx(
        (RAS @ OBLIQUE.matrix @ (round(34.5), round(14.5), 11, 1))[:3]
    )
    assert (neighbour(contour, 4, up=True), neighbour(contour, 4, up=False)) == (5, 3)
    assert (neighbour(contour, 19, up=True), neighbour(contour, 0, up=False)) == (None, None)
    assert show_result(ct, result) != contour, "what was drawn by hand stays"


def test_an_empty_start_that_nobody_used_gives_way_to_the_program(ct, result):
    contour = begin_by_hand(ct)
    assert show_result(ct, result) == contour
    assert not is_begun_by_hand(contour.segment)
    np.testing.assert_array_equal(voxels(contour, ct), blob(OBLIQUE))
    assert touched_of(contour).slices == ()


def test_restoring_the_automatic_contour_forgets_what_was_touched(ct, result):
    contour = show_result(ct, result)
    editor = Editor(contour.segmentation, ct)
    editor.paint(contour.segment_id, patch(8))
    restore_automatic(contour, editor.logic.SaveStateForUndo)
    assert touched_of(contour).slices == ()
    editor.logic.Undo()
    assert touched_of(contour).slices == (8,)


def test_slices_are_numbered_as_the_engine_does_where_the_scene_runs_the_other_way(tmp_path):
    direction = np.array(OBLIQUE.direction)
    direction[:, 2] *= -1
    turned = dataclasses.replace(
        OBLIQUE, origin_mm=tuple(OBLIQUE.to_patient((0, 0, 19))), direction=tuple(map(tuple, direction))
    )
    ct = add_ct(Volume(texture(OBLIQUE).array[::-1].copy(), turned))
    contour = show_result(ct, drawn(blob(OBLIQUE), OBLIQUE, tmp_path / "result"))
    Editor(contour.segmentation, ct).paint(contour.segment_id, patch(7, turned=True))
    assert touched_of(contour).slices == (7,)


def test_a_file_keeps_what_was_touched_and_the_probability(ct, result, tmp_path):
    contour = show_result(ct, result)
    grid = as_it_stands(contour)[1]
    probability = np.where(blob(OBLIQUE), 0.9, 0.1).astype(np.float32)
    keep_probability(contour.segment, VoxelBox(probability, (0, 0, 0), grid.ijk_to_ras))
    Editor(contour.segmentation, ct).paint(contour.segment_id, patch(8))
    loaded = saved_and_loaded(contour.segmentation, tmp_path / "Blase ü.seg.nrrd")
    loaded.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    again = Contour(loaded, loaded.GetSegmentation().GetNthSegmentID(0))
    assert touched_of(again).slices == (8,)
    np.testing.assert_allclose(kept_probability(again.segment, grid), probability, atol=0.02)


def test_the_kept_probability_is_near_small_and_on_its_side_of_one_half():
    z, y, x = np.ogrid[-1:1:150j, -1:1:200j, -1:1:200j]
    logit = 40 * (0.6 - np.sqrt(z**2 + y**2 + x**2)) + np.random.default_rng(3).normal(0, 0.4, (150, 200, 200))
    probability = (1 / (1 + np.exp(-logit))).astype(np.float32)
    grid = Grid((200, 200, 150), np.eye(4))
    segment = slicer.vtkSegment()
    assert kept_probability(segment, grid) is None
    keep_probability(segment, VoxelBox(probability, (0, 0, 0), grid.ijk_to_ras))
    kept = kept_probability(segment, grid)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept >= 0.5, probability >= 0.5)
    assert np.abs(kept - probability).max() < 0.03
    assert len(fact(segment, "probability")) < 1_500_000
