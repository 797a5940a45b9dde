"""The network's probability in a segment's tag: corrections need it again when a saved scene is opened elsewhere.

It is kept around the contour alone, in 64 steps of its logit: much finer than what corrections can tell apart.
"""

import base64
import json
import zlib

import numpy as np
import slicer

from .kept_contour import fact, set_fact
from .voxels import Grid, VoxelBox

PROBABILITY = "probability"
STEPS = 64
FARTHEST_LOGIT = 6.0
"""Beyond it, corrections know no difference either."""
MARGIN = 0.02
"""Where the probability is less than this, nothing is kept."""


def keep_probability(segment: slicer.vtkSegment, probability: VoxelBox) -> None:
    """Write the tag. probability: in [0, 1], on the grid of the engine's mask."""
    place = VoxelBox(probability.array >= MARGIN, probability.start, probability.ijk_to_ras).cropped()
    levels = _levels(probability.part(place.start, place.size))
    text = {"start": place.start, "size": place.size, "matrix": place.ijk_to_ras.tolist()}
    bits = zlib.compress(levels.tobytes())
    set_fact(segment, PROBABILITY, json.dumps({**text, "levels": base64.b64encode(bits).decode("ascii")}))


def kept_probability(segment: slicer.vtkSegment, grid: Grid) -> np.ndarray | None:
    """The probability, float32 (k, j, i), of all the grid; None for a segment without it.

    It is at least one half exactly where it was.
    """
    text = fact(segment, PROBABILITY)
    if not text:
        return None
    kept = json.loads(text)
    levels = np.frombuffer(zlib.decompress(base64.b64decode(kept["levels"])), dtype=np.uint8)
    logits = (np.arange(STEPS) + 0.5) * (2 * FARTHEST_LOGIT / STEPS) - FARTHEST_LOGIT
    values = (1 / (1 + np.exp(-logits))).astype(np.float32)
    box = VoxelBox(
        values[levels].reshape(tuple(reversed(kept["size"]))), tuple(kept["start"]), np.array(kept["matrix"])
    )
    return box.part((0, 0, 0), grid.size)


def _levels(probability: np.ndarray) -> np.ndarray:
    """Which of the steps, from 0 on; the border between 31 and 32 is one half."""
    clamped = probability.astype(np.float32).clip(1e-4, 1 - 1e-4)
    logits = np.log(clamped / (1 - clamped))
    return np.floor((logits / FARTHEST_LOGIT + 1) * (STEPS / 2)).clip(0, STEPS - 1).astype(np.uint8)
