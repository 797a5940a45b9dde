"""Puts the stand-in where Slicer's Python has the application, and takes it away again."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
    sample_data,
    scripted_module,
    segment_editor,
    ui_loader,
)
from .application import qSlicerApplication


def install() -> None:
    """Make the packages that Slicer's Python has importable, so that files can import the module at their top.

    They stay; the rules of PythonQt, the application and the scene come with a session and go with it.
    """
    mrml = {**mrml_widgets.WIDGETS, **segment_editor.WIDGETS}
    ui_loader.CLASSES.update({**ctk_widgets.WIDGETS, **mrml})
    library = dicom.dicom_library()
    packages = {
        "qt": qt_package.qt_package(),
        "ctk": qt_package.ctk_package(),
        "DICOMLib": library,
        "DICOMLib.DICOMUtils": library.DICOMUtils,
        "SampleData": sample_data.sample_data_package(),
        "slicer.i18n": scripted_module.i18n_package(),
        "slicer.ScriptedLoadableModule": scripted_module.scripted_module_package(),
    }
    sys.modules.update(packages)
    inner = {name.partition(".")[2]: package for name, package in packages.items() if name.startswith("slicer.")}
    bridged = (scripted_module.qSlicerScriptedLoadableModule, scripted_module.qSlicerScriptedLoadableModuleWidget)
    kinds = {kind.__name__: kind for kind in (dicom.qSlicerDICOMExportable, *bridged)}
    for name, thing in {**mrml, **inner, **kinds}.items():
        setattr(slicer, name, thing)


if sys.version_info < (3, 12):
    # PySide6 6.12 drops one reference to None too many at every call that returns nothing, and Python before 3.12,
    # where None became immortal, ends with a fatal error once the last one is gone.
    ctypes.c_ssize_t.from_address(id(None)).value += 2**40


@contextmanager
def session() -> Iterator[qSlicerApplication]:
    """One session of the application, from its start to its end."""
    application = QApplication.instance() or qSlicerApplication()
    scene = fresh_scene()
    application_logic = slicer.app.applicationLogic()
    python_qt.lay()
    with _replaced_methods(), _attributes(slicer, {"app": application, "mrmlScene": scene}):
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
def strict_session() -> Iterator[qSlicerApplication]:
    """A session that hides nothing.

    What a slot raises, which Qt would only print, is raised at the end; so is AssertionError if a dialog came that
    nobody answered, or did not come.
    """
    raised: list[BaseException] = []
    with _attributes(sys, {"excepthook": lambda _kind, fault, _trace: raised.append(fault)}), session() as application:
        yield application
    if raised:
        raise raised[0]
    if problems := answers.ANSWERS.problems():
        raise AssertionError("; ".join(problems))


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
