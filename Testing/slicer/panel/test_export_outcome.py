"""What became of an export: said of the contour that was looked at."""

import numpy as np
import pydicom
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
