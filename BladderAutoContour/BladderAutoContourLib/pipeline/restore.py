"""Probabilities of a crop back to the CT's own grid, by their logits, whose 0.5 surface is smoother than a mask's."""

import numpy as np

from ..imaging.geometry import Geometry, coverage
from ..imaging.resample import resample_known
from ..imaging.volume import Volume
from .decide import logit

SMALLEST = 1e-5  # a probability of 0 has no finite logit
NEVER = float(logit(0.0, SMALLEST))


def restore(probability: Volume, grid: Geometry) -> Volume:
    """`probability` on the CT's `grid`, float32; zero outside the crop. Only the crop's part is computed.

    Of voxels of the crop that lie beyond the CT nothing is known: they take no part in the CT's last slices, where a
    bladder may go on.
    """
    array = np.zeros(grid.shape, dtype=np.float32)
    corners = grid.to_index(probability.geometry.corners_mm())
    start = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    stop = np.minimum(np.ceil(corners.max(axis=0)) + 1, grid.size).astype(int)
    if np.all(stop > start):
        part = grid.region(tuple(start.tolist()), tuple((stop - start).tolist()))
        inside = tuple(slice(a, b) for a, b in zip(start[::-1], stop[::-1], strict=True))
        odds = Volume(logit(probability.array, SMALLEST), probability.geometry)
        seen = coverage(grid, probability.geometry)
        restored = 1 / (1 + np.exp(-resample_known(odds, seen, part, fill=NEVER).array))
        array[inside] = np.where(restored > 2 * SMALLEST, restored, 0)
    return Volume(array, grid)
