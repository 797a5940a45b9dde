"""What the engine gets for a CT of the scene: its DICOM files, else the volume as a file; or why it gets nothing."""

import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from ...errors import InputError
from .dicom_files import instance_uids, lies_where_its_files_say, series_of
from .hierarchy import modality_of
from .volume_files import write_volume
from .voxels import grid_of

MOST_BENT_VOXELS = 0.5
"""Bent by less, a CT's slices are where the Segment Editor takes them to be."""
MINIMUM_SLICES = 4
"""Fewer the engine refuses."""
RED_SLICE_VIEW = "Red"


@dataclass(frozen=True)
class CtSource:
    """What the engine reads. paths: all files of the series, or one NRRD that is the caller's to remove.

    series_uid: the series to take of these files. why_not_dicom: empty, or the sentence why no structure set can refer
    to this CT.
    """

    paths: tuple[Path, ...]
    series_uid: str | None
    why_not_dicom: str = ""

    @property
    def from_dicom(self) -> bool:
        """Whether the engine reads the CT's own DICOM files."""
        return not self.why_not_dicom


def candidates(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """The volumes of a scene that may be CTs of a pelvis, in its order. One that is transformed is among them."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene)
    return [node for node in nodes if not node.GetHideFromEditors() and _unlike_a_ct(node) is None]


def shown_ct(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume behind the red slice view, if it is a candidate."""
    shown = shown_volume(scene)
    return next((node for node in candidates(scene) if node is shown), None)


def shown_volume(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLVolumeNode | None:
    """The volume behind the red slice view, whatever it is."""
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene):
        if view.GetLayoutName() == RED_SLICE_VIEW:
            return scene.GetNodeByID(view.GetBackgroundVolumeID() or "")
    return None


def reason_against(volume_node: slicer.vtkMRMLVolumeNode | None) -> str | None:
    """Why the volume cannot be contoured, for the clinician; None where it can. Reads no files."""
    if volume_node is None or volume_node.GetScene() is None:
        return _("Choose a CT first.")
    return _unlike_a_ct(volume_node) or _misplaced(volume_node)


def source_of(volume_node: slicer.vtkMRMLScalarVolumeNode | None, working_folder: Path) -> CtSource:
    """What the engine is to read for a volume; where that is no DICOM, a NRRD is written into the working folder.

    Raises what `dicom_source_of` does; OutputError: the folder cannot be written.
    """
    source = dicom_source_of(volume_node)
    return source if source.from_dicom else replace(source, paths=(write_ct(volume_node, working_folder),))


def write_ct(volume_node: slicer.vtkMRMLScalarVolumeNode, working_folder: Path) -> Path:
    """Write a volume as a NRRD into the working folder. Raises OutputError."""
    # Not by the node's name: it may be the patient's.
    path = Path(working_folder) / f"ct-{uuid.uuid4().hex[:12]}.nrrd"
    write_volume(slicer.util.arrayFromVolume(volume_node), grid_of(volume_node).ijk_to_ras, path)
    return path


def dicom_source_of(volume_node: slicer.vtkMRMLScalarVolumeNode | None) -> CtSource:
    """The DICOM files of a volume; without any path, and with the reason, where a structure set cannot refer to them.

    Writes nothing. Raises InputError: not a CT, transformed, its DICOM files missing.
    """
    reason = reason_against(volume_node)
    if reason is not None:
        raise InputError(reason)
    series, bent = series_of(volume_node), _has_acquisition_transform(volume_node)
    if series is not None and (bent or lies_where_its_files_say(volume_node)):
        return CtSource(series.files, series.series_uid)
    if bent:
        raise InputError(
            _(
                "Slicer bent this CT to where its uneven slices were taken, and the DICOM files with the true slices "
                "are not in Slicer's DICOM database. Import the series into the DICOM module again."
            )
        )
    if not instance_uids(volume_node):
        why = _("This CT was not loaded from DICOM, so a structure set has no images to refer to.")
    elif series is None:
        why = _(
            "The DICOM files of this CT are not in Slicer's DICOM database. Import the series into the DICOM module, "
            "then load it from there."
        )
    elif len(instance_uids(volume_node)) == 1:
        why = _(
            "This CT is one multi-frame DICOM file, and its frames do not lie where Slicer shows its slices: it was "
            "moved, cropped or resampled, or Slicer cannot order its frames. To export a structure set, load it from "
            "the DICOM module again, or ask for it as one file a slice."
        )
    else:
        why = _(
            "This CT was moved, cropped or resampled after it was loaded from DICOM, so its slices are no longer those "
            "of its files. Load it from the DICOM module again to export a structure set."
        )
    return CtSource((), None, why)


def reason_against_painting(volume_node: slicer.vtkMRMLScalarVolumeNode) -> str | None:
    """Why the Segment Editor would draw elsewhere than the clinician on this CT; None where it does not.

    Its effects pass over a transform that bends (`qSlicerSegmentEditorPaintEffect`: "We don't support painting in
    non-linearly transformed node").
    """
    if not _has_acquisition_transform(volume_node) or _bend_voxels(volume_node) <= MOST_BENT_VOXELS:
        return None
    return _(
        "Slicer bent this CT to where its uneven slices were taken, and its Segment Editor would draw in other places "
        "than you do. Draw this bladder in your planning system."
    )


def _bend_voxels(volume_node: slicer.vtkMRMLScalarVolumeNode) -> float:
    """How far an acquisition transform moves a slice's corner at most, in voxels along the axis that most."""
    grid = volume_node.GetParentTransformNode().GetTransformToParentAs("vtkOrientedGridTransform", False)
    moved_mm = vtk_to_numpy(grid.GetDisplacementGrid().GetPointData().GetScalars()).reshape(-1, 3)
    to_voxels = np.linalg.inv(grid_of(volume_node).ijk_to_ras[:3, :3])
    return float(np.abs(moved_mm @ to_voxels.T).max(initial=0.0))


def _unlike_a_ct(node: slicer.vtkMRMLVolumeNode) -> str | None:
    """Why it cannot be a CT at all."""
    if node.GetClassName() != "vtkMRMLScalarVolumeNode":
        return _("This is not a CT: choose a grey-value volume, not a labelmap or a colour image.")
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        return _("This volume holds no image. Load the CT again.")
    if image.GetNumberOfScalarComponents() != 1:
        return _("This volume holds several values a voxel; a CT holds one.")
    if min(image.GetDimensions()[:2]) < 2 or image.GetDimensions()[2] < MINIMUM_SLICES:
        return _("This volume has too few slices ({slices}): at least {least} are needed.").format(
            slices=image.GetDimensions()[2], least=MINIMUM_SLICES
        )
    modality = modality_of(node)
    if modality not in ("", "CT"):
        return _("This is a {modality} image; the program knows the bladder in CT only.").format(modality=modality)
    return None


def _misplaced(node: slicer.vtkMRMLVolumeNode) -> str | None:
    """Why its transform stands in the way."""
    transform = node.GetParentTransformNode()
    if transform is None or _has_acquisition_transform(node):
        return None
    if not transform.IsTransformToWorldLinear():
        return _("This CT is bent by a transform. Remove the transform in the Transforms module, then contour the CT.")
    to_world = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(to_world)
    if to_world.IsIdentity():
        return None
    return _(
        "This CT is moved by a transform, so its contour would not lie on the original slices. Remove the transform in "
        "the Transforms module, or harden it there to contour the CT where it is now."
    )


def _has_acquisition_transform(node: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether Slicer's DICOM loader bent the CT to where its slices were taken, and nobody moved it besides.

    It adds a grid transform where slices lie off a regular grid by a thousandth of a millimetre: the corners of each
    slice are moved to where the file has them.
    """
    transform = node.GetParentTransformNode()
    if transform is None or transform.GetParentTransformNode() is not None or not instance_uids(node):
        return False
    bend = transform.GetTransformToParentAs("vtkOrientedGridTransform", False)
    grid = bend.GetDisplacementGrid() if bend is not None else None
    return grid is not None and grid.GetDimensions() == (2, 2, node.GetImageData().GetDimensions()[2])
