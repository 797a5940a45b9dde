"""Which CTs are to be contoured and which one is looked at: what the mouse does in the panel's list."""

import numpy as np
import pytest
import slicer
from BladderAutoContourLib.slicer.scene.ct_source import shown_ct
from clinic import Clinician, add_volume, show
from small_engine import water_scene


@pytest.fixture
def three_cts(clinician) -> tuple[Clinician, list[slicer.vtkMRMLScalarVolumeNode]]:
    """A clinician who looks at the first of three CTs."""
    clinician.open()
    volumes = [add_volume(water_scene()[0].array, name) for name in ("First", "Second", "Third")]
    show(volumes[0])
    clinician.settle()
    return clinician, volumes


def test_a_volume_that_is_no_ct_is_told_where_there_is_no_other(clinician):
    clinician.open()
    label = clinician.ui.noCtLabel
    how_to_load = label.text
    flat = show(add_volume(np.zeros((3, 8, 8), np.int16), "Localiser"))
    clinician.settle()
    assert label.isVisible()
    assert label.text == "This volume has too few slices (3): at least 4 are needed."
    other = add_volume(water_scene()[0].array, "Pelvis")
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = tree.CreateItem(tree.GetSceneItemID(), other)
    tree.SetItemAttribute(item, "DICOM.Modality", "MR")
    show(other)
    clinician.settle()
    assert label.text == "This is a MR image; the program knows the bladder in CT only."
    tree.SetItemAttribute(item, "DICOM.Modality", "CT")
    show(flat)
    clinician.settle()
    assert not label.isVisible(), "the list tells the rest"
    slicer.mrmlScene.Clear(0)
    clinician.settle()
    assert label.isVisible()
    assert label.text == how_to_load


def test_ticks_of_the_mouse_add_up_and_show_nothing_else(three_cts):
    clinician, (first, second, third) = three_cts
    clinician.click_box("ctTable", 1)
    clinician.settle()
    assert clinician.panel.ticked_cts() == [first, second]
    assert shown_ct(slicer.mrmlScene) is first, "a tick is no wish to see another CT"
    assert [index.row() for index in clinician.ui.ctTable.selectionModel().selectedRows()] == [0]
    clinician.click_box("ctTable", 0)
    clinician.click_box("ctTable", 2)
    clinician.settle()
    assert clinician.panel.ticked_cts() == [second, third]


def test_looking_at_another_ct_keeps_the_ticks(three_cts):
    clinician, (first, second, third) = three_cts
    clinician.click_cell("ctTable", 1, 0)
    clinician.settle()
    assert clinician.panel.ticked_cts() == [second], "nobody has ticked by hand: what is shown is ticked"
    clinician.click_box("ctTable", 0)
    clinician.click_cell("ctTable", 2, 0)
    clinician.settle()
    assert shown_ct(slicer.mrmlScene) is third
    assert clinician.panel.ticked_cts() == [first, second]


def test_a_tick_that_came_without_the_mouse_does_not_swallow_the_next_click(three_cts):
    clinician, (_first, second, _third) = three_cts
    clinician.tick_all()  # as the space bar does
    clinician.click_cell("ctTable", 1, 0)
    assert shown_ct(slicer.mrmlScene) is second


def test_ticks_end_with_the_scene_though_the_next_ones_cts_have_the_same_ids(three_cts):
    clinician, volumes = three_cts
    ids = [volume.GetID() for volume in volumes]
    clinician.tick_all()
    slicer.mrmlScene.Clear(0)
    others = [add_volume(water_scene()[0].array, name) for name in ("First", "Second", "Third")]
    assert [other.GetID() for other in others] == ids
    show(others[0])
    clinician.settle()
    assert clinician.panel.ticked_cts() == [others[0]]
