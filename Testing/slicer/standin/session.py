"""Puts the stand-in where Slicer's Python has the application, and takes it away again."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import slicer
from mrml_scene import fresh_scene
from PySide6.QtWidgets import QApplication

from . import (
    answers,
    ctk_widgets,
    dicom,
    mrml_widgets,
    python_qt,
    qt_package,
    scripted_module,
    segment_editor,
    ui_loader,
)
from . import sample_data as samples
from .application import qSlicerApplication


@contextmanager
def session() -> Iterator[qSlicerApplication]:
    """One session of the application: from start to end every name that Slicer's Python has is there, then none."""
    mrml = {**mrml_widgets.WIDGETS, **segment_editor.WIDGETS}
    ui_loader.CLASSES.update({**ctk_widgets.WIDGETS, **mrml})
    packages = {
        "qt": qt_package.qt_package(),
        "ctk": qt_package.ctk_package(),
        "DICOMLib": (library := dicom.dicom_library()),
        "DICOMLib.DICOMUtils": library.DICOMUtils,
        "SampleData": samples.sample_data_package(),
        "slicer.i18n": scripted_module.i18n_package(),
        "slicer.ScriptedLoadableModule": scripted_module.scripted_module_package(),
    }
    application = QApplication.instance() or qSlicerApplication()
    scene = fresh_scene()
    application_logic = slicer.app.applicationLogic()
    python_qt.lay()
    names = {**mrml, "app": application, "mrmlScene": scene, "qSlicerDICOMExportable": dicom.qSlicerDICOMExportable}
    with _replaced_methods(), _named(packages), _attributes(slicer, names):
        application._begin(application_logic)
        answers.ANSWERS.clear()
        try:
            yield application
        finally:
            application.aboutToQuit.emit()
            application._end()
            scene.Clear(True)
    python_qt.lift()


@contextmanager
def _named(packages: dict[str, ModuleType]) -> Iterator[None]:
    """Packages that can be imported by these names, for a while."""
    before = {name: sys.modules.get(name) for name in packages}
    sys.modules.update(packages)
    for name, package in packages.items():
        if name.startswith("slicer."):
            setattr(slicer, name.partition(".")[2], package)
    try:
        yield
    finally:
        for name, package in before.items():
            if package is None:
                del sys.modules[name]
            else:
                sys.modules[name] = package


@contextmanager
def _attributes(thing: Any, values: dict[str, Any]) -> Iterator[None]:
    """Attributes set for a while."""
    before = {name: getattr(thing, name, None) for name in values}
    for name, value in values.items():
        setattr(thing, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(thing, name, value)


@contextmanager
def _replaced_methods() -> Iterator[None]:
    """Nothing that Qt would wait for a user in is called."""
    before = {(kind, name): kind.__dict__.get(name) for kind, names in answers.REPLACED.items() for name in names}
    for kind, names in answers.REPLACED.items():
        for name, function in names.items():
            setattr(kind, name, function)
    try:
        yield
    finally:
        for (kind, name), function in before.items():
            if function is None:
                delattr(kind, name)
            else:
                setattr(kind, name, function)
