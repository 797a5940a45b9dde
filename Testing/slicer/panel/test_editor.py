"""The panel's Segment Editor: whose keys and views it takes, and whose contour it holds."""

import numpy as np
import slicer
from BladderAutoContourLib.slicer.scene.segmentation import begin_by_hand, contours_of
from clinic import add_volume, show
from ct_scene import voxels
from small_engine import water_scene
from standin.segment_editor import listens_to_keys, paint


def test_without_a_contour_the_editor_hears_no_key(quick_clinician, ct_folder):
    """Slicer 5.10 would end with all that is unsaved."""
    clinician = quick_clinician
    editor, section = clinician.ui.segmentEditor, clinician.ui.correctSection
    clinician.open()
    section.collapsed = False
    assert not listens_to_keys(editor)
    ct = clinician.contoured(ct_folder)
    assert listens_to_keys(editor)
    slicer.mrmlScene.Clear(0)
    clinician.settle()
    assert not listens_to_keys(editor)
    assert ct.GetScene() is None


def test_a_scene_that_is_added_takes_the_contour_out_of_no_hand(quick_clinician, ct_folder, tmp_path):
    """The editor's settings in a saved scene come in the place of ours."""
    clinician = quick_clinician
    clinician.contoured(ct_folder)
    clinician.ui.correctSection.collapsed = False
    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    first, editor = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[0], clinician.ui.segmentEditor
    (contour,) = contours_of(first)
    clinician.open_scene(path)
    for ct in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        show(ct)
        clinician.settle()
        shown = clinician.panel._result.contour
        assert shown.volume is ct
        assert editor.segmentationNode() is shown.segmentation
        assert editor.sourceVolumeNode() is ct
        assert editor.mrmlSegmentEditorNode().GetOverwriteMode() == slicer.vtkMRMLSegmentEditorNode.OverwriteNone
    assert contour.segmentation.GetScene() is not None


def test_the_brush_in_hand_is_not_saved_with_the_scene(quick_clinician, ct_folder, tmp_path):
    """Slicer 5.10 would take it up while it opens the scene, before there is a contour, and end."""
    clinician = quick_clinician
    clinician.contoured(ct_folder)
    editor = clinician.ui.segmentEditor
    clinician.ui.correctSection.collapsed = False
    editor.setActiveEffectByName("Paint")
    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    clinician.leave()
    slicer.mrmlScene.Clear(0)
    clinician.settle()
    clinician.open_scene(path)
    clinician.settle()
    assert editor.activeEffect() is None
    assert editor.segmentationNode() is None


def test_an_older_scenes_choice_is_not_taken_for_the_clinicians(quick_clinician, tmp_path):
    """A scene that was saved with the editor's settings chooses no other contour in the one it is added to."""
    clinician = quick_clinician
    clinician.open()
    ct = show(add_volume(water_scene()[0].array, "CT"))
    for _ in range(2):
        begin_by_hand(ct)
    clinician.settle()
    clinician.ui.correctSection.collapsed = False
    clinician.ui.contourBox.setCurrentIndex(0)
    clinician.settle()
    clinician.ui.segmentEditor.mrmlSegmentEditorNode().SetSaveWithScene(True)
    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    clinician.ui.contourBox.setCurrentIndex(1)
    clinician.settle()
    chosen = clinician.ui.contourBox.currentText
    clinician.open_scene(path)
    show(ct)
    clinician.settle()
    assert clinician.ui.contourBox.currentText == chosen
    assert clinician.ui.segmentEditor.currentSegmentID() == clinician.panel._result.contour.segment_id


def test_a_closed_panels_editor_lets_go_of_the_scene(quick_clinician, ct_folder):
    """As the module's Reload has it: an editor that is still there would follow the settings of the next."""
    clinician = quick_clinician
    clinician.contoured(ct_folder)
    editor = clinician.ui.segmentEditor
    clinician.close()
    assert editor.mrmlSegmentEditorNode() is None


def test_the_editors_keys_are_free_where_it_is_not_seen(quick_clinician, ct_folder):
    clinician = quick_clinician
    editor, section = clinician.ui.segmentEditor, clinician.ui.correctSection
    heard = [listens_to_keys(editor)]
    clinician.contoured(ct_folder)
    for folded in (True, False, True, False):
        section.collapsed = folded
        heard.append(listens_to_keys(editor))
    clinician.leave()
    heard.append(listens_to_keys(editor))
    section.collapsed = True
    section.collapsed = False
    heard.append(listens_to_keys(editor))
    clinician.open()
    assert [*heard, listens_to_keys(editor)] == [False, False, True, False, True, False, False, True]


def test_the_editor_leaves_the_views_as_they_are(clinician):
    clinician.open()
    assert not clinician.ui.segmentEditor.autoShowSourceVolumeNode


def test_what_was_begun_by_hand_has_no_automatic_contour_to_restore(clinician):
    """The button would empty the drawing."""
    clinician.open()
    ct = show(add_volume(water_scene()[0].array, "Missed"))
    contour = begin_by_hand(ct)
    clinician.settle()
    stroke = np.zeros(water_scene()[1].shape, bool)
    stroke[2:5, 5:25, 5:25] = True
    paint(clinician.ui.segmentEditor, stroke)
    clinician.settle()
    drawn = voxels(contour, ct)
    assert drawn.any()
    assert not clinician.ui.restoreButton.enabled
    clinician.ui.restoreButton.click()
    assert np.array_equal(voxels(contour, ct), drawn)
