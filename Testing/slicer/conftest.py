"""Slicer without its application: the real MRML libraries, and a strict stand-in for PythonQt and `slicer.app`."""

import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

# The package `slicer` takes up every folder of that name on the path; this one, which holds its tests, is none of them.
_tests = str(Path(__file__).resolve().parents[1])
_path, sys.path[:] = sys.path[:], [folder for folder in sys.path if folder != _tests]
import slicer  # noqa: E402

sys.path[:] = _path

from collections.abc import Iterator  # noqa: E402

import pytest  # noqa: E402
from full_disk import full_disk  # noqa: E402
from standin.answers import ANSWERS, Answers  # noqa: E402
from standin.application import qSlicerApplication  # noqa: E402
from standin.session import install, strict_session  # noqa: E402

install()

from clinic import clinician, pelvis_folder, python, quick_clinician  # noqa: E402
from exporting import contour, dicom_contour, export, target, warm_engine, work  # noqa: E402

__all__ = [
    "clinician",
    "contour",
    "dicom_contour",
    "export",
    "full_disk",
    "pelvis_folder",
    "python",
    "quick_clinician",
    "target",
    "warm_engine",
    "work",
]


@pytest.fixture
def app() -> Iterator[qSlicerApplication]:
    """A session of the application. A slot that raises fails the test; so does a dialog that nobody answers."""
    with strict_session() as application:
        yield application


@pytest.fixture
def answers(app: qSlicerApplication) -> Answers:
    """What the user will do with the dialogs that come: `answers.give(...)`."""
    return ANSWERS


@pytest.fixture
def scene(app: qSlicerApplication) -> slicer.vtkMRMLScene:
    """The session's scene, empty."""
    return app.mrmlScene()
