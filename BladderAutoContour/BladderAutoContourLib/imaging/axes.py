"""A volume counted along the axes of another grid: files say the same voxels in several orders."""

import numpy as np

from .geometry import Geometry
from .volume import Volume, sparse_copy


def along_axes_of(volume: Volume, geometry: Geometry) -> Volume:
    """The same voxels in the order in which `geometry` counts: axes exchanged and flipped, every voxel in its place.

    As it is where its axes do not run along those of `geometry`, voxel for voxel: whether both are one grid, `same_as`
    tells.
    """
    between = np.linalg.inv(geometry.matrix[:3, :3]) @ volume.geometry.matrix[:3, :3]
    turn = np.rint(between).astype(int)  # its columns: the steps of the volume's x, y and z along those of `geometry`
    if not (np.abs(turn).sum(axis=0) == 1).all() or not (np.abs(turn).sum(axis=1) == 1).all():
        return volume
    source = [int(axis) for axis in np.abs(turn).argmax(axis=1)]  # of each new axis, the old one
    flipped = [axis for axis in range(3) if turn[axis, source[axis]] < 0]
    if source == [0, 1, 2] and not flipped:
        return volume
    old = volume.geometry
    first = np.zeros(3)
    for axis in flipped:
        first[source[axis]] = old.size[source[axis]] - 1
    signs = [-1.0 if axis in flipped else 1.0 for axis in range(3)]
    direction = np.asarray(old.direction)[:, source] * signs
    turned = Geometry(
        size=tuple(old.size[axis] for axis in source),
        spacing_mm=tuple(old.spacing_mm[axis] for axis in source),
        origin_mm=tuple(map(float, old.to_patient(first))),
        direction=tuple(tuple(map(float, row)) for row in direction),
    )
    by_index = np.flip(volume.array.transpose(2, 1, 0).transpose(source), flipped)
    return Volume(sparse_copy(by_index.transpose(2, 1, 0)), turned)
