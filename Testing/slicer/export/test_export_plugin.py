"""Slicer's own DICOM export, through the plugin: what it offers, what it writes, what it refuses."""

from pathlib import Path

import pydicom
import pytest
import slicer
from BladderAutoContourLib.slicer.export import plugin as export_plugin
from BladderAutoContourLib.slicer.export.structure_set import StructureNames
from BladderAutoContourLib.slicer.scene.segmentation import show_result
from ct_scene import drawn, grid
from exporting import PATIENT_ID, PATIENT_NAME, Ear, contour_from_dicom, dice, ellipsoid, filled, paint, voxels


def wait(step, cancel) -> None:
    """Stands for the progress window."""
    while not step():
        slicer.app.processEvents()


def offer(segmentation) -> list:
    """What Slicer's export dialog does for a chosen item: ask every plugin."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = tree.GetItemByDataNode(segmentation)
    return [one for plugin in slicer.modules.dicomPlugins.values() for one in plugin().examineForExport(item)]


def write(exportable, folder: Path) -> str:
    """What Slicer's export dialog does for a chosen exportable."""
    exportable.directory = str(folder)
    return slicer.modules.dicomPlugins[exportable.pluginClass]().export([exportable])


@pytest.fixture(autouse=True)
def registered(app, export) -> None:
    """The plugin, known to Slicer's DICOM module."""
    export_plugin.register(lambda: export, wait)


def test_registered_beside_the_others_under_a_name_of_its_own(export):
    slicer.modules.dicomPlugins = {"DicomRtImportExportPlugin": object}
    export_plugin.register(lambda: export, wait)
    assert slicer.modules.dicomPlugins["DicomRtImportExportPlugin"] is object
    plugin = slicer.modules.dicomPlugins[export_plugin.KEY]()
    assert plugin.loadType == "Bladder Auto-Contour RT structure set"
    assert plugin.examineForImport([["ct.dcm"]]) == []


def test_offers_our_contours_and_nothing_else(contour):
    (exportable,) = offer(contour.segmentation)
    assert exportable.name == "Bladder Auto-Contour RT structure set"
    assert exportable.pluginClass == export_plugin.KEY
    assert exportable.confidence == 1.0
    tags = {name: exportable.tag(name) for name in ("Modality", "ROIName", "StructureSetLabel")}
    assert tags == {"Modality": "RTSTRUCT", "ROIName": "Bladder", "StructureSetLabel": "BladderAuto"}
    by_hand = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "by hand")
    by_hand.GetSegmentation().AddEmptySegment("Bladder")
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    tree.CreateItem(tree.GetSceneItemID(), by_hand)
    assert offer(by_hand) == offer(contour.volume) == []
    assert slicer.modules.dicomPlugins[export_plugin.KEY]().examineForExport(tree.GetSceneItemID()) == []


def test_writes_the_contour_with_the_names_of_the_table(dicom_contour, target):
    contour, ct_files = dicom_contour
    paint(contour)
    (exportable,) = offer(contour.segmentation)
    exportable.setTag("ROIName", "Blase ü")
    exportable.setTag("PatientName", PATIENT_NAME)  # as Slicer's table fills it in from the subject hierarchy
    exportable.setTag("PatientID", PATIENT_ID)
    assert write(exportable, target) == ""
    (file,) = target.iterdir()
    rs = pydicom.dcmread(file)
    roi = rs.StructureSetROISequence[0]
    assert (roi.ROIName, roi.ROIGenerationAlgorithm, rs.StructureSetLabel) == (
        "Blase ü",
        "SEMIAUTOMATIC",
        "BladderAuto",
    )
    assert dice(filled(rs, ct_files), voxels(contour)) == 1.0


def test_only_the_one_contour_that_is_shown(dicom_contour, target, tmp_path):
    contour, ct_files = dicom_contour
    paint(contour)
    smaller = ellipsoid(grid(), radii=(3, 6, 7))
    second = show_result(contour.volume, drawn(smaller, grid(), tmp_path / "second result"))
    assert second.segmentation is contour.segmentation
    (exportable,) = offer(contour.segmentation)
    assert "hide the others" in write(exportable, target)
    assert list(target.iterdir()) == []
    contour.segmentation.GetDisplayNode().SetSegmentVisibility(contour.segment_id, False)
    assert write(exportable, target) == ""
    (file,) = target.iterdir()
    assert dice(filled(pydicom.dcmread(file), ct_files), smaller > 0) == 1.0


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        ("PatientName", "ANONYMOUS", "cannot be changed here. Undo the change of PatientName"),
        ("PatientID", "0", "cannot be changed here. Undo the change of PatientID"),
        ("ROIName", "", "structure name must have"),
        ("StructureSetLabel", "L" * 17, "label must have"),
    ],
)
def test_what_the_table_cannot_change_is_told(contour, target, tag, value, words):
    (exportable,) = offer(contour.segmentation)
    exportable.setTag(tag, value)
    assert words in write(exportable, target)
    assert list(target.iterdir()) == []


def test_a_name_may_be_shown_as_another_file_of_the_patient_writes_it(contour, target):
    (exportable,) = offer(contour.segmentation)
    name = PATIENT_NAME
    for written in (f"{name}^^^", name.swapcase()):
        exportable.setTag("PatientName", written)
        assert write(exportable, target) == ""
    exportable.setTag("PatientName", f"{name}^Other")
    assert "Undo the change of PatientName" in write(exportable, target)


def test_a_ct_without_a_name_may_show_what_slicer_puts_there(scene, tmp_path, target):
    contour, files = contour_from_dicom(tmp_path, header={"PatientName": "", "PatientID": ""})
    (exportable,) = offer(contour.segmentation)
    exportable.setTag("PatientName", "No name")
    exportable.setTag("PatientID", "Patient-" + pydicom.dcmread(files[0]).StudyInstanceUID)
    assert write(exportable, target) == ""
    (file,) = target.iterdir()
    assert (pydicom.dcmread(file).PatientName, pydicom.dcmread(file).PatientID) == ("", "")
    exportable.setTag("PatientID", "Patient-1")
    assert "Undo the change of PatientID" in write(exportable, target)


def test_a_ct_that_is_not_from_dicom_is_told_whatever_the_table_says_of_its_patient(contour, target):
    contour.volume.RemoveAttribute("DICOM.instanceUIDs")
    (exportable,) = offer(contour.segmentation)
    exportable.setTag("PatientName", "Somebody")
    assert "not loaded from DICOM" in write(exportable, target)
    assert list(target.iterdir()) == []


def test_what_the_engine_refuses_is_told(contour, target):
    (exportable,) = offer(contour.segmentation)
    target.rmdir()
    assert "is not there" in write(exportable, target)
    slicer.mrmlScene.RemoveNode(contour.volume)
    assert write(exportable, target).startswith("Choose a CT")


def test_waits_its_turn_rather_than_disturb_other_work(contour, target, export):
    (exportable,) = offer(contour.segmentation)
    ear = Ear()
    export.write(contour, StructureNames(), export_plugin.ToFolder(target), ear)
    assert "at work on another contour" in write(exportable, target)
    ear.wait(export)
    assert len(list(target.iterdir())) == 1
    assert write(exportable, target) == ""


def test_the_wait_ends_by_cancel_and_by_itself(contour, target, export, monkeypatch):
    def impatient(step, cancel) -> None:
        step()
        cancel()
        wait(step, cancel)

    export_plugin.register(lambda: export, impatient)
    (exportable,) = offer(contour.segmentation)
    assert write(exportable, target).startswith("Cancelled.")
    export_plugin.register(lambda: export, wait)
    monkeypatch.setattr(export_plugin, "EXPORT_SECONDS", 0.05)
    assert "took more than 5 minutes" in write(exportable, target)
    assert list(target.iterdir()) == []
