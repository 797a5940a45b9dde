"""What an automatic contour remembers in its segment's tags: its voxels as the engine drew them, and where from.

Tags go with the segment wherever it goes: undo, .seg.nrrd, .mrb, a copy. A value must not hold "|", which separates
tags in a file.
"""

import base64
import json
import zlib
from collections.abc import Mapping

import numpy as np
import slicer
import vtk

from .voxels import Grid, VoxelBox

PREFIX = "BladderAutoContour."
CONTOUR = "contour"
GRID = "grid"
MODEL, MODEL_SHA256, TIME, SERIES_UID, NAME = "model", "model_sha256", "time", "series_uid", "name"
"""Facts: the model's name and hash, when it drew, the CT series it saw, the name that the segment was given."""


def keep(segment: slicer.vtkSegment, contour: VoxelBox, grid: Grid, facts: Mapping[str, str]) -> None:
    """Write the tags. contour: on the CT's lattice in the scene. grid: of the engine's mask, which a file must have."""
    bits = zlib.compress(np.packbits(contour.array).tobytes())
    place = {"size": contour.size, "matrix": contour.ijk_to_ras.tolist()}
    text = {"start": contour.start, **place, "bits": base64.b64encode(bits).decode("ascii")}
    _set(segment, CONTOUR, json.dumps(text))
    _set(segment, GRID, json.dumps({"size": grid.size, "matrix": grid.ijk_to_ras.tolist()}))
    for name, value in facts.items():
        _set(segment, name, value)


def kept_contour(segment: slicer.vtkSegment) -> VoxelBox | None:
    """The voxels as the engine drew them; None for a segment that it did not draw."""
    text = fact(segment, CONTOUR)
    if not text:
        return None
    kept = json.loads(text)
    shape = tuple(reversed(kept["size"]))
    packed = np.frombuffer(zlib.decompress(base64.b64decode(kept["bits"])), dtype=np.uint8)
    array = np.unpackbits(packed, count=int(np.prod(shape))).astype(bool).reshape(shape)
    return VoxelBox(array, tuple(kept["start"]), np.array(kept["matrix"]))


def kept_grid(segment: slicer.vtkSegment) -> Grid | None:
    """The lattice of the engine's mask; None for a segment that the engine did not draw."""
    text = fact(segment, GRID)
    if not text:
        return None
    kept = json.loads(text)
    return Grid(tuple(kept["size"]), np.array(kept["matrix"]))


def fact(segment: slicer.vtkSegment, name: str) -> str:
    """One of the facts; empty where the segment has none."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(PREFIX + name, value) else ""


def is_automatic(segment: slicer.vtkSegment) -> bool:
    """Whether the engine drew the segment, edited since or not."""
    return bool(fact(segment, CONTOUR))


def _set(segment: slicer.vtkSegment, name: str, value: str) -> None:
    segment.SetTag(PREFIX + name, value.replace("|", "/"))
