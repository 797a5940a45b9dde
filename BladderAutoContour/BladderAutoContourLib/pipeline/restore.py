"""Probabilities of a crop back to the CT's own grid. Not masks: the boundary keeps its place between voxels."""

import numpy as np

from ..imaging.geometry import Geometry
from ..imaging.resample import resample_to
from ..imaging.volume import Volume


def restore(probability: Volume, grid: Geometry) -> Volume:
    """`probability` on `grid`, float32; zero outside the crop. Only the crop's part of the grid is computed."""
    array = np.zeros(grid.shape, dtype=np.float32)
    corners = grid.to_index(probability.geometry.corners_mm())
    start = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    stop = np.minimum(np.ceil(corners.max(axis=0)) + 1, grid.size).astype(int)
    if np.all(stop > start):
        part = grid.region(tuple(start.tolist()), tuple((stop - start).tolist()))
        inside = tuple(slice(a, b) for a, b in zip(start[::-1], stop[::-1], strict=True))
        array[inside] = resample_to(probability, part, fill=0.0).array
    return Volume(array, grid)
