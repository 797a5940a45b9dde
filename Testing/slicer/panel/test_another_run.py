"""A second run and its undo in the shipped panel: what is written belongs to the contour that is shown."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
from BladderAutoContourLib.slicer.scene.segmentation import contours_of
from clinic import Clinician
from exporting import outlined_area
from small_engine import save_water_weights
from standin.segment_editor import paint


def export_area(clinician: Clinician, out: Path) -> float:
    """Export to a new folder; the area within all outlines, mm2."""
    out.mkdir()
    clinician.ui.exportButton.click()
    dialog = clinician.open_dialog()
    dialog.folder.text = str(out)
    dialog.confirmButton.click()
    clinician.wait_until(lambda: not clinician.panel.logic.exporting)
    clinician.settle()
    (file,) = out.iterdir()
    return outlined_area(pydicom.dcmread(file))


def test_undo_brings_an_earlier_runs_outline_back(quick_clinician, ct_folder, tmp_path):
    clinician = quick_clinician
    ct = clinician.contoured(ct_folder)
    first = export_area(clinician, tmp_path / "first")
    other = save_water_weights(tmp_path / "other.pt", crop=32, spacing_mm=6.0)
    clinician.ui.weightsEdit.currentPath = str(other)
    clinician.wait_until(lambda: clinician.ui.weightsStateLabel.text == "These weights are used.")
    clinician.contour()
    assert len(contours_of(ct)) == 1, "the second run takes the place of the first"
    second = export_area(clinician, tmp_path / "second")
    assert second != pytest.approx(first, rel=0.01)
    clinician.ui.segmentEditor.undo()
    clinician.settle()
    assert export_area(clinician, tmp_path / "undone") == pytest.approx(first, rel=0.002)
    clinician.ui.segmentEditor.redo()
    clinician.settle()
    assert export_area(clinician, tmp_path / "redone") == pytest.approx(second, rel=0.002)


def test_a_warning_that_was_opened_in_a_run_that_was_undone_is_open_in_no_other(quick_clinician, ct_folder, tmp_path):
    clinician = quick_clinician
    ct = clinician.contoured(ct_folder)
    warnings = unopened(clinician, ct)
    assert warnings
    clinician.contour()
    for number in range(len(warnings)):
        clinician.click_cell("warningTable", number, 1)
    assert unopened(clinician, ct) == ()
    editor = clinician.ui.segmentEditor
    editor.undo()
    clinician.settle()
    assert clinician.cell("warningTable", 0, 1).font().bold()
    assert unopened(clinician, ct) == warnings, "nobody has opened those of the first run"
    editor.redo()
    clinician.settle()
    assert unopened(clinician, ct) == (), "the second run's are as they were left"
    stroke = np.zeros(slicer.util.arrayFromVolume(ct).shape, bool)
    stroke[2:5, 5:25, 5:25] = True
    paint(editor, stroke)
    editor.undo()
    clinician.settle()
    assert unopened(clinician, ct) == (), "a stroke that is undone closes nothing"

    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear(0)
    ct = clinician.open_scene(path)
    assert unopened(clinician, ct) == ()


def unopened(clinician: Clinician, ct: slicer.vtkMRMLScalarVolumeNode) -> tuple[str, ...]:
    """What the last look would say that nobody has opened, of the CT's only contour."""
    (contour,) = contours_of(ct)
    return clinician.panel.logic.look(contour).unopened
