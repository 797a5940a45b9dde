"""CTs in a scene, as Slicer's own loaders leave them there: from an array, and from a DICOM series on the disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import slicer
import vtk
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.imaging.files import write_volume
from BladderAutoContourLib.imaging.geometry import IDENTITY, Geometry, Matrix
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.slicer.scene.segmentation import Contour
from multi_frame import write_enhanced
from standin.dicom import ctkDICOMDatabase, import_dicom, load_series

RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""LPS to RAS, and back."""


def turned(degrees: float) -> Matrix:
    """Direction of a grid turned about two of the patient's axes, one after the other."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    about_x = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    about_z = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return tuple(map(tuple, (about_x @ about_z).tolist()))


DIRECTIONS: dict[str, Matrix] = {
    "axial": IDENTITY,
    "oblique": turned(12),
    "feet first": ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
    "left-handed": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
}


def grid(direction: Matrix = IDENTITY, size: tuple[int, int, int] = (40, 36, 20)) -> Geometry:
    """An anisotropic grid."""
    return Geometry(size, (1.2, 1.1, 3.0), (-23.7, 41.2, -803.3), direction)


def texture(geometry: Geometry) -> Volume:
    """HU that differ from voxel to voxel: any exchange of slices or axes shows."""
    return Volume(np.random.default_rng(5).integers(-1000, 1500, geometry.shape).astype(np.int16), geometry)


OBLIQUE = grid(DIRECTIONS["oblique"])
CORNER = np.zeros(OBLIQUE.shape, np.uint8)
"""A box of that grid, away from its blob: what somebody paints."""
CORNER[1:4, 2:5, 3:6] = 1


def blob(geometry: Geometry, seed: int = 0) -> np.ndarray:
    """A ragged mask without any symmetry, away from the grid's edges; (z, y, x) of zeros and ones."""
    mask = np.zeros(geometry.shape, dtype=np.uint8)
    inner = mask[5:14, 8:30, 6:31]
    inner[:] = np.random.default_rng(seed).random(inner.shape) > 0.3
    return mask


def add_ct(volume: Volume, name: str = "Pelvis") -> slicer.vtkMRMLScalarVolumeNode:
    """The volume as a node that came from no file."""
    return slicer.util.addVolumeFromArray(volume.array, ijkToRAS=RAS @ volume.geometry.matrix, name=name)


@dataclass(frozen=True)
class Drawn:
    """What the scene needs to know of a result of the engine."""

    mask: Path
    model_name: str = "generated-pelves-2"
    model_sha256: str = "ab" * 32
    series_uid: str | None = None


def drawn(mask: np.ndarray, geometry: Geometry, folder: Path, **facts: str) -> Drawn:
    """A result with this mask, in a folder of its own."""
    folder.mkdir(parents=True)
    write_volume(Volume(mask, geometry), folder / "bladder.nrrd")
    return Drawn(folder / "bladder.nrrd", **facts)


def load_dicom(files: list[Path]) -> slicer.vtkMRMLScalarVolumeNode:
    """A series as the DICOM module loads it, from a database that holds its folder; with the acquisition transform."""
    slicer.dicomDatabase = ctkDICOMDatabase(files[0].parent)
    import_dicom(str(files[0].parent))
    node = load_series(slicer.dicomDatabase.seriesForFile(str(files[0])))
    _bend_to_slices(node, files)
    return node


def load_multi_frame(
    volume: Volume, folder: Path, order: Sequence[int] | None = None
) -> tuple[slicer.vtkMRMLScalarVolumeNode, Path]:
    """A volume as one enhanced CT file, its frames in `order`, loaded from a database that holds it; and the file."""
    plain = write_series(volume, folder / "plain")
    (folder / "multi-frame").mkdir()
    file = write_enhanced(folder / "multi-frame" / "ct.dcm", plain, order)
    slicer.dicomDatabase = ctkDICOMDatabase(file.parent)
    import_dicom(str(file.parent))
    return load_series(pydicom.dcmread(file).SeriesInstanceUID), file


def _bend_to_slices(node: slicer.vtkMRMLScalarVolumeNode, files: list[Path]) -> None:
    """Slicer's acquisition transform: where slices lie off a regular grid, each is moved to where its file has it."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    affine = slicer.util.arrayFromVTKMatrix(matrix)
    positions = np.array([pydicom.dcmread(file, stop_before_pixels=True).ImagePositionPatient for file in files], float)
    regular = np.array([affine @ (0, 0, z, 1) for z in range(len(files))])[:, :3]
    shift = positions * RAS.diagonal()[:3] - regular
    if np.abs(shift).max() <= 1e-3:
        return
    columns, rows, slices = node.GetImageData().GetDimensions()
    image = vtk.vtkImageData()
    image.SetOrigin(node.GetOrigin())
    image.SetDimensions(2, 2, slices)
    image.SetSpacing(np.multiply(node.GetSpacing(), (columns, rows, 1)))
    image.AllocateScalars(vtk.VTK_DOUBLE, 3)
    direction = vtk.vtkMatrix4x4()
    node.GetIJKToRASDirectionMatrix(direction)
    transform = slicer.vtkOrientedGridTransform()
    transform.SetGridDirectionMatrix(direction)
    transform.SetDisplacementGridData(image)
    bend = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", f"{node.GetName()} acquisition transform")
    bend.SetAndObserveTransformToParent(transform)
    slicer.util.arrayFromGridTransform(bend)[:] = shift[:, None, None, :]
    node.SetAndObserveTransformNodeID(bend.GetID())


def write_series(volume: Volume, folder: Path, shifts_mm: np.ndarray | None = None) -> list[Path]:
    """The volume as a DICOM series, its slices shifted along z by so much each; in slice order."""
    files = write_ct_series(volume, folder)
    for file, shift in zip(files, shifts_mm if shifts_mm is not None else (), strict=False):
        dataset = pydicom.dcmread(file)
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, round(float(z) + float(shift), 4)]
        dataset.save_as(file)
    return files


def voxels(contour: Contour, ct: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """A segment as Slicer itself gives it out, (k, j, i) on the CT's grid."""
    return slicer.util.arrayFromSegmentBinaryLabelmap(contour.segmentation, contour.segment_id, ct)


def refine(contour: Contour, mask: np.ndarray) -> slicer.vtkMRMLScalarVolumeNode:
    """Give a segment the voxels of `mask` on a lattice of half the spacing; returns a volume on that lattice."""
    half = OBLIQUE.matrix @ np.diag([0.5, 0.5, 0.5, 1])
    half[:3, 3] = OBLIQUE.to_patient((-0.25, -0.25, -0.25))
    double = np.kron(mask, np.ones((2, 2, 2), np.uint8))
    volume = slicer.util.addVolumeFromArray(double.astype(np.int16), ijkToRAS=RAS @ half)
    slicer.util.updateSegmentBinaryLabelmapFromArray(double, contour.segmentation, contour.segment_id, volume)
    return volume


def saved_and_loaded(segmentation: slicer.vtkMRMLSegmentationNode, path: Path) -> slicer.vtkMRMLSegmentationNode:
    """The segmentation as another session gets it from a .seg.nrrd of its own; the first is removed."""
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(segmentation)
    slicer.mrmlScene.RemoveNode(segmentation)
    loaded = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage.ReadData(loaded)
    return loaded


class Editor:
    """Slicer's Segment Editor without its widgets: the real logic, with undo."""

    def __init__(self, segmentation: slicer.vtkMRMLSegmentationNode, ct: slicer.vtkMRMLScalarVolumeNode) -> None:
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        # As the panel's editor does: painting one contour never erases from another that it overlaps.
        self.node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        self.logic.SetSegmentEditorNode(self.node)
        self.logic.SetSegmentationNode(segmentation)
        self.logic.SetSourceVolumeNode(ct)

    def paint(self, segment_id: str, mask: np.ndarray) -> None:
        """Add the voxels of `mask`, (k, j, i) on the CT's grid, as one step of the user's."""
        self._change(segment_id, mask, self.logic.ModificationModeAdd)

    def erase(self, segment_id: str, mask: np.ndarray) -> None:
        """Take the voxels of `mask` away."""
        self._change(segment_id, mask, self.logic.ModificationModeRemove)

    def _change(self, segment_id: str, mask: np.ndarray, mode: int) -> None:
        self.logic.SetCurrentSegmentID(segment_id)
        self.logic.ResetModifierLabelmapToDefault()
        modifier = self.logic.GetModifierLabelmap()
        scalars = vtk.util.numpy_support.vtk_to_numpy(modifier.GetPointData().GetScalars())
        scalars[:] = mask.ravel()
        modifier.Modified()
        self.logic.SaveStateForUndo()
        segmentation = self.logic.GetSegmentationNode()
        self.logic.ModifySegmentByLabelmap(segmentation, segment_id, modifier, mode, True, False)
