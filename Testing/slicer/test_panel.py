"""The shipped panel in a session of the application: real scene, real engine; what a clinician sees and can do."""

import numpy as np
import pytest
import slicer
from BladderAutoContourLib.slicer.outcome import outcome_of
from BladderAutoContourLib.slicer.segmentation import contours_of, is_edited
from clinic import add_volume, is_alive, load_ct, show
from small_engine import water_scene
from standin.segment_editor import paint


def offset() -> float:
    """Where the axial slice view stands, in mm."""
    return slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().GetSliceOffset()


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
