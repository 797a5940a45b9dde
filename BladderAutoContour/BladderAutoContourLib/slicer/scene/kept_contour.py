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
ACCEPTED = "accepted"
"""The voxels of the last proposal that was accepted: what differs from them was corrected since."""
TOUCHED_SLICES, TOUCHED_VOXELS = "touched_slices", "touched_voxels"
"""What was corrected by hand before it."""
ASSISTED = "assisted"
"""Set once the program has corrected the contour with a hand's help."""
CORRECTED_WARNINGS = "corrected_warnings"
"""What the program said of the contour that it corrected."""
MODEL, MODEL_SHA256, TIME, SERIES_UID, CT, NAME = "model", "model_sha256", "time", "series_uid", "ct", "name"
"""Facts: the model's name and hash, when it drew, the CT series it saw, the CT's fingerprint (`bond`), the name that
the segment was given."""
FACTS = (MODEL, MODEL_SHA256, TIME, SERIES_UID, CT, NAME)


def keep(segment: slicer.vtkSegment, contour: VoxelBox, grid: Grid, facts: Mapping[str, str]) -> None:
    """Write the tags. contour: on the CT's lattice in the scene. grid: of the engine's mask, which a file must have."""
    forget_corrections(segment)
    keep_box(segment, CONTOUR, contour)
    set_fact(segment, GRID, json.dumps({"size": grid.size, "matrix": grid.ijk_to_ras.tolist()}))
    for name in FACTS:
        set_fact(segment, name, facts.get(name, ""))


def kept_contour(segment: slicer.vtkSegment) -> VoxelBox | None:
    """The voxels as the engine drew them; None for a segment that it did not draw."""
    return kept_box(segment, CONTOUR)


def keep_box(segment: slicer.vtkSegment, name: str, box: VoxelBox) -> None:
    """Write voxels into a tag, packed."""
    bits = zlib.compress(np.packbits(box.array).tobytes())
    place = {"start": box.start, "size": box.size, "matrix": box.ijk_to_ras.tolist()}
    set_fact(segment, name, json.dumps({**place, "bits": base64.b64encode(bits).decode("ascii")}))


def kept_box(segment: slicer.vtkSegment, name: str) -> VoxelBox | None:
    """The voxels of a tag; None where it is not there."""
    text = fact(segment, name)
    if not text:
        return None
    kept = json.loads(text)
    shape = tuple(reversed(kept["size"]))
    packed = np.frombuffer(zlib.decompress(base64.b64decode(kept["bits"])), dtype=np.uint8)
    array = np.unpackbits(packed, count=int(np.prod(shape))).astype(bool).reshape(shape)
    return VoxelBox(array, tuple(kept["start"]), np.array(kept["matrix"]))


def forget_corrections(segment: slicer.vtkSegment) -> None:
    """Remove what accepted proposals have left: the contour is the program's own again."""
    for name in (ACCEPTED, TOUCHED_SLICES, TOUCHED_VOXELS, ASSISTED, CORRECTED_WARNINGS):
        segment.RemoveTag(PREFIX + name)


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


def is_begun_by_hand(segment: slicer.vtkSegment) -> bool:
    """Whether the program missed the bladder, and somebody began with an empty contour."""
    return is_automatic(segment) and not fact(segment, MODEL)


def set_fact(segment: slicer.vtkSegment, name: str, value: str) -> None:
    """Write a fact."""
    segment.SetTag(PREFIX + name, value.replace("|", "/"))
