"""What became of an export: said of the contour that was looked at, and no file is replaced unasked."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import qt
from BladderAutoContourLib.slicer.scene.segmentation import begin_by_hand
from BladderAutoContourLib.slicer.working_files import PREFIX
from clinic import Clinician, add_volume, is_alive, load_ct, show
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


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_what_hangs_while_it_is_written_is_cancelled(quick_clinician, ct_folder, tmp_path):
    clinician, ui, logic = quick_clinician, quick_clinician.ui, quick_clinician.panel.logic
    clinician.open()
    begin_by_hand(load_ct(ct_folder))
    clinician.settle()
    paint(ui.segmentEditor, STROKE)
    clinician.settle()
    assert not ui.stopExportButton.isVisible()
    clinician.wait_until(lambda: logic.pid)
    hanging = logic.pid
    os.kill(hanging, signal.SIGSTOP)  # as one that waits for a network share
    begin_export(clinician, tmp_path)
    clinician.settle()
    for button in (ui.contourButton, ui.propagateButton):
        assert not button.enabled
        assert button.toolTip == "A structure set is being written. Wait until it is done, or cancel it."
    assert not ui.exportButton.isVisible()
    assert ui.stopExportButton.isVisible()
    clinician.panel._export.progressed("read", 0.5, 61.0)  # what an engine tells that does not hang
    assert ui.exportOutcomeLabel.text == "Reading the CT, about 1 min left"

    ui.stopExportButton.click()
    clinician.wait_until(lambda: not logic.exporting)
    clinician.settle()
    assert not is_alive(hanging)
    assert ui.exportOutcomeLabel.text == "Cancelled. Nothing was exported."
    assert not ui.stopExportButton.isVisible()
    assert ui.contourButton.enabled
    assert ui.propagateButton.enabled
    assert ui.exportButton.isVisible()
    assert ui.exportButton.enabled
    assert list(tmp_path.iterdir()) == []
    assert not list(logic.working_folder.glob(f"{PREFIX}*"))

    begin_export(clinician, tmp_path)
    clinician.wait_until(lambda: not logic.exporting)
    assert len(list(tmp_path.iterdir())) == 1, "by a new engine"


def begin_export(clinician: Clinician, out: Path) -> None:
    """Confirm the last look."""
    clinician.ui.exportButton.click()
    dialog = clinician.open_dialog()
    dialog.folder.text = str(out)
    dialog.confirmButton.click()


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
