"""A bare scene without the application around it, one CT in it, and results drawn for that CT."""

from pathlib import Path

import pytest
import slicer
from BladderAutoContourLib.slicer.process.result import Result
from ct_scene import OBLIQUE, add_ct, blob, drawn, texture
from mrml_scene import fresh_scene


@pytest.fixture(autouse=True)
def scene() -> slicer.vtkMRMLScene:
    """A fresh scene, which is `slicer.mrmlScene` too."""
    return fresh_scene()


@pytest.fixture
def ct(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode:
    """A CT on an oblique grid."""
    return add_ct(texture(OBLIQUE))


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """The engine's contour of it."""
    return drawn(blob(OBLIQUE), OBLIQUE, tmp_path / "ergebnis ü", series_uid="1.2.826.0.1")


@pytest.fixture
def other_result(tmp_path: Path) -> Result:
    """The contour of another model."""
    return drawn(blob(OBLIQUE, seed=1), OBLIQUE, tmp_path / "second", model_name="mine|v2")
