"""What becomes of a contour that somebody works on: edits, undo, the automatic one restored, and a run after it."""

import dataclasses
import time

import numpy as np
import pytest
import slicer
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.slicer.scene.kept_contour import fact
from BladderAutoContourLib.slicer.scene.segmentation import (
    Contour,
    contours_of,
    is_edited,
    restore_automatic,
    show_result,
    write_mask,
)
from BladderAutoContourLib.slicer.scene.slices import slice_position_ras
from ct_scene import CORNER, RAS, Editor, add_ct, blob, drawn, grid, refine, texture, voxels
from ct_scene import OBLIQUE as GRID


def names(segmentation: slicer.vtkMRMLSegmentationNode) -> list[str]:
    segments = segmentation.GetSegmentation()
    return [segments.GetSegment(id_).GetName() for id_ in segments.GetSegmentIDs()]


def test_an_edit_shows_and_one_undo_takes_it_back(ct, result):
    contour = show_result(ct, result)
    node, id_ = contour.segmentation, contour.segment_id
    editor = Editor(node, ct)
    editor.paint(id_, CORNER)
    np.testing.assert_array_equal(voxels(contour, ct), blob(GRID) | CORNER)
    assert is_edited(contour)
    editor.logic.Undo()
    assert not is_edited(contour)
    editor.logic.Redo()
    assert is_edited(contour)
    editor.erase(id_, CORNER)
    assert not is_edited(contour)  # the same voxels, however they came about
    np.testing.assert_array_equal(voxels(contour, ct), blob(GRID))


@pytest.mark.parametrize("inside", [True, False])
def test_a_single_voxel_is_an_edit(ct, result, inside):
    contour = show_result(ct, result)
    one = np.zeros(GRID.shape, np.uint8)
    one[tuple(np.argwhere(blob(GRID))[100])] = 1
    editor = Editor(contour.segmentation, ct)
    if inside:
        editor.erase(contour.segment_id, one)
    else:
        editor.paint(contour.segment_id, np.roll(one, 10, axis=0) & ~blob(GRID) & 1 | CORNER)
    assert is_edited(contour)


def test_an_erased_contour_is_edited_and_can_be_restored(ct, result):
    contour = show_result(ct, result)
    node, id_ = contour.segmentation, contour.segment_id
    Editor(node, ct).erase(id_, np.ones(GRID.shape, np.uint8))
    assert not voxels(contour, ct).any()
    assert is_edited(contour)
    restore_automatic(contour)
    np.testing.assert_array_equal(voxels(contour, ct), blob(GRID))


def test_restoring_is_one_step_that_undo_takes_back(ct, result):
    contour = show_result(ct, result)
    node, id_ = contour.segmentation, contour.segment_id
    editor = Editor(node, ct)
    editor.paint(id_, CORNER)
    restore_automatic(contour, editor.logic.SaveStateForUndo)
    assert not is_edited(contour)
    np.testing.assert_array_equal(voxels(contour, ct), blob(GRID))
    editor.logic.Undo()
    np.testing.assert_array_equal(voxels(contour, ct), blob(GRID) | CORNER)
    editor.logic.Undo()
    np.testing.assert_array_equal(voxels(contour, ct), blob(GRID))


def test_a_contour_made_a_surface_is_restored_as_voxels(ct, result, tmp_path):
    contour = show_result(ct, result)
    contour.segmentation.SetSourceRepresentationToClosedSurface()
    assert is_edited(contour)
    volume_ml = write_mask(contour, tmp_path / "mask.nrrd")
    assert volume_ml == pytest.approx(blob(GRID).sum() * GRID.voxel_ml, rel=0.1)
    restore_automatic(contour)
    assert not is_edited(contour)
    np.testing.assert_array_equal(voxels(contour, ct), blob(GRID))


def test_a_segment_of_somebody_else_is_edited_and_has_nothing_to_restore(ct, result):
    contour = show_result(ct, result)
    contour.segmentation.GetSegmentation().AddEmptySegment("mine", "Prostate")
    mine = Contour(contour.segmentation, "mine")
    assert is_edited(mine)
    with pytest.raises(InputError, match="not drawn by the program"):
        restore_automatic(mine)
    with pytest.raises(InputError, match="not drawn by the program"):
        slice_position_ras(mine, 3)


def test_asking_takes_no_time(tmp_path):
    geometry = grid(size=(512, 512, 150))
    mask = np.zeros(geometry.shape, np.uint8)
    z, y, x = np.ogrid[-1:1:60j, -1:1:140j, -1:1:150j]
    mask[50:110, 180:320, 170:320] = z**2 + y**2 + x**2 < 1
    ct = slicer.util.addVolumeFromArray(np.zeros(geometry.shape, np.uint8), ijkToRAS=RAS @ geometry.matrix)
    contour = show_result(ct, drawn(mask, geometry, tmp_path / "result"))
    assert len(fact(contour.segment, "contour")) < 50_000
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        assert not is_edited(contour)
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.05


def test_an_untouched_contour_is_replaced(ct, result, other_result):
    first = show_result(ct, result)
    second = show_result(ct, other_result)
    assert second == first
    assert names(first.segmentation) == ["Bladder"]
    np.testing.assert_array_equal(voxels(second, ct), blob(GRID, seed=1))
    assert not is_edited(second)
    assert fact(second.segment, "model") == "mine/v2"
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1


def test_edited_work_stays_and_the_new_contour_stands_beside_it(ct, result, other_result):
    first = show_result(ct, result)
    editor = Editor(first.segmentation, ct)
    editor.paint(first.segment_id, CORNER)
    second = show_result(ct, other_result)
    assert second.segmentation is first.segmentation
    assert names(first.segmentation) == ["Bladder", "Bladder (2)"]
    assert contours_of(ct) == [first, second]
    np.testing.assert_array_equal(voxels(first, ct), blob(GRID) | CORNER)
    np.testing.assert_array_equal(voxels(second, ct), blob(GRID, seed=1))
    assert is_edited(first)
    assert not is_edited(second)
    surface = second.segmentation.GetClosedSurfaceInternalRepresentation(second.segment_id)
    assert surface.GetNumberOfCells() > 100
    # The third run replaces the second's contour, and editing that one leaves the first alone.
    third = show_result(ct, result)
    assert third == second
    editor.paint(third.segment_id, np.ones(GRID.shape, np.uint8))
    np.testing.assert_array_equal(voxels(first, ct), blob(GRID) | CORNER)
    restore_automatic(first)
    np.testing.assert_array_equal(voxels(first, ct), blob(GRID))
    assert voxels(third, ct).all()


def test_of_two_untouched_contours_the_later_is_replaced(ct, result, other_result):
    first = show_result(ct, result)
    editor = Editor(first.segmentation, ct)
    editor.paint(first.segment_id, CORNER)
    second = show_result(ct, result)
    editor.erase(first.segment_id, CORNER)
    assert not is_edited(first)
    assert show_result(ct, other_result) == second
    np.testing.assert_array_equal(voxels(first, ct), blob(GRID))


def test_undo_takes_a_run_back(ct, result, other_result):
    contour = show_result(ct, result)
    editor = Editor(contour.segmentation, ct)
    editor.logic.SaveStateForUndo()
    show_result(ct, other_result)
    editor.logic.Undo()
    np.testing.assert_array_equal(voxels(contour, ct), blob(GRID))
    assert not is_edited(contour)
    assert fact(contour.segment, "model") == "generated-pelves-2"


def rename(contour: Contour) -> None:
    contour.segment.SetName("Bladder approved")


def review(contour: Contour) -> None:
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetSegmentStatus(contour.segment, logic.Completed)


@pytest.mark.parametrize("work", [rename, review])
def test_a_contour_that_somebody_named_or_reviewed_stays(ct, result, other_result, work):
    first = show_result(ct, result)
    work(first)
    second = show_result(ct, other_result)
    assert second.segment_id != first.segment_id
    np.testing.assert_array_equal(voxels(first, ct), blob(GRID))


def test_segments_and_segmentations_of_others_are_left_alone(ct, result, other_result):
    theirs = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Pelvis bladder")
    theirs.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    theirs.CreateDefaultDisplayNodes()
    theirs.GetSegmentation().AddEmptySegment("Bladder", "Bladder")
    slicer.util.updateSegmentBinaryLabelmapFromArray(CORNER, theirs, "Bladder", ct)
    first = show_result(ct, result)
    assert first.segmentation is not theirs
    ours = first.segmentation.GetSegmentation()
    ours.AddEmptySegment("mine", "Prostate")
    Editor(first.segmentation, ct).paint("mine", CORNER | blob(GRID))
    second = show_result(ct, other_result)
    assert second == first
    assert names(first.segmentation) == ["Bladder", "Prostate"]
    np.testing.assert_array_equal(voxels(Contour(theirs, "Bladder"), ct), CORNER)
    np.testing.assert_array_equal(voxels(Contour(first.segmentation, "mine"), ct), CORNER | blob(GRID))
    assert contours_of(ct) == [first]


def test_each_ct_has_its_own_segmentation(ct, result, other_result):
    other_ct = add_ct(texture(GRID), "Pelvis 2")
    first, second = show_result(ct, result), show_result(other_ct, other_result)
    assert first.segmentation is not second.segmentation
    assert (contours_of(ct), contours_of(other_ct)) == ([first], [second])
    assert second.segmentation.GetName() == "Pelvis 2 bladder"


def test_a_segmentation_made_of_surfaces_gets_no_voxels(ct, result, other_result):
    first = show_result(ct, result)
    first.segmentation.SetSourceRepresentationToClosedSurface()
    second = show_result(ct, other_result)
    assert second.segmentation is not first.segmentation
    np.testing.assert_array_equal(voxels(second, ct), blob(GRID, seed=1))


def test_a_segmentation_that_was_given_a_finer_lattice_is_not_resampled(ct, result, other_result):
    first = show_result(ct, result)
    double = refine(first, blob(GRID))
    kept = voxels(first, double)
    second = show_result(ct, other_result)
    assert second.segmentation is not first.segmentation
    np.testing.assert_array_equal(voxels(first, double), kept)
    np.testing.assert_array_equal(voxels(second, ct), blob(GRID, seed=1))


def test_a_ct_that_was_moved_for_good_gets_a_segmentation_where_it_is_now(ct, result, tmp_path):
    first = show_result(ct, result)
    ct.SetOrigin(11.1, -22.2, 33.3)
    moved = dataclasses.replace(GRID, origin_mm=(-11.1, 22.2, 33.3))
    second = show_result(ct, drawn(blob(GRID), moved, tmp_path / "moved"))
    assert second.segmentation is not first.segmentation
    np.testing.assert_array_equal(voxels(second, ct), blob(GRID))
    assert show_result(ct, drawn(blob(GRID, seed=1), moved, tmp_path / "again")) == second
