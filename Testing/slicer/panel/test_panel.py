"""The shipped panel in a session of the application: real scene, real engine; what a clinician sees and can do."""

import importlib.metadata

import numpy as np
import pydicom
import pytest
import qt
import slicer
import vtk
from BladderAutoContourLib.slicer.panel import settings
from BladderAutoContourLib.slicer.scene.ct_source import shown_ct
from BladderAutoContourLib.slicer.scene.outcome import outcome_of
from BladderAutoContourLib.slicer.scene.segmentation import contours_of, is_edited
from clinic import Clinician, add_volume, is_alive, load_ct, show
from ct_scene import voxels
from small_engine import water_scene
from standin.segment_editor import paint


def offset() -> float:
    """Where the axial slice view stands, in mm."""
    return slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().GetSliceOffset()


def height_of(ct: slicer.vtkMRMLScalarVolumeNode, index: int) -> float:
    """Where an axial slice lies, in mm."""
    matrix = vtk.vtkMatrix4x4()
    ct.GetIJKToRASMatrix(matrix)
    return matrix.MultiplyPoint((0, 0, index, 1))[2]


def test_an_empty_scene_says_what_to_do(clinician):
    clinician.open()
    ui = clinician.ui
    assert ui.noCtLabel.isVisible()
    assert "Load" in ui.noCtLabel.text
    assert not ui.ctTable.isVisible()
    assert not ui.contourButton.enabled
    assert ui.contourButton.toolTip == "Load a CT first."
    for hidden in (ui.cancelButton, ui.progressBar, ui.resultSection, ui.installFrame, ui.messageLabel):
        assert not hidden.isVisible()
    assert not ui.exportButton.enabled
    assert "not a medical device" in ui.disclaimerLabel.text


def test_every_widget_that_can_be_used_says_what_for(clinician):
    ui = vars(clinician.ui)
    inside_editor = set(map(id, clinician.ui.segmentEditor.findChildren("QWidget")))
    mute = [
        name
        for name, widget in ui.items()
        if widget.inherits("QWidget")
        and id(widget) not in inside_editor
        and name.endswith(("Button", "Box", "Edit", "Table", "Bar", "Text"))
        and not widget.toolTip
        and not name.startswith("qt_")
    ]
    assert mute == []


def test_click_to_result_with_the_shipped_weights(clinician, pelvis_folder):
    clinician.open()
    ct = load_ct(pelvis_folder)
    clinician.settle()
    ui = clinician.ui
    assert not ui.noCtLabel.isVisible()
    assert clinician.cell("ctTable", 0, 0).text() == ct.GetName()
    assert ui.contourButton.enabled
    bystanders = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    ui.contourButton.click()
    clinician.wait_for_step("Drawing the contour")
    assert ui.cancelButton.isVisible()
    assert not ui.contourButton.isVisible()
    assert clinician.cell("ctTable", 0, 1).text().startswith("contouring ")
    assert not ui.exportButton.enabled
    assert not ui.deviceBox.enabled
    clinician.wait_until(lambda: "left" in ui.stepLabel.text)
    assert 0 < ui.progressBar.value <= 99
    clinician.wait_for_result()

    (contour,) = contours_of(ct)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == [*bystanders, contour.segmentation]
    outcome = outcome_of(contour)
    assert ui.resultSection.isVisible()
    assert ui.volumeLabel.text == f"{outcome.volume_ml:.0f} mL" == clinician.cell("ctTable", 0, 1).text()
    assert "Certainty" in ui.confidenceLabel.text
    assert "processor (CPU)" in ui.originLabel.text or "graphics card" in ui.originLabel.text
    assert "generated-pelves" in ui.originLabel.text
    assert ui.contourButton.isVisible()
    assert ui.exportButton.enabled
    assert not ui.restoreButton.enabled
    assert not ui.contourBox.isVisible()
    assert "Contoured on" in ui.logText.toPlainText()
    centre = contour.segmentation.GetSegmentCenterRAS(contour.segment_id)
    assert offset() == pytest.approx(centre[2], abs=4)
    node = ui.segmentEditor.mrmlSegmentEditorNode()
    assert node.GetOverwriteMode() == node.OverwriteNone
    assert ui.segmentEditor.currentSegmentID() == contour.segment_id


def test_the_shown_ct_is_ticked_until_the_user_ticks(clinician):
    clinician.open()
    first, second = (add_volume(water_scene()[0].array, name) for name in ("First", "Second"))
    labelmap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "No CT")
    clinician.settle()
    ticked = clinician.panel.ticked_cts
    assert [clinician.cell("ctTable", row, 0).text() for row in (0, 1)] == ["First", "Second"]
    assert clinician.ui.ctTable.rowCount == 2, labelmap.GetName()
    assert not clinician.ui.contourButton.enabled
    assert clinician.ui.contourButton.toolTip == "Tick a CT in the list first."

    show(second)
    clinician.settle()
    assert ticked() == [second]
    clinician.cell("ctTable", 0, 0).setCheckState(qt.Qt.Checked)
    clinician.settle()
    assert ticked() == [first, second]
    clinician.click_cell("ctTable", 0, 1)  # to see that CT
    clinician.settle()
    assert shown_ct(slicer.mrmlScene) is first
    slicer.mrmlScene.RemoveNode(second)
    clinician.settle()
    assert clinician.ui.ctTable.rowCount == 1
    assert ticked() == [first]


def test_a_ct_that_cannot_be_contoured_says_why(clinician):
    clinician.open()
    ct = show(add_volume(water_scene()[0].array, "Moved"))
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([2.0, 1.0, 1.0, 1.0])))
    clinician.settle()
    assert clinician.ui.contourButton.enabled
    ct.SetAndObserveTransformNodeID(transform.GetID())
    clinician.settle()
    assert not clinician.ui.contourButton.enabled
    assert "transform" in clinician.ui.contourButton.toolTip
    assert "transform" in clinician.cell("ctTable", 0, 0).toolTip()
    assert clinician.cell("ctTable", 0, 1).text() == "not possible"


def test_a_click_on_a_warning_opens_it_and_jumps_from_slice_to_slice(quick_clinician, ct_folder):
    clinician = quick_clinician
    ct = clinician.contoured(ct_folder)
    (contour,) = contours_of(ct)
    warnings = outcome_of(contour).warnings
    number, warning = next((n, w) for n, w in enumerate(warnings) if len(w.slices) > 1)
    sentence, slices = (clinician.cell("warningTable", number, column) for column in (1, 2))
    assert sentence.text() == warning.sentence
    assert sentence.font().bold()
    assert slices.text() == f"{len(warning.slices)} slices"
    assert clinician.panel.logic.look(contour).unopened == tuple(w.sentence for w in warnings)

    heights = []
    for visit in range(len(warning.slices) + 1):
        clinician.click_cell("warningTable", number, 1)
        heights.append(offset())
        at = visit % len(warning.slices)
        assert clinician.cell("warningTable", number, 2).text() == f"{at + 1} of {len(warning.slices)}"
    assert heights[:-1] == pytest.approx([height_of(ct, index) for index in warning.slices], abs=0.01)
    assert heights[-1] == heights[0]
    assert not clinician.cell("warningTable", number, 1).font().bold()
    unopened = clinician.panel.logic.look(contour).unopened
    assert unopened == tuple(w.sentence for w in warnings if w is not warning)


def test_corrections_are_told_restored_undone_and_survive_a_rerun(quick_clinician, ct_folder):
    clinician = quick_clinician
    ct = clinician.contoured(ct_folder)
    ui, editor = clinician.ui, clinician.ui.segmentEditor
    (contour,) = contours_of(ct)
    automatic = ui.volumeLabel.text
    brush = np.zeros(slicer.util.arrayFromVolume(ct).shape, bool)
    brush[2:5, 5:25, 5:25] = True

    paint(editor, brush)
    clinician.settle()
    assert is_edited(contour)
    assert ui.correctedLabel.isVisible()
    assert automatic in ui.correctedLabel.text
    assert ui.volumeLabel.text not in ("", automatic)
    edited = voxels(contour, ct)
    assert ui.restoreButton.enabled
    ui.restoreButton.click()
    clinician.settle()
    assert ui.volumeLabel.text == automatic
    assert not ui.correctedLabel.isVisible()
    assert not ui.restoreButton.enabled
    editor.undo()
    clinician.settle()
    assert np.array_equal(voxels(contour, ct), edited)

    clinician.contour()
    older, newer = contours_of(ct)
    assert older == contour
    assert np.array_equal(voxels(older, ct), edited)
    assert ui.contourBox.isVisible()
    assert ui.volumeLabel.text == automatic, "the newest is shown"
    assert editor.currentSegmentID() == newer.segment_id
    editor.undo()
    clinician.settle()
    assert contours_of(ct) == [older], "undo takes the run back, and not the edit before it"
    assert np.array_equal(voxels(older, ct), edited)
    editor.redo()
    clinician.settle()
    assert contours_of(ct) == [older, newer]
    ui.contourBox.setCurrentIndex(0)
    clinician.settle()
    assert ui.correctedLabel.isVisible()
    assert editor.currentSegmentID() == older.segment_id

    clinician.contour()  # the untouched one is replaced, the edited one stays
    assert contours_of(ct) == [older, newer]
    assert np.array_equal(voxels(older, ct), edited)


def test_a_saved_scene_tells_the_result_again(quick_clinician, ct_folder, tmp_path):
    clinician = quick_clinician
    ct = clinician.contoured(ct_folder)
    ui = clinician.ui
    clinician.click_cell("warningTable", 0, 0)
    told = [ui.volumeLabel.text, ui.confidenceLabel.text, ui.originLabel.text, ui.warningTable.rowCount]
    path = str(tmp_path / "Szene ü.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear(0)
    clinician.settle()
    assert not ui.resultSection.isVisible()
    assert ui.noCtLabel.isVisible()
    assert ct.GetScene() is None
    clinician.open_scene(path)
    assert [ui.volumeLabel.text, ui.confidenceLabel.text, ui.originLabel.text, ui.warningTable.rowCount] == told
    assert not clinician.cell("warningTable", 0, 1).font().bold()


def test_settings_are_kept_and_weights_are_looked_at_first(app, weights, tmp_path):
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(weights.read_bytes()[:1000])
    damaged.with_suffix(".json").write_bytes(weights.with_suffix(".json").read_bytes())
    first = Clinician()
    first.open()
    ui = first.ui
    assert ui.deviceBox.currentText == "Automatic"
    ui.deviceBox.setCurrentIndex(2)
    ui.weightsEdit.currentPath = str(tmp_path / "no such file")
    assert ui.weightsStateLabel.text == "There is no such file."
    ui.weightsEdit.currentPath = str(damaged)
    first.wait_until(lambda: "not used" in ui.weightsStateLabel.text)
    assert "damaged" in ui.weightsStateLabel.text
    assert settings.load() == settings.Settings("cpu")
    ui.weightsEdit.currentPath = str(weights)
    first.wait_until(lambda: ui.weightsStateLabel.text == "These weights are used.")
    ui.workingFolderEdit.currentPath = str(tmp_path / "gone")
    ui.workingFolderEdit.currentPath = str(tmp_path)
    first.close()
    assert settings.load() == settings.Settings("cpu", weights, tmp_path)

    second = Clinician()
    assert second.ui.deviceBox.currentText == "Processor (CPU)"
    assert second.ui.weightsEdit.currentPath == str(weights)
    assert second.ui.workingFolderEdit.currentPath == str(tmp_path)
    assert second.panel.logic.working_folder == tmp_path
    second.ui.weightsEdit.currentPath = ""
    assert settings.load().weights is None
    second.close()


def test_the_engine_comes_and_goes_with_the_module(quick_clinician, ct_folder):
    clinician, logic = quick_clinician, quick_clinician.panel.logic
    assert logic.pid is None
    clinician.open()
    clinician.wait_until(lambda: logic.pid)
    idle = logic.pid
    clinician.leave()
    assert not is_alive(idle)

    clinician.open()
    ct = load_ct(ct_folder)
    clinician.settle()
    clinician.ui.contourButton.click()
    clinician.wait_until(lambda: logic.pid and clinician.ui.progressBar.isVisible())
    clinician.leave()
    working = logic.pid
    clinician.wait_for_result()  # what is at work is finished
    assert len(contours_of(ct)) == 1
    assert not is_alive(working)


def test_export_to_a_folder_after_a_last_look(quick_clinician, ct_folder, tmp_path):
    clinician = quick_clinician
    ct = clinician.contoured(ct_folder)
    ui, out = clinician.ui, tmp_path / "Ausgabe ü"
    out.mkdir()
    ui.exportButton.click()
    dialog = clinician.open_dialog()
    sentence = outcome_of(contours_of(ct)[0]).warnings[0].sentence
    assert sentence in dialog.attention.text
    dialog.folder.text = str(out)
    dialog.confirmButton.click()
    assert not ui.exportButton.enabled
    assert not ui.contourButton.enabled
    clinician.wait_until(lambda: "Exported" in ui.exportOutcomeLabel.text)
    (file,) = out.iterdir()
    assert str(file) in ui.exportOutcomeLabel.text
    structure_set = pydicom.dcmread(file)
    assert structure_set.RTROIObservationsSequence[0].RTROIInterpretedType == "ORGAN"
    assert structure_set.StructureSetROISequence[0].ROIGenerationAlgorithm == "AUTOMATIC"
    clinician.settle()
    assert ui.exportButton.enabled
    assert ui.contourButton.enabled


def test_a_ct_that_is_no_dicom_is_told_so_and_offered_a_segmentation(quick_clinician, answers, tmp_path):
    clinician = quick_clinician
    clinician.open()
    show(add_volume(water_scene()[0].array, "From a file"))
    clinician.settle()
    clinician.contour()
    ui = clinician.ui
    assert not ui.saveButton.isVisible()
    ui.exportButton.click()
    assert "not loaded from DICOM" in ui.exportOutcomeLabel.text
    assert ui.saveButton.isVisible()
    answers.give("")
    ui.saveButton.click()  # and thinks better of it
    assert ui.saveButton.isVisible()
    answers.give(tmp_path / "Blase ü")
    ui.saveButton.click()
    assert (tmp_path / "Blase ü.seg.nrrd").is_file()
    assert "Blase ü.seg.nrrd" in ui.exportOutcomeLabel.text


def test_a_missing_pytorch_is_offered_to_be_installed(clinician, answers, tmp_path, monkeypatch):
    versions = {"torch": None}
    monkeypatch.setattr(importlib.metadata, "version", versions.get)
    clinician.open()
    show(add_volume(water_scene()[0].array, "CT"))
    clinician.settle()
    ui = clinician.ui
    assert ui.installFrame.isVisible()
    assert clinician.panel.logic.pid is None
    assert not ui.contourButton.enabled
    assert "PyTorch" in ui.contourButton.toolTip
    ui.installButton.click()
    assert "Extensions Manager" in ui.installLabel.text
    assert ui.installButton.enabled
    assert "this command in Slicer's folder bin fills a folder" in ui.installFolderButton.toolTip
    assert '--dest FOLDER "torch>=2.6"' in ui.installFolderButton.toolTip
    answers.give(tmp_path)
    ui.installFolderButton.click()
    assert "no PyTorch package in this folder" in ui.installLabel.text
    versions["torch"] = "2.5.1"
    clinician.open()
    assert "too old" in ui.installLabel.text
    versions["torch"] = "2.9.0+cpu"
    clinician.open()
    assert not ui.installFrame.isVisible()
    assert ui.contourButton.enabled
