"""Which planes a clinician worked on, read from the voxels that were touched, whatever view they were painted in."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TouchedPlanes:
    """The planes of one array axis (0: axial, 1 and 2: the others) in which somebody painted.

    numbers: their indices along the axis, rising. voxels: boolean (z, y, x), the touched voxels that belong to them.
    """

    axis: int
    numbers: tuple[int, ...]
    voxels: np.ndarray


def touched_planes(touched: np.ndarray) -> tuple[TouchedPlanes, ...]:
    """The touched voxels (boolean, (z, y, x)) sorted by the plane they were painted in.

    A stroke lies in one plane, so a voxel belongs to that of its three planes which holds most touched voxels; in
    doubt to the axial one.
    """
    if not touched.any():
        return ()
    counts = [touched.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    z, y, x = np.nonzero(touched)
    held = np.stack([counts[0][z], counts[1][y], counts[2][x]])
    chosen = held.argmax(axis=0)  # the first of equals: the axial one
    found = []
    for axis, places in enumerate((z, y, x)):
        belongs = chosen == axis
        if not belongs.any():
            continue
        voxels = np.zeros(touched.shape, dtype=bool)
        voxels[z[belongs], y[belongs], x[belongs]] = True
        found.append(TouchedPlanes(axis, tuple(np.unique(places[belongs]).tolist()), voxels))
    return tuple(found)
