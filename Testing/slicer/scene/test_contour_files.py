"""Contours in files: saved and loaded with what they remember, and written as masks for the engine."""

import dataclasses

import numpy as np
import pytest
import slicer
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.imaging.files import read_volume
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.slicer.scene.bond import find_again
from BladderAutoContourLib.slicer.scene.kept_contour import fact
from BladderAutoContourLib.slicer.scene.segmentation import (
    Contour,
    begin_by_hand,
    contours_of,
    is_edited,
    restore_automatic,
    show_result,
    write_mask,
)
from BladderAutoContourLib.slicer.scene.slices import slice_position_ras
from ct_scene import (
    CORNER,
    DIRECTIONS,
    RAS,
    Editor,
    add_ct,
    blob,
    drawn,
    grid,
    refine,
    saved_and_loaded,
    texture,
    voxels,
)
from ct_scene import OBLIQUE as GRID
from mrml_scene import reopened


@pytest.mark.parametrize("edited", [False, True])
def test_a_seg_nrrd_keeps_what_was_drawn(ct, result, tmp_path, edited):
    contour = show_result(ct, result)
    if edited:
        Editor(contour.segmentation, ct).paint(contour.segment_id, CORNER)
    kept, place, drawn_at = voxels(contour, ct), slice_position_ras(contour, 7), fact(contour.segment, "time")
    loaded = saved_and_loaded(contour.segmentation, tmp_path / "Blase ü.seg.nrrd")
    again = Contour(loaded, loaded.GetSegmentation().GetNthSegmentID(0))
    np.testing.assert_array_equal(voxels(again, ct), kept)
    assert is_edited(again) == edited
    assert fact(again.segment, "time") == drawn_at
    assert slice_position_ras(again, 7) == pytest.approx(place)
    find_again([ct])
    write_mask(again, tmp_path / "mask.nrrd")
    np.testing.assert_array_equal(read_volume(tmp_path / "mask.nrrd").array, kept)
    restore_automatic(again)
    np.testing.assert_array_equal(voxels(again, ct), blob(GRID))


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_contour_that_was_saved_by_itself_finds_its_ct_again(ct, result, tmp_path, by_hand):
    contour = begin_by_hand(ct) if by_hand else show_result(ct, result)
    Editor(contour.segmentation, ct).paint(contour.segment_id, CORNER)
    kept = voxels(contour, ct)
    loaded = saved_and_loaded(contour.segmentation, tmp_path / "Blase.seg.nrrd")
    assert contours_of(ct) == []
    slicer.mrmlScene.RemoveNode(ct)
    other, same = texture(GRID), texture(GRID)
    other.array[8, 9, 9] += 1
    moved = dataclasses.replace(GRID, origin_mm=(0.0, 0.0, 0.0))
    others = [add_ct(other, "another patient"), add_ct(Volume(same.array, moved), "moved")]
    find_again(others)
    assert [contours_of(volume) for volume in others] == [[], []]
    again = add_ct(Volume(same.array.astype(np.float64), GRID), "the CT, as another loader has it")
    find_again([*others, again])
    assert contours_of(again) == [Contour(loaded, loaded.GetSegmentation().GetNthSegmentID(0))]
    np.testing.assert_array_equal(voxels(contours_of(again)[0], again), kept)
    assert [contours_of(volume) for volume in others] == [[], []]


@pytest.mark.parametrize("edited", [False, True])
def test_an_mrb_keeps_contour_ct_and_their_bond(ct, result, other_result, tmp_path, edited):
    contour = show_result(ct, result)
    if edited:
        Editor(contour.segmentation, ct).paint(contour.segment_id, CORNER)
    kept = voxels(contour, ct)
    for node in (ct, contour.segmentation):
        node.AddDefaultStorageNode()
    path = str(tmp_path / "Szene ü.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    reopened(path)
    (ct,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    (again,) = contours_of(ct)
    np.testing.assert_array_equal(voxels(again, ct), kept)
    assert is_edited(again) == edited
    assert (show_result(ct, other_result) == again) != edited


def test_a_contour_beyond_the_ct_is_not_cut_in_silence(ct, result, tmp_path):
    contour = show_result(ct, result)
    wide = grid(DIRECTIONS["oblique"], size=(40, 36, 25))
    longer = slicer.util.addVolumeFromArray(np.zeros(wide.shape, np.int16), ijkToRAS=RAS @ wide.matrix)
    mask = np.zeros(wide.shape, np.uint8)
    mask[15:23, 10:20, 10:20] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, contour.segmentation, contour.segment_id, longer)
    with pytest.raises(InputError, match=r"1\.2 mL\) lies outside"):
        write_mask(contour, tmp_path / "mask.nrrd")
    assert not (tmp_path / "mask.nrrd").exists()


def test_a_contour_on_a_finer_lattice_is_written_on_the_cts(ct, result, tmp_path):
    contour = show_result(ct, result)
    refine(contour, blob(GRID))
    assert is_edited(contour)
    volume_ml = write_mask(contour, tmp_path / "mask.nrrd")
    np.testing.assert_array_equal(read_volume(tmp_path / "mask.nrrd").array, blob(GRID))
    assert volume_ml == pytest.approx(blob(GRID).sum() * GRID.voxel_ml)


def test_slices_that_the_engine_left_out_are_not_cut_in_silence(ct, tmp_path):
    shorter = grid(DIRECTIONS["oblique"], size=(40, 36, 19))
    contour = show_result(ct, drawn(blob(shorter), shorter, tmp_path / "result"))
    write_mask(contour, tmp_path / "mask.nrrd")
    np.testing.assert_array_equal(read_volume(tmp_path / "mask.nrrd").array, blob(shorter))
    last = np.zeros(GRID.shape, np.uint8)
    last[19, 10:20, 10:20] = 1
    Editor(contour.segmentation, ct).paint(contour.segment_id, last)
    with pytest.raises(InputError, match=r"0\.4 mL\) lies outside"):
        write_mask(contour, tmp_path / "mask.nrrd")


def test_a_contour_moved_against_its_ct_is_not_written(ct, result, tmp_path):
    contour = show_result(ct, result)
    move = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    contour.segmentation.SetAndObserveTransformNodeID(move.GetID())
    with pytest.raises(InputError, match="different transforms"):
        write_mask(contour, tmp_path / "mask.nrrd")
    ct.SetAndObserveTransformNodeID(move.GetID())
    assert write_mask(contour, tmp_path / "mask.nrrd") > 0


def test_an_erased_contour_is_written_empty(ct, result, tmp_path):
    contour = show_result(ct, result)
    Editor(contour.segmentation, ct).erase(contour.segment_id, np.ones(GRID.shape, np.uint8))
    assert write_mask(contour, tmp_path / "mask.nrrd") == 0.0
    assert not read_volume(tmp_path / "mask.nrrd").array.any()


def test_a_segment_drawn_by_hand_is_written_on_the_engines_grid(tmp_path):
    """Older versions of Slicer ran through the slices of some series the other way."""
    direction = np.array(GRID.direction)
    direction[:, 2] *= -1
    turned = dataclasses.replace(
        GRID, origin_mm=tuple(GRID.to_patient((0, 0, 19))), direction=tuple(map(tuple, direction))
    )
    ct = add_ct(Volume(texture(GRID).array[::-1].copy(), turned))
    contour = show_result(ct, drawn(blob(GRID), GRID, tmp_path / "result"))
    np.testing.assert_array_equal(voxels(contour, ct), blob(GRID)[::-1])
    contour.segmentation.GetSegmentation().AddEmptySegment("mine", "Bladder by hand")
    Editor(contour.segmentation, ct).paint("mine", CORNER[::-1])
    write_mask(Contour(contour.segmentation, "mine"), tmp_path / "mask.nrrd")
    written = read_volume(tmp_path / "mask.nrrd")
    assert written.geometry.same_as(GRID)
    np.testing.assert_array_equal(written.array, CORNER)
