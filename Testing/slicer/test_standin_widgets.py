"""The stand-in's widgets over the real scene, its .ui loader, and its DICOM parts over real files."""

import re
from pathlib import Path

import ctk
import DICOMLib
import numpy as np
import pydicom
import pytest
import qt
import slicer
from ct_scene import add_ct, grid, texture
from standin.dicom import import_dicom, load_series
from standin.scripted_module import load_module
from standin.segment_editor import paint

UI = """<ui version="4.0"><class>Panel</class>
<widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout" name="column">
 <item><widget class="qMRMLNodeComboBox" name="ctBox">
  <property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
  <property name="noneEnabled"><bool>true</bool></property>
  <property name="SlicerParameterName" stdset="0"><string>ct</string></property></widget></item>
 <item><widget class="ctkPathLineEdit" name="weights">
  <property name="filters"><set>ctkPathLineEdit::Dirs|ctkPathLineEdit::Readable</set></property></widget></item>
 <item><widget class="ctkCollapsibleButton" name="advanced"><property name="collapsed"><bool>true</bool></property>
  <layout class="QVBoxLayout" name="inner"><item><widget class="QCheckBox" name="box"/></item></layout></widget></item>
 <item><widget class="QLabel" name="label"/></item>
</layout></widget>
<customwidgets>
 <customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>a.h</header></customwidget>
 <customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends><header>a.h</header></customwidget>
 <customwidget><class>ctkPathLineEdit</class><extends>QWidget</extends><header>a.h</header></customwidget>
 <customwidget><class>ctkCollapsibleButton</class><extends>QWidget</extends><header>a.h</header></customwidget>
</customwidgets>
<connections>
 <connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
  <receiver>ctBox</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection>
 <connection><sender>box</sender><signal>toggled(bool)</signal>
  <receiver>label</receiver><slot>setEnabled(bool)</slot></connection>
</connections></ui>"""


@pytest.fixture
def load(app, tmp_path):
    """Write a .ui file and load it, the text changed where the test says so."""

    def load_text(old="", new=""):
        path = tmp_path / "Größe.ui"
        path.write_text(UI.replace(old, new) if old else UI, encoding="utf-8")
        return slicer.util.loadUI(str(path))

    return load_text


@pytest.fixture
def ct(scene):
    return add_ct(texture(grid()), name="CT")


# .ui files


def test_a_ui_file_makes_widgets_properties_and_connections(load, scene, ct):
    panel = load()
    ui = slicer.util.childWidgetVariables(panel)
    assert ui.ctBox.className() == "qMRMLNodeComboBox"
    assert ui.ctBox.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    assert ui.ctBox.property("SlicerParameterName") == "ct"
    assert ui.weights.filters == ctk.ctkPathLineEdit.Dirs | ctk.ctkPathLineEdit.Readable
    assert ui.advanced.collapsed
    panel.setMRMLScene(scene)
    assert ui.ctBox.nodeCount() == 1
    ui.box.checked = True
    ui.box.checked = False
    assert not ui.label.enabled


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<class>ctkPathLineEdit", "<class>ctkPathLine"),
        ('name="noneEnabled"', 'name="noneAllowed"'),
        ("mrmlSceneChanged(vtkMRMLScene*)", "sceneChanged(vtkMRMLScene*)"),
        ("setMRMLScene(vtkMRMLScene*)", "setScene(vtkMRMLScene*)"),
        ("<sender>box", "<sender>tick"),
        ("toggled(bool)", "toggled(int)"),
        ("setEnabled(bool)", "enabled(bool)"),
    ],
)
def test_a_ui_file_with_a_mistake_is_refused(load, old, new):
    with pytest.raises((ValueError, AttributeError), match=re.escape(new.rpartition('"')[0].rpartition('"')[2]) or "."):
        load(old, new)


# CTK's widgets


def test_a_folded_section_takes_only_its_header(app):
    window = qt.QWidget()
    column = qt.QVBoxLayout(window)
    section = ctk.ctkCollapsibleButton("Advanced")
    column.addWidget(section)
    qt.QVBoxLayout(section).addWidget(qt.QTextEdit())
    heard = []
    section.connect("contentsCollapsed(bool)", heard.append)
    window.show()
    app.processEvents()
    height = section.height
    section.collapsed = True
    app.processEvents()
    assert section.height < 40 < height
    section.click()
    assert (section.collapsed, heard) == (False, [True, False])
    with pytest.raises(AttributeError):
        section.setCollapsed(True)  # no slot in CTK: only the property is shown to Python


def test_a_path_is_typed_or_browsed_for(app, answers, tmp_path):
    edit = ctk.ctkPathLineEdit()
    heard = []
    edit.currentPathChanged.connect(lambda path: heard.append(path))  # hears of a valid or invalid path alike
    edit.currentPath = "typed"
    edit.setCurrentPath("set")
    answers.give(tmp_path / "weights.pt", "")
    edit.browse()
    edit.browse()
    assert edit.currentPath == str(tmp_path / "weights.pt")
    assert heard == ["typed", "set", str(tmp_path / "weights.pt")]
    with pytest.raises(AttributeError):
        edit.setFilters(ctk.ctkPathLineEdit.Dirs)


# Widgets over the scene


def test_the_node_selector_follows_the_scene(scene, ct):
    box = slicer.qMRMLNodeComboBox()
    heard, valid, ids = [], [], []
    box.currentNodeChanged.connect(lambda node: heard.append(node))
    box.connect("currentNodeChanged(bool)", valid.append)
    box.connect("currentNodeIDChanged(QString)", ids.append)
    box.nodeTypes = ("vtkMRMLScalarVolumeNode",)
    box.setMRMLScene(scene)
    assert box.currentNode() is ct
    other = add_ct(texture(grid()), name="Other")
    hidden = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Hidden")
    hidden.SetHideFromEditors(True)
    scene.AddNewNodeByClass("vtkMRMLModelNode", "Model")
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    assert [box.nodeFromIndex(index) for index in range(4)] == [ct, other, labels, None]
    box.hideChildNodeTypes = ("vtkMRMLLabelMapVolumeNode",)
    assert box.nodeCount() == 2
    box.setCurrentNode(other)
    scene.RemoveNode(other)
    assert box.currentNode() is ct
    others = [add_ct(texture(grid()), name=name) for name in "AB"]
    box.setCurrentNode(others[1])
    scene.RemoveNode(others[1])
    assert box.currentNode() is others[0]
    scene.RemoveNode(others[0])
    box.noneEnabled = True
    box.setCurrentNodeID("")
    assert box.currentNode() is None
    assert heard == [ct, other, ct, others[1], others[0], ct, None]
    assert valid == [*[True] * 6, False]
    assert (ids[0], ids[2], ids[-1], len(ids)) == (ct.GetID(), ct.GetID(), "", 7)
    box.setCurrentNode(ct)
    scene.Clear(False)
    assert (box.nodeCount(), box.currentNode()) == (0, None)


def test_the_segment_editor_edits_and_undoes(scene, ct):
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Contours")
    segmentation.GetSegmentation().AddEmptySegment("bladder", "Bladder", (1.0, 0.8, 0.2))
    editor = slicer.qMRMLSegmentEditorWidget()
    heard = []
    editor.connect("currentSegmentIDChanged(QString)", heard.append)
    with pytest.raises(AssertionError):
        editor.setSegmentationNode(segmentation)  # no editor node yet: in Slicer nothing would happen
    node = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.setMRMLScene(scene)
    editor.setMRMLSegmentEditorNode(node)
    editor.setSegmentationNode(segmentation)
    editor.setSourceVolumeNode(ct)
    assert (editor.currentSegmentID(), heard) == ("bladder", ["bladder"])
    assert editor.segmentationNodeID() == segmentation.GetID()
    mask = np.zeros(slicer.util.arrayFromVolume(ct).shape, bool)
    mask[2:5, 3:6, 4:7] = True

    def voxels():
        return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "bladder", ct) > 0

    paint(editor, mask)
    assert np.array_equal(voxels(), mask)
    half = mask.copy()
    half[:3] = False
    paint(editor, half, erase=True)
    assert np.array_equal(voxels(), mask & ~half)
    editor.undo()
    assert np.array_equal(voxels(), mask)
    editor.redo()
    assert np.array_equal(voxels(), mask & ~half)
    editor.saveStateForUndo()
    slicer.util.updateSegmentBinaryLabelmapFromArray(half.astype(np.uint8), segmentation, "bladder", ct)
    editor.undo()
    assert np.array_equal(voxels(), mask & ~half)


def test_the_segment_editor_shows_the_effects_asked_for(app):
    editor = slicer.qMRMLSegmentEditorWidget()
    editor.setEffectNameOrder(("Paint", "Erase", "No such effect"))
    editor.unorderedEffectsVisible = False
    shown = [button.text for button in editor.findChildren(qt.QPushButton) if not button.isHidden()]
    assert [name for name in shown if name in editor.availableEffectNames()] == ["Paint", "Erase"]
    editor.setAddRemoveSegmentButtonsVisible(False)
    assert not editor.addRemoveSegmentButtonsVisible
    editor.setMaximumNumberOfUndoStates(3)
    assert editor.maximumNumberOfUndoStates == 3
    with pytest.raises(AttributeError):
        editor.setUnorderedEffectsVisible(True)  # no slot in Slicer


# The application


def test_slice_views_have_their_orientations_also_after_the_scene_is_closed(app, scene, ct):
    manager = app.layoutManager()
    slicer.util.setSliceViewerLayers(background=ct)
    assert manager.sliceWidget("Red").mrmlSliceCompositeNode().GetBackgroundVolumeID() == ct.GetID()
    scene.Clear(False)
    names = [manager.sliceWidget(name).mrmlSliceNode().GetOrientation() for name in manager.sliceViewNames()]
    assert names == ["Axial", "Coronal", "Sagittal"]
    assert manager.sliceWidget("Blue") is None


MODULE = """
from slicer.ScriptedLoadableModule import *
import qt
class Small(ScriptedLoadableModule):
    def __init__(self, parent):
        super().__init__(parent)
        parent.title = "A small module"
class SmallWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        super().setup()
        self.told = []
        self.layout.addWidget(qt.QLabel(self.resourcePath("UI/Small.ui")))
    def enter(self): self.told.append("enter")
    def exit(self): self.told.append("exit")
    def cleanup(self): self.told.append("cleanup")
class SmallLogic(ScriptedLoadableModuleLogic): pass
class SmallTest(ScriptedLoadableModuleTest):
    def test_it(self):
        self.delayDisplay("At work")
        self.ran = True
"""


def test_a_module_is_loaded_opened_and_taken_away_as_slicer_does(app, scene, tmp_path):
    path = tmp_path / "Small.py"
    path.write_text(MODULE, encoding="utf-8")
    heard = []
    app.connect("startupCompleted()", lambda: heard.append("started"))
    assert load_module(path).title == "A small module"
    assert heard == ["started"]
    frame = slicer.modules.small.widgetRepresentation()
    panel = frame.self()
    assert frame is slicer.modules.small.widgetRepresentation()
    assert Path(frame.findChild(qt.QLabel).text) == tmp_path / "Resources" / "UI" / "Small.ui"
    frame.enter()
    frame.exit()
    app.moduleManager().moduleAboutToBeUnloaded.emit("Other")
    app.moduleManager().moduleAboutToBeUnloaded.emit("Small")
    assert panel.told == ["enter", "exit", "cleanup"]


def test_a_modules_parameter_node_is_one_and_stays_one(app, scene):
    from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

    class SmallLogic(ScriptedLoadableModuleLogic):
        pass

    node = SmallLogic().getParameterNode()
    assert node.GetAttribute("ModuleName") == "Small"
    assert SmallLogic().getParameterNode() is node
    assert SmallLogic().getAllParameterNodes() == [node]


# DICOM


def test_the_database_knows_the_files_it_was_given(scene, tmp_path):
    from BladderAutoContourLib.dicom.ct_writer import write_ct_series

    folder = tmp_path / "CT 膀胱"
    files = write_ct_series(texture(grid()), folder, patient_name="Müller^Anna", character_set="ISO_IR 192")
    (folder / "notes.txt").write_text("no DICOM", encoding="utf-8")
    database = slicer.dicomDatabase
    assert database.isOpen
    header = pydicom.dcmread(files[0])
    assert database.fileForInstance(header.SOPInstanceUID) == ""
    assert import_dicom(str(folder))
    assert {Path(name) for name in database.filesForSeries(header.SeriesInstanceUID)} == set(files)
    assert database.fileForInstance(header.SOPInstanceUID) == str(files[0])
    assert database.seriesForFile(str(files[0])) == header.SeriesInstanceUID
    assert database.instanceValue(header.SOPInstanceUID, "0010,0010") == "Müller^Anna"
    assert database.instanceValue(header.SOPInstanceUID, "0028,0030").split("\\") == [
        str(value) for value in header.PixelSpacing
    ]
    assert database.instanceValue(header.SOPInstanceUID, "0010,4000") == ""
    assert database.fileValue(str(folder / "notes.txt"), "0010,0010") == ""
    volume = load_series(header.SeriesInstanceUID)
    assert np.array_equal(slicer.util.arrayFromVolume(volume), texture(grid()).array)
    assert volume.GetAttribute("DICOM.instanceUIDs").split()[0] in database.instancesForSeries(header.SeriesInstanceUID)


def test_copied_files_lie_with_the_database(app, tmp_path):
    from BladderAutoContourLib.dicom.ct_writer import write_ct_series

    files = write_ct_series(texture(grid()), tmp_path / "ct")
    import_dicom(str(tmp_path / "ct"), copyFiles=True)
    database = slicer.dicomDatabase
    copies = [Path(name) for name in database.allFiles()]
    assert len(copies) == len(files)
    assert all(Path(database.databaseDirectory) in path.parents for path in copies)
    with DICOMLib.DICOMUtils.TemporaryDICOMDatabase() as other:
        assert slicer.dicomDatabase is other
        assert other.allFiles() == ()
    assert slicer.dicomDatabase is database
    (node_id,) = DICOMLib.DICOMUtils.loadSeriesByUID([database.seriesForFile(str(copies[0]))])
    assert slicer.mrmlScene.GetNodeByID(node_id).GetImageData().GetDimensions() == (40, 36, len(files))
    database.removeSeries(database.seriesForFile(str(copies[0])))
    assert database.allFiles() == ()
    assert files[0].exists()
    assert not copies[0].exists()


def test_an_exportable_holds_what_a_plugin_says(app):
    exportable = slicer.qSlicerDICOMExportable()
    exportable.name = "Structure set"
    exportable.confidence = 0.5
    exportable.setTag("Modality", "RTSTRUCT")
    assert (exportable.tag("Modality"), exportable.tag("Nothing")) == ("RTSTRUCT", "")
    with pytest.raises(AttributeError):
        exportable.setName("a")  # only the property is shown to Python
    with pytest.raises(AttributeError):
        exportable.nodeID = "a"
