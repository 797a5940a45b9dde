"""Painting HU and soft labels onto a grid of warped canonical coordinates."""

import torch

from .shapes import Coordinates, Shape

Block = tuple[slice, slice, slice]


class Canvas:
    """HU on a grid. Every shape is blended in with its partial volume, only where it can lie.

    coordinates: canonical (3, Z, Y, X) mm of every voxel. voxel_mm: the width over which a surface fades.
    """

    stride = 4

    def __init__(self, coordinates: torch.Tensor, voxel_mm: float) -> None:
        self.coordinates = coordinates
        self.voxel_mm = voxel_mm
        self.hu = torch.full(coordinates.shape[1:], -1000.0, device=coordinates.device)
        self._coarse = coordinates[:, :: self.stride, :: self.stride, :: self.stride]
        self._margin = self.stride * self._largest_step() + voxel_mm

    def _largest_step(self) -> float:
        steps = [
            float((self.coordinates.narrow(axis, 1, 1) - self.coordinates.narrow(axis, 0, 1)).norm(dim=0).max())
            for axis in (1, 2, 3)
            if self.coordinates.shape[axis] > 1
        ]
        return 1.2 * max(steps, default=1.0)

    def block(self, shape: Shape) -> Block | None:
        """The slices (z, y, x) outside which the shape surely does not reach; None when it lies off the grid."""
        low, high = shape.bounds()
        near = torch.ones(self._coarse.shape[1:], dtype=torch.bool, device=self._coarse.device)
        for axis in range(3):
            near &= (self._coarse[axis] > low[axis] - self._margin) & (self._coarse[axis] < high[axis] + self._margin)
        slices = []
        for axis, others in enumerate(((1, 2), (0, 2), (0, 1))):
            hit = torch.nonzero(near.any(dim=others[1]).any(dim=others[0])).flatten()
            if not len(hit):
                return None
            start = max(0, (int(hit[0]) - 1) * self.stride)
            stop = min(self.hu.shape[axis], (int(hit[-1]) + 1) * self.stride + 1)
            slices.append(slice(start, stop))
        return tuple(slices)

    def at(self, block: Block) -> Coordinates:
        """Canonical coordinates of a block."""
        return tuple(self.coordinates[axis][block] for axis in range(3))

    def coverage(self, distance: torch.Tensor) -> torch.Tensor:
        """Share of each voxel inside a surface at signed `distance` mm."""
        return (0.5 - distance / self.voxel_mm).clamp(0, 1)

    def paint(self, shape: Shape, hu: float | torch.Tensor, inset_mm: float = 0.0) -> None:
        """Blend `hu` in where the shape, shrunk by `inset_mm`, covers the voxels."""
        block = self.block(shape)
        if block is None:
            return
        share = self.coverage(shape.distance(*self.at(block)) + inset_mm)
        self.blend(block, share, hu)

    def blend(self, block: Block, share: torch.Tensor, hu: float | torch.Tensor) -> None:
        """Mix `hu` into a block by `share` in [0, 1]."""
        target = self.hu[block]
        target += share * (hu - target)
