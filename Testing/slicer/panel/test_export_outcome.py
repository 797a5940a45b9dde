"""What became of an export: said of the contour that was looked at, and no file is replaced unasked."""

import numpy as np
import pydicom
import qt
from BladderAutoContourLib.slicer.scene.segmentation import begin_by_hand
from clinic import add_volume, load_ct, show
from small_engine import water_scene
from standin.segment_editor import paint

STROKE = np.zeros(water_scene()[1].shape, bool)
STROKE[2:5, 5:25, 5:25] = True


def test_under_another_ct_the_outcome_says_whose_it_is(quick_clinician, ct_folder, tmp_path):
    clinician, ui = quick_clinician, quick_clinician.ui
    clinician.open()
    ct = load_ct(ct_folder)
    begin_by_hand(ct)
    clinician.settle()
    paint(ui.segmentEditor, STROKE)
    clinician.settle()
    ui.exportButton.click()
    dialog = clinician.open_dialog()
    other = show(add_volume(water_scene()[0].array, "Other patient"))
    begin_by_hand(other)
    clinician.settle()
    dialog.folder.text = str(tmp_path)
    dialog.confirmButton.click()
    whose = f"{ct.GetName()}, Bladder: "
    assert ui.exportOutcomeLabel.text == f"{whose}Writing the structure set..."
    clinician.wait_until(lambda: not clinician.panel.logic.exporting)
    (file,) = tmp_path.iterdir()
    assert ui.exportOutcomeLabel.text == f"{whose}Exported to {file}"
    (roi,) = pydicom.dcmread(file).ROIContourSequence
    assert len(roi.ContourSequence) == 3, "what was looked at"


def test_a_file_that_the_dialog_did_not_know_is_replaced_only_if_wanted(clinician, answers, tmp_path):
    clinician.open()
    ui = clinician.ui
    begin_by_hand(show(add_volume(water_scene()[0].array, "From a file")))
    clinician.settle()
    paint(ui.segmentEditor, STROKE)
    ui.exportButton.click()
    old = tmp_path / "Blase ü.seg.nrrd"
    old.write_bytes(b"somebody's work")
    answers.give(tmp_path / "Blase ü", qt.QMessageBox.No)
    ui.saveButton.click()
    assert old.read_bytes() == b"somebody's work"
    assert str(old) in answers.shown[-1].text
    assert ui.saveButton.isVisible()
    answers.give(tmp_path / "Blase ü", qt.QMessageBox.Yes)
    ui.saveButton.click()
    assert old.read_bytes().startswith(b"NRRD")
    answers.give(old)  # for this name the dialog itself has asked
    ui.exportButton.click()
    ui.saveButton.click()
    assert "Saved as" in ui.exportOutcomeLabel.text
