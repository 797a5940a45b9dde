"""Volumes out to NRRD files and in again, by Slicer's own storage; the node in the scene is not touched by it."""

import contextlib
from pathlib import Path

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk

from ...errors import InputError, OutputError
from .voxels import Grid, VoxelBox, grid_of


def write_volume(array: np.ndarray, ijk_to_ras: np.ndarray, path: Path) -> None:
    """Write voxels (k, j, i) as NRRD, their type kept, without compression: written and read soon, then removed.

    Raises OutputError: unwritable, disk full.
    """
    voxels = np.ascontiguousarray(array).ravel()
    image = vtk.vtkImageData()
    image.SetDimensions(array.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(voxels))
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, ijk_to_ras)
    # A node of its own: that of the scene may carry a DICOM header, which would go into the file.
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(matrix)
    storage = slicer.vtkMRMLNRRDStorageNode()
    storage.SetFileName(str(path))
    storage.SetUseCompression(False)
    if not storage.WriteData(node) or path.stat().st_size < voxels.nbytes:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise OutputError(
            _(
                "The working folder cannot be written, or its disk is full. Make room, or choose another working "
                "folder in the module's settings."
            ),
            [path],
        )


def read_mask(path: Path) -> tuple[VoxelBox, Grid]:
    """The voxels above zero of a NRRD file, and the whole lattice. Raises InputError: missing or damaged."""
    values, grid = read_values(path)
    return VoxelBox(values.array > 0, values.start, values.ijk_to_ras), grid


def read_values(path: Path) -> tuple[VoxelBox, Grid]:
    """The voxels of a NRRD file as they are, and the whole lattice. Raises InputError: missing or damaged."""
    node = slicer.vtkMRMLScalarVolumeNode()
    storage = slicer.vtkMRMLNRRDStorageNode()
    storage.SetFileName(str(path))
    if not path.is_file() or not storage.ReadData(node) or node.GetImageData() is None:
        raise InputError(
            _("The contour cannot be read from {file}: the file is missing or damaged. Contour the CT again.").format(
                file=path.name
            ),
            [path],
        )
    grid = grid_of(node)
    return VoxelBox(slicer.util.arrayFromVolume(node), (0, 0, 0), grid.ijk_to_ras), grid
