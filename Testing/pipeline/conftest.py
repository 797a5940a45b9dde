"""The full disk, and what corrections are tried on, for this room's tests."""

from pathlib import Path

import pytest
from BladderAutoContourLib.pipeline.engine import Engine
from correction_scene import Scene, scene
from full_disk import full_disk

__all__ = ["full_disk"]


@pytest.fixture(scope="module")
def engine(weights: Path) -> Engine:
    """An engine for corrections, on the processor."""
    return Engine.load(weights, "cpu")


@pytest.fixture(scope="module")
def pelvis() -> Scene:
    """A bladder with a loop of bowel on it."""
    return scene()
