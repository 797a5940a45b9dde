"""A second run and its undo in the shipped panel: what is written belongs to the contour that is shown."""

from pathlib import Path

import pydicom
import pytest
from BladderAutoContourLib.slicer.scene.segmentation import contours_of
from clinic import Clinician, load_ct
from exporting import outlined_area
from small_engine import save_water_weights


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
    clinician.open()
    ct = load_ct(ct_folder)
    clinician.settle()
    clinician.contour()
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
