"""Which of a CT's contours is corrected and exported: the one that the clinician chose, in the panel or its editor."""

import numpy as np
import pytest
import slicer
from BladderAutoContourLib.slicer.scene.segmentation import Contour, begin_by_hand, contours_of
from clinic import Clinician, add_volume, load_ct, show
from ct_scene import voxels
from small_engine import water_scene
from standin.segment_editor import click_segment, paint

STROKE = np.zeros(water_scene()[1].shape, bool)
STROKE[2:5, 5:25, 5:25] = True


def with_three_contours(clinician: Clinician) -> tuple[Clinician, slicer.vtkMRMLScalarVolumeNode, list[Contour]]:
    """A clinician who looks at a CT with three contours, the section of corrections open; the last one is chosen."""
    clinician.open()
    ct = show(add_volume(water_scene()[0].array, "CT"))
    contours = [begin_by_hand(ct) for _ in range(3)]
    clinician.settle()
    clinician.ui.correctSection.collapsed = False
    return clinician, ct, contours


@pytest.fixture
def three_contours(clinician) -> tuple[Clinician, slicer.vtkMRMLScalarVolumeNode, list[Contour]]:
    """The same, with the shipped weights, which nobody needs."""
    return with_three_contours(clinician)


def chosen(clinician: Clinician) -> tuple[str, str]:
    """The contour that the panel shows, and the segment that the brush paints."""
    return clinician.ui.contourBox.currentText, clinician.ui.segmentEditor.currentSegmentID()


def names(contour: Contour) -> tuple[str, str]:
    """What `chosen` gives where this contour is the one."""
    return contour.segment.GetName(), contour.segment_id


def test_the_contour_that_was_chosen_stays_when_others_come_and_go(three_contours):
    clinician, ct, (first, second, third) = three_contours
    assert chosen(clinician) == names(third)
    clinician.ui.contourBox.setCurrentIndex(0)
    second.segmentation.GetSegmentation().RemoveSegment(second.segment_id)
    clinician.settle()
    assert chosen(clinician) == names(first)
    fourth = begin_by_hand(ct)
    clinician.panel.refresh()
    assert chosen(clinician) == names(first)
    first.segmentation.GetSegmentation().RemoveSegment(first.segment_id)
    clinician.settle()
    assert chosen(clinician) == names(fourth), "it is gone: the newest"


@pytest.mark.parametrize("in_hand", [False, True])
def test_a_result_moves_no_view_under_a_brush(quick_clinician, in_hand: bool):
    """A stroke would go on from where it was to where the view is, through all slices between."""
    clinician, _, _ = with_three_contours(quick_clinician)
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    red.SetSliceOffset(red.GetSliceOffset() + 40.0)
    stood = red.GetSliceOffset()
    clinician.ui.contourButton.click()
    if in_hand:
        clinician.ui.segmentEditor.setActiveEffectByName("Paint")
    clinician.wait_for_result()
    assert (red.GetSliceOffset() == stood) == in_hand


def test_a_run_chooses_its_contour(quick_clinician):
    clinician, ct, (first, second, third) = with_three_contours(quick_clinician)
    paint(clinician.ui.segmentEditor, STROKE)
    clinician.ui.contourBox.setCurrentIndex(0)
    paint(clinician.ui.segmentEditor, STROKE)
    clinician.contour()
    assert contours_of(ct) == [first, second, third]
    assert chosen(clinician) == names(second), "the one that nobody had worked on became the run's"


def test_what_is_taken_up_in_the_editor_is_what_the_panel_shows(three_contours):
    clinician, _ct, (first, second, third) = three_contours
    editor = clinician.ui.segmentEditor
    editor.setActiveEffectByName("Paint")
    click_segment(editor, 0)
    assert chosen(clinician) == names(first)
    assert editor.mrmlSegmentEditorNode().GetActiveEffectName() == "Paint", "the brush stays in hand"
    paint(editor, STROKE)
    clinician.settle()
    assert "2-4" in clinician.ui.correctedLabel.text
    editor.setCurrentSegmentID(second.segment_id)  # as the editor's keys do
    assert chosen(clinician) == names(second)
    clinician.ui.contourBox.setCurrentIndex(2)
    assert chosen(clinician) == names(third)


def test_the_contour_that_was_corrected_is_the_one_of_the_last_look(clinician, ct_folder):
    clinician.open()
    ct = load_ct(ct_folder)
    first, second = begin_by_hand(ct), begin_by_hand(ct)
    clinician.settle()
    assert chosen(clinician) == names(second)
    clinician.ui.correctSection.collapsed = False
    click_segment(clinician.ui.segmentEditor, 0)
    paint(clinician.ui.segmentEditor, STROKE)
    clinician.settle()
    clinician.ui.exportButton.click()
    dialog = clinician.open_dialog()
    assert dialog.contour.text == names(first)[0]
    assert dialog.volume.text == f"{np.count_nonzero(voxels(first, ct)) * 0.08:.1f} mL"


def test_another_segment_is_left_to_slicers_own_editor(three_contours):
    clinician, _ct, (_first, _second, third) = three_contours
    third.segmentation.GetSegmentation().AddEmptySegment("Rectum", "Rectum")
    clinician.ui.segmentEditor.updateWidgetFromMRML()  # Slicer's own list looks by itself
    click_segment(clinician.ui.segmentEditor, 3)
    assert chosen(clinician) == names(third)
    assert "module Segment Editor" in clinician.ui.messageLabel.text


def test_a_contour_that_was_saved_by_itself_is_its_cts_again(clinician, tmp_path):
    clinician.open()
    ct = show(add_volume(water_scene()[0].array, "CT"))
    clinician.settle()
    clinician.ui.beginButton.click()
    paint(clinician.ui.segmentEditor, STROKE)
    (contour,) = contours_of(ct)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(tmp_path / "Blase.seg.nrrd"))
    assert storage.WriteData(contour.segmentation)
    slicer.mrmlScene.Clear(False)
    clinician.settle()
    loaded = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage.ReadData(loaded)
    clinician.settle()
    assert clinician.ui.contourBox.count == 0
    ct = show(add_volume(water_scene()[0].array, "CT of another day"))
    clinician.settle()
    assert [one.segmentation for one in contours_of(ct)] == [loaded]
    assert clinician.ui.contourBox.count == 1
    assert "2-4" in clinician.ui.correctedLabel.text, "what was drawn by hand is still known"
