"""Voxels of a contour and where they lie, whichever way its lattice runs: numpy and vtk's image type, no scene.

Indices are (i, j, k), arrays (k, j, i); matrices are 4x4 and lead from an index to millimetres in the node's RAS frame.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

Index = tuple[int, int, int]
SAME_LATTICE = 0.01
"""Voxels of two lattices that lie nearer to each other than this share of a voxel are one voxel."""
SAME_SLICES = 0.45
"""So far, in voxels, may the engine's regular grid lie from Slicer's of the same files, where a scanner rounds."""
_SAME_SHARE = 1e-3


@dataclass(frozen=True, eq=False)
class Grid:
    """A whole lattice: how many voxels along (i, j, k), and where they lie."""

    size: Index
    ijk_to_ras: np.ndarray

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3]))) / 1000.0


@dataclass(frozen=True, eq=False)
class VoxelBox:
    """A box of voxels. array: (k, j, i), set or not. start: the index of its first voxel; it may be negative."""

    array: np.ndarray
    start: Index
    ijk_to_ras: np.ndarray

    @property
    def size(self) -> Index:
        """Voxels along (i, j, k)."""
        return self.array.shape[::-1]

    def cropped(self) -> "VoxelBox":
        """The smallest box that holds all the voxels that are set; one without voxels where none is."""
        parts = []
        for axis in range(3):
            others = tuple(other for other in range(3) if other != axis)
            used = np.flatnonzero(self.array.any(axis=others))
            parts.append(slice(used[0], used[-1] + 1) if used.size else slice(0, 0))
        start = tuple(int(first + part.start) for first, part in zip(self.start, reversed(parts), strict=True))
        return VoxelBox(self.array[tuple(parts)], start, self.ijk_to_ras)

    def on_lattice(self, ijk_to_ras: np.ndarray, slack: float = SAME_LATTICE) -> "VoxelBox | None":
        """The same voxels, counted along the axes of another lattice.

        None where the two do not meet: a corner of this box lies further than `slack` voxels from any voxel there.
        """
        between = np.linalg.inv(ijk_to_ras) @ self.ijk_to_ras
        axes = np.rint(between[:3, :3]).astype(int)
        if not np.array_equal(np.abs(axes).sum(axis=0) * np.abs(axes).sum(axis=1), (1, 1, 1)):
            return None  # the axes of one do not run along those of the other
        ends = [(first, first + max(count - 1, 0)) for first, count in zip(self.start, self.size, strict=True)]
        corners = np.array(list(itertools.product(*ends)))
        exact = corners @ between[:3, :3].T + between[:3, 3]
        turned = corners @ axes.T
        shift = np.rint((exact - turned).mean(axis=0)).astype(int)
        if np.abs(exact - turned - shift).max() > slack:
            return None
        source = np.abs(axes).argmax(axis=1)
        array = self.array.transpose(2, 1, 0).transpose(source)
        array = np.flip(array, [axis for axis in range(3) if axes[axis, source[axis]] < 0])
        start = tuple(int(index) for index in (turned + shift).min(axis=0))
        return VoxelBox(array.transpose(2, 1, 0), start, ijk_to_ras)

    def covering(self, ijk_to_ras: np.ndarray) -> "VoxelBox | None":
        """The voxels of another lattice that lie in these by one half at least, whatever the spacing of the two.

        None where the axes of the two do not run along each other. Where a voxel lies in these by just one half, which
        is common on a lattice of half the spacing, twice its size decides: all of them would add some hundredths to a
        bladder's volume, and none of them would take as much.
        """
        between = np.linalg.inv(ijk_to_ras) @ self.ijk_to_ras
        source = np.abs(between[:3, :3]).argmax(axis=1)  # which of these axes runs along each of the other's
        steps = between[(0, 1, 2), source]
        askew = between[:3, :3].copy()
        askew[(0, 1, 2), source] = 0
        if sorted(source) != [0, 1, 2] or (np.abs(askew) @ self.size).max() > SAME_LATTICE:
            return None
        firsts = between[:3, :3] @ self.start + between[:3, 3]
        share = broad = self.array.transpose(2, 1, 0).transpose(source).astype(np.float32)
        start = []
        for axis in range(3):
            one, two, first = _shares(firsts[axis], steps[axis], share.shape[axis])
            share, broad = _summed(share, one, axis), _summed(broad, two, axis)
            start.append(first)
        inside = np.where(np.abs(share - 0.5) < _SAME_SHARE, broad, share) > 0.5 - _SAME_SHARE
        return VoxelBox(inside.transpose(2, 1, 0), tuple(start), ijk_to_ras)

    def part(self, start: Index, size: Index) -> np.ndarray:
        """Another box of the lattice, (k, j, i): what this one holds of it, and nothing elsewhere."""
        whole = np.zeros(size[::-1], dtype=self.array.dtype)
        first = np.maximum(self.start, start)
        end = np.maximum(np.minimum(np.add(self.start, self.size), np.add(start, size)), first)
        there = tuple(slice(a, b) for a, b in zip((first - start)[::-1], (end - start)[::-1], strict=True))
        here = tuple(slice(a, b) for a, b in zip((first - self.start)[::-1], (end - self.start)[::-1], strict=True))
        whole[there] = self.array[here]
        return whole


def _shares(first: float, step: float, count: int) -> tuple[np.ndarray, np.ndarray, int]:
    """How much of each voxel of a row is covered by each of `count` cells, the first at `first`, `step` apart.

    All of it in voxels of the row. Returns (voxel, cell) shares of the voxels, shares of what is twice as wide around
    each, and the index of the first voxel.
    """
    ends = first + step * (np.arange(count) + np.array([[-0.5], [0.5]]))
    low, high = ends.min(axis=0), ends.max(axis=0)
    begin, end = int(np.floor(low.min() + 0.5)), int(np.ceil(high.max() + 0.5))
    voxels = np.arange(begin, end)[:, None]
    one, two = (
        np.maximum(np.minimum(voxels + width / 2, high) - np.maximum(voxels - width / 2, low), 0) / width
        for width in (1, 2)
    )
    return one.astype(np.float32), two.astype(np.float32), begin


def _summed(values: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Weighted sums along an axis, one for each row of the weights."""
    return np.moveaxis(np.tensordot(weights, values, (1, axis)), 0, axis)


def grid_of(volume_node: slicer.vtkMRMLVolumeNode) -> Grid:
    """The lattice of a volume, in its own frame: parent transforms do not count."""
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return Grid(tuple(volume_node.GetImageData().GetDimensions()), slicer.util.arrayFromVTKMatrix(matrix))


def labels_of(image: slicer.vtkOrientedImageData) -> VoxelBox:
    """The labels of a labelmap, not copied. Several segments may share a labelmap, each with a label of its own."""
    shape = image.GetDimensions()[::-1]
    scalars = image.GetPointData().GetScalars()
    array = np.zeros(shape, np.uint8) if scalars is None else vtk_to_numpy(scalars).reshape(shape)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return VoxelBox(array, image.GetExtent()[::2], slicer.util.arrayFromVTKMatrix(matrix))


def voxels_of(image: slicer.vtkOrientedImageData, label: int) -> VoxelBox:
    """The voxels of a labelmap that hold `label`."""
    labels = labels_of(image)
    return VoxelBox(labels.array == label, labels.start, labels.ijk_to_ras)


def image_of(box: VoxelBox) -> slicer.vtkOrientedImageData:
    """The box as a labelmap of zeros and ones."""
    image = blank_image(box.start, box.size, box.ijk_to_ras)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = box.array.ravel()
    return image


def blank_image(start: Index, size: Index, ijk_to_ras: np.ndarray) -> slicer.vtkOrientedImageData:
    """A labelmap of zeros."""
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*(end for first, count in zip(start, size, strict=True) for end in (first, first + count - 1)))
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = 0
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, ijk_to_ras)
    image.SetImageToWorldMatrix(matrix)
    return image
