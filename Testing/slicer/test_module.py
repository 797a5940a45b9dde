"""The module as Slicer loads it: registration, what it offers to other modules, and its own test for a real Slicer."""

import shutil
from pathlib import Path

import DICOMLib
import pydicom
import pytest
import qt
import SampleData
import slicer
from BladderAutoContourLib.errors import EnvironmentFault, InputError
from BladderAutoContourLib.slicer import sample_data
from BladderAutoContourLib.slicer.export import plugin as export_plugin
from BladderAutoContourLib.slicer.export import waiting as export_waiting
from BladderAutoContourLib.slicer.export.waiting import PluginEngine
from BladderAutoContourLib.slicer.process.engine_process import EngineProcess
from clinic import MODULE_FILE
from standin.scripted_module import load_module

import BladderAutoContour


@pytest.fixture
def module(app):
    """The module after Slicer has started."""
    return load_module(MODULE_FILE)


def test_registration(module):
    assert module.title == "Bladder Auto-Contour"
    assert module.categories == ("Segmentation",)
    assert "not a medical device" in module.helpText
    assert "10.1007/s11548-018-1733-7" in module.acknowledgementText
    assert not module.icon.isNull()


def test_it_offers_a_sample_ct_and_a_dicom_export(module):
    (sample,) = slicer.modules.sampleDataSources[sample_data.CATEGORY]
    assert sample.sampleName == sample_data.SAMPLE_NAME
    assert sample.thumbnailFileName.endswith(".png")
    plugin = slicer.modules.dicomPlugins[export_plugin.KEY]()
    assert isinstance(plugin, DICOMLib.DICOMPlugin)
    assert "Bladder Auto-Contour" in plugin.loadType


def test_its_own_test_passes(module):
    """From the sample CT to the contour, as ctest runs it inside Slicer."""
    BladderAutoContour.BladderAutoContourTest().runTest()


def test_a_sample_ct_that_cannot_be_made_is_told(module, answers):
    (source,) = slicer.modules.sampleDataSources[sample_data.CATEGORY]
    slicer.dicomDatabase.closeDatabase()
    answers.give(qt.QMessageBox.Ok)
    with pytest.raises(InputError, match="no DICOM database"):
        SampleData.SampleDataLogic().downloadFromSource(source)
    assert "no DICOM database" in answers.shown[0].text
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []


def test_an_engine_that_cannot_generate_is_told(module, tmp_path):
    with pytest.raises(EnvironmentFault, match="could not be started"):
        sample_data.load_pelvis(tmp_path / "no Python", slicer.app.processEvents)
    with pytest.raises(EnvironmentFault, match="unexpectedly"):
        sample_data.load_pelvis(Path(shutil.which("false")), slicer.app.processEvents)


@pytest.fixture
def engines(monkeypatch) -> list[EngineProcess]:
    """The engines that Slicer's own export starts."""
    begun: list[EngineProcess] = []

    class WatchedEngine(EngineProcess):
        def __init__(self, *facts: object) -> None:
            super().__init__(*facts)
            begun.append(self)

    monkeypatch.setattr(export_waiting, "EngineProcess", WatchedEngine)
    return begun


def offered(contour, target) -> tuple:
    """The plugin as Slicer's DICOM module has it, and what it offers of a contour."""
    load_module(MODULE_FILE)
    plugin = slicer.modules.dicomPlugins[export_plugin.KEY]()
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    (exportable,) = plugin.examineForExport(tree.GetItemByDataNode(contour.segmentation))
    exportable.directory = str(target)
    return plugin, exportable


def test_slicers_own_export_writes_a_structure_set_and_leaves_no_process(contour, target, engines):
    plugin, exportable = offered(contour, target)
    assert plugin.export([exportable]) == ""
    (file,) = target.iterdir()
    assert pydicom.dcmread(file).Modality == "RTSTRUCT"
    assert engines[0].pid is None


def test_slicers_own_export_asked_for_again_while_it_is_at_work(contour, target, engines):
    plugin, exportable = offered(contour, target)
    second = []
    qt.QTimer.singleShot(0, lambda: second.append(plugin.export([exportable])))  # an impatient click
    assert plugin.export([exportable]) == ""
    assert [answer.startswith("The program is at work on another contour.") for answer in second] == [True]
    assert len(list(target.iterdir())) == 1
    assert plugin.export([exportable]) == "", "it was not at work for ever"
    assert [engine.pid for engine in engines] == [None, None]


def test_slicers_own_export_can_be_cancelled(app, python, work):
    engine = PluginEngine(python, work, print)
    engine.export()
    cancelled = []

    def step() -> bool:
        (window,) = (one for one in app.topLevelWidgets() if one.inherits("QProgressDialog"))
        window.cancel()
        return len(cancelled) > 0

    engine.wait(step, lambda: cancelled.append(True))
    assert cancelled == [True]
    app.processEvents()
    assert not any(one.isVisible() for one in app.topLevelWidgets() if one.inherits("QProgressDialog"))
