"""A proposal in the scene: an outline beside the contour, accepted in one step, discarded wholly, never saved."""

from collections.abc import Callable

import numpy as np
import pytest
import slicer
from BladderAutoContourLib.slicer.export.structure_set import generation_of
from BladderAutoContourLib.slicer.scene.proposal import Corrected, Proposal
from BladderAutoContourLib.slicer.scene.segmentation import (
    Contour,
    as_it_stands,
    begin_by_hand,
    contours_of,
    is_edited,
    restore_automatic,
    set_voxels,
    show_result,
)
from BladderAutoContourLib.slicer.scene.touched import touched_of
from BladderAutoContourLib.slicer.scene.voxels import VoxelBox
from ct_scene import CORNER, OBLIQUE, Editor, blob, voxels
from mrml_scene import reopened

PROPOSED = np.roll(blob(OBLIQUE), 2, axis=2)
"""What the engine makes of it."""
TOUCHED = (1, 2, 3)
"""The slices of CORNER."""


def correct(contour: Contour, proposed: np.ndarray = PROPOSED) -> Corrected:
    """The engine's answer to the contour as it stands."""
    before, grid = as_it_stands(contour)
    after = VoxelBox(proposed.astype(bool), (0, 0, 0), grid.ijk_to_ras).cropped()
    changed = np.flatnonzero((before.part((0, 0, 0), grid.size) != proposed.astype(bool)).any(axis=(1, 2)))
    return Corrected(contour, before.cropped(), after, touched_of(contour), tuple(changed.tolist()), grid.voxel_ml)


@pytest.fixture
def edited(ct, result) -> tuple[Contour, Editor]:
    """A contour on which a clinician painted CORNER, and the editor."""
    contour = show_result(ct, result)
    editor = Editor(contour.segmentation, ct)
    editor.paint(contour.segment_id, CORNER)
    return contour, editor


def segmentations() -> list[slicer.vtkMRMLSegmentationNode]:
    return slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_a_proposal_is_an_outline_and_no_contour(ct, edited):
    contour, _ = edited
    before = voxels(contour, ct)
    proposal = Proposal(correct(contour))
    (outline,) = (node for node in segmentations() if node is not contour.segmentation)
    np.testing.assert_array_equal(voxels(Contour(outline, outline.GetSegmentation().GetNthSegmentID(0)), ct), PROPOSED)
    display = outline.GetDisplayNode()
    assert display.GetVisibility2DOutline()
    assert not display.GetVisibility2DFill()
    assert not display.GetVisibility3D()
    assert outline.GetSegmentation().GetNthSegment(0).GetColor() != contour.segment.GetColor()
    assert contours_of(ct) == [contour]
    np.testing.assert_array_equal(voxels(contour, ct), before)
    proposal.discard()
    proposal.discard()  # twice does no harm
    assert segmentations() == [contour.segmentation]
    np.testing.assert_array_equal(voxels(contour, ct), before)


def test_what_was_accepted_of_a_contour_made_a_surface_stays(ct, edited):
    """Made anew from its surface, as a saved scene is, it is what was accepted; what lies beside it is there too."""
    contour, _ = edited
    beside = begin_by_hand(ct)
    set_voxels(beside, VoxelBox(CORNER, (0, 0, 0), as_it_stands(contour)[1].ijk_to_ras))
    contour.segmentation.SetSourceRepresentationToClosedSurface()
    Proposal(correct(contour)).accept(lambda: None)
    for kind in ("Binary labelmap", "Closed surface"):
        if contour.segmentation.GetSegmentation().GetSourceRepresentationName() != kind:
            contour.segmentation.GetSegmentation().RemoveRepresentation(kind)
    np.testing.assert_array_equal(voxels(contour, ct), PROPOSED)
    assert voxels(beside, ct).any()


def test_accepting_is_one_step_that_undo_takes_back_and_redo_brings_again(ct, edited):
    contour, editor = edited
    mine = voxels(contour, ct)
    proposal = Proposal(correct(contour))
    assert proposal.corrected.fits
    proposal.accept(editor.logic.SaveStateForUndo)
    assert not proposal.is_shown
    np.testing.assert_array_equal(voxels(contour, ct), PROPOSED)
    assert touched_of(contour).slices == TOUCHED, "what the program drew was touched by nobody"
    assert not proposal.corrected.fits
    assert generation_of(contour) == "SEMIAUTOMATIC"
    editor.logic.Undo()
    np.testing.assert_array_equal(voxels(contour, ct), mine)
    assert touched_of(contour).slices == TOUCHED
    assert proposal.corrected.fits
    editor.logic.Redo()
    np.testing.assert_array_equal(voxels(contour, ct), PROPOSED)
    assert touched_of(contour).slices == TOUCHED
    editor.logic.Undo()
    editor.logic.Undo()
    np.testing.assert_array_equal(voxels(contour, ct), blob(OBLIQUE))
    assert touched_of(contour).slices == ()
    assert not is_edited(contour)


def test_edits_after_an_accepted_proposal_add_to_what_was_touched(ct, edited):
    contour, editor = edited
    Proposal(correct(contour)).accept(editor.logic.SaveStateForUndo)
    editor.erase(contour.segment_id, PROPOSED * (np.arange(20) == 10)[:, None, None].astype(np.uint8))
    assert touched_of(contour).slices == (*TOUCHED, 10)
    editor.logic.Undo()
    assert touched_of(contour).slices == TOUCHED
    restore_automatic(contour, editor.logic.SaveStateForUndo)
    assert touched_of(contour).slices == ()
    editor.logic.Undo()
    assert touched_of(contour).slices == TOUCHED


def test_a_copied_slice_counts_as_touched(ct, edited):
    contour, editor = edited
    proposed = voxels(contour, ct)
    proposed[15] = proposed[13]
    correct(contour, proposed).take_over(editor.logic.SaveStateForUndo)
    assert touched_of(contour).slices == (*TOUCHED, 15)
    editor.logic.Undo()
    assert touched_of(contour).slices == TOUCHED


def test_an_empty_proposal_empties_the_contour(ct, edited):
    contour, editor = edited
    Proposal(correct(contour, np.zeros(OBLIQUE.shape, np.uint8))).accept(editor.logic.SaveStateForUndo)
    assert not voxels(contour, ct).any()
    assert touched_of(contour).slices == TOUCHED


def test_the_change_of_a_slice_is_told_in_millilitres(edited):
    contour, _ = edited
    corrected = correct(contour)
    assert corrected.change_ml(2) == pytest.approx(-9 * OBLIQUE.voxel_ml)
    assert corrected.change_ml(19) == 0


def save_and_load(folder, change: Callable[[], None] = lambda: None):
    """Write the scene, do something to it, and open it in another session."""
    path = str(folder / "Szene ü.mrb")
    for node in slicer.util.getNodesByClass("vtkMRMLStorableNode"):
        if node.GetSaveWithScene():
            node.AddDefaultStorageNode()
    assert slicer.mrmlScene.WriteToMRB(path)
    change()
    reopened(path)
    (ct,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return ct


def test_a_saved_scene_holds_the_clinicians_contour_and_no_proposal(ct, edited, tmp_path):
    contour, _ = edited
    mine = voxels(contour, ct)
    proposal = Proposal(correct(contour))
    ct = save_and_load(tmp_path)
    assert not proposal.is_shown, "the scene was closed"
    (again,) = contours_of(ct)
    assert segmentations() == [again.segmentation]
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationDisplayNode") == [again.segmentation.GetDisplayNode()]
    np.testing.assert_array_equal(voxels(again, ct), mine)
    assert touched_of(again).slices == TOUCHED


def test_a_saved_scene_knows_an_accepted_proposal(ct, edited, tmp_path):
    contour, editor = edited
    Proposal(correct(contour)).accept(editor.logic.SaveStateForUndo)
    ct = save_and_load(tmp_path)
    (again,) = contours_of(ct)
    np.testing.assert_array_equal(voxels(again, ct), PROPOSED)
    assert touched_of(again).slices == TOUCHED
    assert generation_of(again) == "SEMIAUTOMATIC"


def test_a_contour_drawn_by_hand_alone_is_manual_until_the_program_helps(ct):
    contour = begin_by_hand(ct)
    editor = Editor(contour.segmentation, ct)
    editor.paint(contour.segment_id, CORNER)
    assert generation_of(contour) == "MANUAL"
    Proposal(correct(contour)).accept(editor.logic.SaveStateForUndo)
    assert generation_of(contour) == "SEMIAUTOMATIC"
    editor.logic.Undo()
    assert generation_of(contour) == "MANUAL"
