"""A fresh MRML scene with the logics of Slicer's modules, as the application has it, without Qt.

Sets what Slicer's own `slicer.util` looks at: `slicer.mrmlScene`, `slicer.app.applicationLogic()`, `slicer.modules`.
"""

import sys
import types

import slicer
import vtk

# slicer-core lacks this part of Slicer; text is shown as it was written.
if "slicer.i18n" not in sys.modules:
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda text: text
    i18n.translate = lambda _context, text: text
    sys.modules["slicer.i18n"] = slicer.i18n = i18n

LOGICS = {
    "Colors": slicer.vtkSlicerColorLogic,
    "Units": slicer.vtkSlicerUnitsLogic,
    "Tables": slicer.vtkSlicerTablesLogic,
    "Texts": slicer.vtkSlicerTextsLogic,
    "Transforms": slicer.vtkSlicerTransformLogic,
    "Volumes": slicer.vtkSlicerVolumesLogic,
    "Models": slicer.vtkSlicerModelsLogic,
    "Markups": slicer.vtkSlicerMarkupsLogic,
    "Terminologies": slicer.vtkSlicerTerminologiesModuleLogic,
    "SubjectHierarchy": slicer.vtkSlicerSubjectHierarchyModuleLogic,
    "Segmentations": slicer.vtkSlicerSegmentationsModuleLogic,
}
"""Modules whose logic stands in the scene, each after those that it asks for."""


class Module:
    """What `slicer.modules.volumes` is: the way to a module's logic."""

    def __init__(self, logic: slicer.vtkMRMLAbstractLogic) -> None:
        self._logic = logic

    def logic(self) -> slicer.vtkMRMLAbstractLogic:
        """The module's logic."""
        return self._logic


class Application:
    """What the scene needs of `slicer.app`."""

    def __init__(self, logic: slicer.vtkSlicerApplicationLogic) -> None:
        self._logic = logic

    def applicationLogic(self) -> slicer.vtkSlicerApplicationLogic:  # noqa: N802
        """The application's logic: selection, slice views, module logics."""
        return self._logic


def fresh_scene() -> slicer.vtkMRMLScene:
    """A new scene, set as Slicer's; the one before it is cleared. No DICOM database is open."""
    if getattr(slicer, "mrmlScene", None):
        slicer.mrmlScene.Clear(True)
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    application.SetMRMLScene(scene)
    modules = types.SimpleNamespace()
    for name, kind in LOGICS.items():
        logic = kind()
        logic.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, logic)
        logic.SetMRMLScene(scene)
        setattr(modules, name.lower(), Module(logic))
    slicer.mrmlScene, slicer.app, slicer.modules = scene, Application(application), modules
    slicer.dicomDatabase = None
    return scene


def reopened(path: str) -> slicer.vtkMRMLScene:
    """Another session, with the scene of an .mrb file in it."""
    scene = fresh_scene()
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.SetMRMLScene(scene)
    remote.AddDataIOToScene()
    assert scene.ReadFromMRB(path)
    return scene
