"""From the clinician's hand to the engine and back, in the shipped panel: real scene, real process."""

import os
import signal
from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
from BladderAutoContourLib.slicer.export.structure_set import generation_of
from BladderAutoContourLib.slicer.scene.segmentation import Contour, begin_by_hand, contours_of
from BladderAutoContourLib.slicer.scene.slices import go_to_slice
from BladderAutoContourLib.slicer.scene.touched import touched_of
from BladderAutoContourLib.slicer.working_files import PREFIX
from clinic import Clinician, add_volume, is_alive, show
from ct_scene import voxels
from small_engine import water_scene
from standin.segment_editor import paint

TRUTH = water_scene()[1]
"""Where the water is, (z, y, x): what the weights of water contour almost exactly."""
MIDDLE = int(np.flatnonzero(TRUTH.any(axis=(1, 2))).mean())
LEAK = np.zeros(TRUTH.shape, bool)
"""What a clinician adds on one slice: the organ is wider there than the program drew it."""
LEAK[MIDDLE] = np.roll(TRUTH[MIDDLE], 3, axis=1) & ~TRUTH[MIDDLE]


def edit(clinician: Clinician, mask: np.ndarray, erase: bool = False) -> None:
    """A stroke of the brush, and the moment until the panel has noticed."""
    paint(clinician.ui.segmentEditor, mask, erase)
    clinician.settle()


def propagate(clinician: Clinician) -> None:
    """Press the button and wait for what comes of it."""
    assert clinician.ui.propagateButton.enabled, clinician.ui.propagateButton.toolTip
    clinician.ui.propagateButton.click()
    wait(clinician)


def wait(clinician: Clinician) -> None:
    """Until no correction is on its way."""
    clinician.wait_until(lambda: not clinician.panel.logic.correcting)
    clinician.settle()


def offset() -> float:
    """Where the axial slice view stands, in mm."""
    return slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().GetSliceOffset()


def height_of(ct: slicer.vtkMRMLScalarVolumeNode, index: int) -> float:
    """Where an axial slice lies, in mm."""
    return ct.GetOrigin()[2] + index * ct.GetSpacing()[2]


def outlines() -> list[slicer.vtkMRMLSegmentationNode]:
    """The proposals that the scene shows."""
    return [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if node.GetHideFromEditors()]


def shape_of(node: slicer.vtkMRMLSegmentationNode, ct: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    return voxels(Contour(node, node.GetSegmentation().GetNthSegmentID(0)), ct)


@pytest.fixture
def at_work(quick_clinician, ct_folder) -> tuple[Clinician, slicer.vtkMRMLScalarVolumeNode, Contour]:
    """A clinician with a contoured CT from DICOM, the correction section open."""
    clinician = quick_clinician
    ct = clinician.contoured(ct_folder)
    clinician.ui.correctSection.collapsed = False
    (contour,) = contours_of(ct)
    return clinician, ct, contour


def test_edit_propagate_look_accept_undo_redo_and_again(at_work, tmp_path):
    clinician, ct, contour = at_work
    ui, editor = clinician.ui, clinician.ui.segmentEditor
    assert not ui.propagateButton.enabled
    assert "Correct a slice" in ui.propagateButton.toolTip
    edit(clinician, LEAK)
    assert f"slices {MIDDLE}." in ui.correctedLabel.text
    editor.undo()
    clinician.settle()
    assert not ui.propagateButton.enabled, "undo took the only edit back"
    editor.redo()
    clinician.settle()
    mine = voxels(contour, ct)

    propagate(clinician)
    (outline,) = outlines()
    proposed = shape_of(outline, ct)
    assert np.array_equal(voxels(contour, ct), mine), "a proposal changes nothing"
    assert np.array_equal(proposed[MIDDLE], mine[MIDDLE])
    changed = np.flatnonzero((proposed != mine).any(axis=(1, 2)))
    assert {MIDDLE - 1, MIDDLE + 1} <= set(changed)
    assert ui.proposalFrame.isVisible()
    assert ui.proposalTable.rowCount == len(changed)
    clinician.click_cell("proposalTable", 0, 0)
    assert clinician.cell("proposalTable", 0, 0).text() == f"Slice {changed[0]}"
    assert offset() == pytest.approx(height_of(ct, changed[0]), abs=0.1)
    ui.discardButton.click()
    assert outlines() == []
    assert not ui.proposalFrame.isVisible()
    assert np.array_equal(voxels(contour, ct), mine)

    propagate(clinician)
    ui.acceptButton.click()
    clinician.settle()
    assert outlines() == []
    assert np.array_equal(voxels(contour, ct), proposed)
    assert f"slices {MIDDLE}." in ui.correctedLabel.text, "the program's slices are not the clinician's"
    editor.undo()
    clinician.settle()
    assert np.array_equal(voxels(contour, ct), mine)
    editor.redo()
    clinician.settle()
    assert np.array_equal(voxels(contour, ct), proposed)

    # more edits over it: the second proposal starts from there
    far = MIDDLE + 4
    cut = np.zeros(TRUTH.shape, bool)
    cut[far, :, : int(np.flatnonzero(proposed[far].any(axis=0)).mean())] = True
    edit(clinician, cut, erase=True)
    assert f"slices {MIDDLE}, {far}." in ui.correctedLabel.text
    now = voxels(contour, ct)
    propagate(clinician)
    second = shape_of(outlines()[0], ct)
    for number in (MIDDLE, far):
        assert np.array_equal(second[number], now[number])
    assert not np.array_equal(second, now)
    edit(clinician, np.roll(LEAK, 2, axis=0))
    assert outlines() == [], "the proposal was made for another contour"
    assert "Propagate again" in ui.correctionLabel.text

    ui.exportButton.click()
    dialog = clinician.open_dialog()
    dialog.folder.text = str(tmp_path)
    dialog.confirmButton.click()
    clinician.wait_until(lambda: "Exported" in ui.exportOutcomeLabel.text)
    (file,) = tmp_path.iterdir()
    (roi,) = pydicom.dcmread(file).StructureSetROISequence
    assert roi.ROIGenerationAlgorithm == "SEMIAUTOMATIC"


def test_a_proposal_is_not_exported_and_not_saved_and_a_loaded_scene_goes_on(at_work, tmp_path):
    clinician, ct, contour = at_work
    ui = clinician.ui
    edit(clinician, LEAK)
    propagate(clinician)
    proposed, mine = shape_of(outlines()[0], ct), voxels(contour, ct)
    assert clinician.panel.logic.look(contour).volume_ml == pytest.approx(mine.sum() * 0.08)
    assert ui.volumeLabel.text == f"{mine.sum() * 0.08:.0f} mL"
    path = str(tmp_path / "Szene ü.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear(0)
    clinician.settle()
    assert not ui.proposalFrame.isVisible()
    working = Path(clinician.panel.logic.working_folder)
    assert list(working.glob(f"{PREFIX}*.nrrd")) == [], "the probability's file went with the scene"
    ct = clinician.open_scene(path)
    (contour,) = contours_of(ct)
    assert outlines() == []
    assert np.array_equal(voxels(contour, ct), mine)
    propagate(clinician)
    again = shape_of(outlines()[0], ct)
    assert np.count_nonzero(again != proposed) <= 0.01 * np.count_nonzero(proposed)

    contour.segment.RemoveTag("BladderAutoContour.probability")
    clinician.panel.logic._probabilities.forget_all()
    ui.propagateButton.click()
    clinician.settle()
    assert "Contour the CT again" in ui.correctionLabel.text
    assert outlines() == []


def test_strokes_in_a_coronal_and_in_a_sagittal_view_go_on(at_work):
    clinician, ct, contour = at_work
    for axis in (1, 2):
        plane = int(np.flatnonzero(TRUTH.any(axis=(0, 3 - axis))).mean())
        stroke = np.roll(TRUTH, 3, axis=3 - axis) & ~TRUTH
        stroke &= np.expand_dims(np.arange(64) == plane, 2 - axis)
        edit(clinician, stroke)
        assert touched_of(contour).whole == frozenset()
        mine = voxels(contour, ct)
        propagate(clinician)
        proposed = shape_of(outlines()[0], ct)
        assert np.array_equal(proposed[stroke], mine[stroke])
        beside = np.roll(stroke, 1, axis=axis)
        assert np.count_nonzero(proposed[beside]) > np.count_nonzero(mine[beside])
        clinician.ui.segmentEditor.undo()
        clinician.settle()
        assert outlines() == [], "undo took away what it was made for"


def test_the_contour_of_a_slice_is_copied_to_the_next_and_fitted(at_work):
    clinician, ct, contour = at_work
    ui = clinician.ui
    top = int(np.flatnonzero(voxels(contour, ct).any(axis=(1, 2)))[-1])
    before = voxels(contour, ct)
    go_to_slice(contour, top)
    ui.copyUpButton.click()
    wait(clinician)
    after = voxels(contour, ct)
    assert after[top + 1].any()
    np.testing.assert_array_equal(np.delete(after, top + 1, axis=0), np.delete(before, top + 1, axis=0))
    assert touched_of(contour).slices == (top + 1,)
    assert offset() == pytest.approx(height_of(ct, top + 1), abs=0.1)
    ui.segmentEditor.undo()
    clinician.settle()
    assert np.array_equal(voxels(contour, ct), before)
    go_to_slice(contour, top + 5)
    ui.copyDownButton.click()
    assert "no contour to copy" in ui.correctionLabel.text
    assert np.array_equal(voxels(contour, ct), before)


def test_what_comes_too_late_is_dropped_and_said(at_work):
    clinician, ct, contour = at_work
    ui = clinician.ui
    edit(clinician, LEAK)
    ui.propagateButton.click()
    paint(ui.segmentEditor, np.roll(LEAK, 1, axis=0))
    mine = voxels(contour, ct)
    wait(clinician)
    assert "changed meanwhile" in ui.correctionLabel.text
    go_to_slice(contour, MIDDLE)
    ui.copyUpButton.click()
    begin_by_hand(ct)
    clinician.panel.refresh()
    ui.contourBox.setCurrentIndex(1)
    wait(clinician)
    assert "chose another contour" in ui.correctionLabel.text
    assert np.array_equal(voxels(contour, ct), mine)
    assert outlines() == []


def test_cancel_and_a_killed_engine_leave_the_contour_and_the_next_try_works(at_work):
    clinician, ct, contour = at_work
    ui, logic = clinician.ui, clinician.panel.logic
    edit(clinician, LEAK)
    mine = voxels(contour, ct)
    pid = logic.pid
    ui.propagateButton.click()
    assert not ui.contourButton.enabled
    assert not ui.exportButton.enabled
    assert ui.stopButton.isVisible()
    ui.stopButton.click()
    wait(clinician)
    assert "Cancelled" in ui.correctionLabel.text
    assert not is_alive(pid)
    assert outlines() == []

    propagate(clinician)  # a new process
    assert len(outlines()) == 1
    ui.propagateButton.click()
    clinician.wait_until(lambda: "Reading" in ui.correctionLabel.text or outlines())
    os.killpg(logic.pid, signal.SIGKILL)
    wait(clinician)
    assert "ended the contouring" in ui.correctionLabel.text or outlines(), "unless it was quicker than the kill"
    assert np.array_equal(voxels(contour, ct), mine)
    assert ui.propagateButton.enabled
    propagate(clinician)
    assert len(outlines()) == 1
    kept = [path for path in Path(logic.working_folder).glob(f"{PREFIX}*") if path.is_dir()]
    assert kept == [], "what was written for the engine is gone"


def test_a_missed_bladder_is_outlined_on_some_slices_and_grows(quick_clinician):
    clinician = quick_clinician
    clinician.open()
    ct = show(add_volume(water_scene()[0].array, "Missed"))
    clinician.settle()
    ui = clinician.ui
    assert ui.beginButton.isVisible()
    ui.beginButton.click()
    clinician.settle()
    assert not ui.beginButton.isVisible()
    assert ui.resultSection.isVisible()
    (contour,) = contours_of(ct)
    drawn = np.zeros(TRUTH.shape, bool)
    chosen = [MIDDLE - 3, MIDDLE, MIDDLE + 3]
    drawn[chosen] = TRUTH[chosen]
    edit(clinician, drawn)
    assert generation_of(contour) == "MANUAL"
    propagate(clinician)
    ui.acceptButton.click()
    clinician.settle()
    now = voxels(contour, ct)
    assert np.array_equal(now[chosen], TRUTH[chosen])
    between = slice(MIDDLE - 3, MIDDLE + 4)
    overlap = np.count_nonzero(now[between] & TRUTH[between])
    assert 2 * overlap / (np.count_nonzero(now[between]) + np.count_nonzero(TRUTH[between])) > 0.9
    assert generation_of(contour) == "SEMIAUTOMATIC"


def test_a_proposal_for_a_contour_that_was_deleted_says_so(at_work):
    clinician, _ct, contour = at_work
    edit(clinician, LEAK)
    propagate(clinician)
    slicer.mrmlScene.RemoveNode(contour.segmentation)
    clinician.ui.acceptButton.click()
    assert clinician.ui.correctionLabel.text.startswith("The contour is no longer in the scene.")
    assert outlines() == []


def test_slices_that_were_edited_in_the_axial_view_stay_as_they_are(at_work):
    clinician, ct, contour = at_work
    automatic = voxels(contour, ct)
    slices = range(MIDDLE - 3, MIDDLE + 3)
    for number in slices:  # the wall lies three voxels farther out, on one slice after the other
        moved = np.zeros(TRUTH.shape, bool)
        for shift in (1, 2, 3):
            moved[number] |= np.roll(automatic[number], shift, axis=1) > 0
        paint(clinician.ui.segmentEditor, moved)
    clinician.settle()
    assert touched_of(contour).whole == set(slices)
    mine = voxels(contour, ct)
    propagate(clinician)
    changed = np.flatnonzero((shape_of(outlines()[0], ct) != mine).any(axis=(1, 2)))
    assert changed.size
    assert not set(slices) & set(changed)


def test_a_wrong_organ_that_was_erased_is_outlined_anew(at_work):
    clinician, ct, contour = at_work
    ui = clinician.ui
    assert not ui.beginButton.isVisible()
    assert not ui.erasedLabel.isVisible()
    edit(clinician, np.ones(TRUTH.shape, bool), erase=True)
    assert ui.beginButton.isVisible()
    assert ui.erasedLabel.isVisible()
    assert "a new contour begins" in ui.erasedLabel.text
    ui.segmentEditor.undo()
    clinician.settle()
    assert not ui.beginButton.isVisible()
    ui.segmentEditor.redo()
    clinician.settle()
    ui.beginButton.click()
    clinician.settle()
    assert not ui.beginButton.isVisible()
    assert not ui.erasedLabel.isVisible()
    old, new = contours_of(ct)
    assert old == contour
    drawn = np.zeros(TRUTH.shape, bool)
    chosen = [MIDDLE - 3, MIDDLE + 3]
    drawn[chosen] = TRUTH[chosen]
    edit(clinician, drawn)
    propagate(clinician)
    ui.acceptButton.click()
    clinician.settle()
    assert voxels(new, ct)[MIDDLE - 3 : MIDDLE + 4].any(axis=(1, 2)).all()
    assert not voxels(old, ct).any()


def test_where_smoothing_changed_every_slice_nothing_can_follow_and_it_is_said(at_work):
    clinician, ct, contour = at_work
    automatic = voxels(contour, ct) > 0
    inside = automatic.copy()
    for axis in (1, 2):
        inside &= np.roll(automatic, 1, axis) & np.roll(automatic, -1, axis)
    edit(clinician, automatic & ~inside, erase=True)
    mine = voxels(contour, ct)
    propagate(clinician)
    assert outlines() == []
    assert np.array_equal(voxels(contour, ct), mine)
    said = clinician.ui.correctionLabel.text
    assert said.startswith("Nothing changes: nearly all slices of this contour count as corrected by hand.")
    assert "undo that, propagate, then smooth" in said
    assert "fits" not in said


def test_a_proposal_that_goes_as_another_ct_is_shown_is_missed_by_nobody(at_work):
    clinician, ct, _contour = at_work
    ui = clinician.ui
    other = add_volume(water_scene()[0].array, "Other patient")
    clinician.settle()
    edit(clinician, LEAK)
    show(other)
    clinician.settle()
    assert ui.correctionLabel.text == "", "there was none"
    show(ct)
    clinician.settle()
    propagate(clinician)
    assert len(outlines()) == 1
    show(other)
    clinician.settle()
    assert outlines() == []
    assert ui.correctionLabel.text == "Another CT or contour was shown, so the proposal was dropped. Propagate again."
    show(ct)
    clinician.settle()
    assert ui.correctionLabel.text == ""

    propagate(clinician)
    slicer.mrmlScene.Clear(0)
    clinician.settle()
    assert ui.correctionLabel.text == "", "the next scene knows nothing of it"
