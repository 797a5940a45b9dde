"""Which of a CT's contours is corrected and exported: the one that the clinician chose, in the panel or its editor."""

import numpy as np
import pytest
import slicer
from BladderAutoContourLib.slicer.scene.segmentation import Contour, begin_by_hand, contours_of
from clinic import Clinician, add_volume, show
from small_engine import water_scene
from standin.segment_editor import paint

STROKE = np.zeros(water_scene()[1].shape, bool)
STROKE[2:5, 5:25, 5:25] = True


@pytest.fixture
def three_contours(quick_clinician) -> tuple[Clinician, slicer.vtkMRMLScalarVolumeNode, list[Contour]]:
    """A clinician who looks at a CT with three contours, the section of corrections open; the last one is chosen."""
    clinician = quick_clinician
    clinician.open()
    ct = show(add_volume(water_scene()[0].array, "CT"))
    contours = [begin_by_hand(ct) for _ in range(3)]
    clinician.settle()
    clinician.ui.correctSection.collapsed = False
    return clinician, ct, contours


def chosen(clinician: Clinician) -> tuple[str, str]:
    """The contour that the panel shows, and the segment that the brush paints."""
    return clinician.ui.contourBox.currentText, clinician.ui.segmentEditor.currentSegmentID()


def names(contour: Contour) -> tuple[str, str]:
    """What `chosen` gives where this contour is the one."""
    return contour.segmentation.GetSegmentation().GetSegment(contour.segment_id).GetName(), contour.segment_id


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


def test_a_run_chooses_its_contour(three_contours):
    clinician, ct, (first, second, third) = three_contours
    paint(clinician.ui.segmentEditor, STROKE)
    clinician.ui.contourBox.setCurrentIndex(0)
    paint(clinician.ui.segmentEditor, STROKE)
    clinician.contour()
    assert contours_of(ct) == [first, second, third]
    assert chosen(clinician) == names(second), "the one that nobody had worked on became the run's"
