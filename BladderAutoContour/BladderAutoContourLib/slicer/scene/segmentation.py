"""The engine's result in the scene, and what becomes of it: shown, edited or not, restored, drawn anew, written out.

A contour that somebody worked on is never touched: it was edited, renamed, or marked as reviewed.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
from slicer.i18n import tr as _

from ...errors import InputError
from ..process.result import Result
from . import appearance, kept_contour
from .bond import ct_of, fingerprint, tie
from .ct_source import reason_against_painting
from .dicom_files import series_of
from .kept_contour import is_automatic
from .volume_files import read_mask, write_volume
from .voxels import (
    SAME_SLICES,
    Grid,
    VoxelBox,
    blank_image,
    grid_of,
    image_of,
    labels_of,
    voxels_of,
)

SaveState = Callable[[], object]
"""Called before a change: the Segment Editor's `saveStateForUndo`, so that one undo takes the change back."""


@dataclass(frozen=True)
class Contour:
    """One of the engine's contours in the scene."""

    segmentation: slicer.vtkMRMLSegmentationNode
    segment_id: str

    @property
    def volume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The CT that it was drawn on; None once that was removed."""
        return ct_of(self.segmentation)

    @property
    def segment(self) -> slicer.vtkSegment:
        """Its segment. Raises InputError where that is gone, or the whole segmentation is."""
        segmentation = self.segmentation
        if segmentation.GetScene() is not None:
            segment = segmentation.GetSegmentation().GetSegment(self.segment_id)
            if segment is not None:
                return segment
        raise InputError(_("The contour is no longer in the scene. Contour the CT again."))


def show_result(volume_node: slicer.vtkMRMLScalarVolumeNode, result: Result) -> Contour:
    """Put a result into the scene: in the place of the CT's last contour that nobody worked on, else beside the others.

    Raises InputError, the scene as it was: the CT is gone or was changed, the mask is damaged or empty.
    """
    _expect_in_scene(volume_node)
    mask, grid = read_mask(result.mask)
    ct = grid_of(volume_node)
    contour = _on_ct(mask, ct)
    earlier = [found for found in contours_of(volume_node) if _has_room_for(found.segmentation, ct)]
    untouched = [found for found in earlier if _is_untouched(found)]
    if untouched:
        shown = untouched[-1]
    else:
        segmentation = earlier[0].segmentation if earlier else _new_segmentation(volume_node)
        shown = Contour(segmentation, _new_segment(segmentation))
    segment = shown.segment
    facts = {
        kept_contour.MODEL: result.model_name,
        kept_contour.MODEL_SHA256: result.model_sha256,
        kept_contour.TIME: datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        kept_contour.SERIES_UID: result.series_uid or "",
        kept_contour.CT: fingerprint(volume_node),
        kept_contour.NAME: segment.GetName(),
    }
    kept_contour.keep(segment, contour, grid, facts)
    set_voxels(shown, contour)
    shown.segmentation.CreateClosedSurfaceRepresentation()
    return shown


def contours_of(volume_node: slicer.vtkMRMLScalarVolumeNode) -> list[Contour]:
    """The engine's contours of a CT in the scene, the oldest first, edited or not."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", volume_node.GetScene())
    every = [Contour(node, id_) for node in nodes for id_ in node.GetSegmentation().GetSegmentIDs()]
    mine = [one for one in every if one.volume is volume_node]
    return [one for one in mine if is_automatic(one.segment)]


def is_edited(contour: Contour) -> bool:
    """Whether the voxels differ from those that the engine drew; true for a segment that it did not draw.

    Raises InputError where the contour is gone.
    """
    segment = contour.segment
    kept = kept_contour.kept_contour(segment)
    labelmap = contour.segmentation.GetBinaryLabelmapInternalRepresentation(contour.segment_id)
    if kept is None or labelmap is None:
        return True
    labels, label = labels_of(labelmap), segment.GetLabelValue()
    if not kept.array.size:
        return bool((labels.array == label).any())
    drawn = kept.on_lattice(labels.ijk_to_ras)
    if drawn is None or not np.array_equal(labels.part(drawn.start, drawn.size) == label, drawn.array):
        return True
    # Slice by slice: a comparison of the whole at once takes ten times as long, for its memory.
    return bool(sum(np.count_nonzero(plane == label) for plane in labels.array) != np.count_nonzero(drawn.array))


def restore_automatic(contour: Contour, save_state: SaveState | None = None) -> None:
    """Bring back the contour as the engine drew it.

    Raises InputError where the contour is gone, and for a segment that the engine did not draw.
    """
    segmentation, kept = contour.segmentation, kept_contour.kept_contour(contour.segment)
    if kept is None:
        raise InputError(_("This segment was not drawn by the program, so there is no automatic contour to restore."))
    if save_state is not None:
        save_state()
    make_of_voxels(segmentation)
    kept_contour.forget_corrections(contour.segment)
    set_voxels(contour, kept)


def begin_by_hand(volume_node: slicer.vtkMRMLScalarVolumeNode) -> Contour:
    """An empty contour of a CT, for a bladder that the program missed: what is drawn in it counts as touched.

    Raises InputError where the CT is gone, or cannot be painted on.
    """
    _expect_in_scene(volume_node)
    reason = reason_against_painting(volume_node)
    if reason is not None:
        raise InputError(reason)
    ct = grid_of(volume_node)
    earlier = [found for found in contours_of(volume_node) if _has_room_for(found.segmentation, ct)]
    segmentation = earlier[0].segmentation if earlier else _new_segmentation(volume_node)
    contour = Contour(segmentation, _new_segment(segmentation))
    segment = contour.segment
    series = series_of(volume_node)
    facts = {
        kept_contour.SERIES_UID: series.series_uid if series is not None else "",
        kept_contour.CT: fingerprint(volume_node),
        kept_contour.NAME: segment.GetName(),
    }
    kept_contour.keep(segment, _nothing(ct), ct, facts)
    return contour


def write_mask(contour: Contour, path: Path) -> float:
    """Write a contour as a NRRD mask on the grid of its CT, as the engine sees that grid; its volume in mL.

    Raises InputError: a node is gone, the contour was moved against its CT, or lies partly outside it; OutputError.
    """
    box, grid = as_it_stands(contour)
    mask = box.part((0, 0, 0), grid.size)
    outside = np.count_nonzero(box.array) - np.count_nonzero(mask)
    if outside:
        raise InputError(
            _(
                "A part of the contour ({volume:.1f} mL) lies outside the CT, where no slice can carry it. Erase that "
                "part in the Segment Editor, or restore the automatic contour."
            ).format(volume=outside * grid.voxel_ml)
        )
    write_volume(mask.astype(np.uint8), grid.ijk_to_ras, path)
    return float(np.count_nonzero(mask) * grid.voxel_ml)


def as_it_stands(contour: Contour) -> tuple[VoxelBox, Grid]:
    """A contour's voxels, counted as the engine counts them, and the grid of the engine's masks of its CT.

    Raises InputError: a node is gone, or the contour was moved against its CT.
    """
    _segment, volume_node = contour.segment, contour.volume  # in this order: one that is gone knows no CT any more
    _expect_in_scene(volume_node)
    if contour.segmentation.GetTransformNodeID() != volume_node.GetTransformNodeID():
        raise InputError(
            _(
                "The contour and its CT are under different transforms, so the contour no longer lies on the CT's "
                "slices. Give both the same transform, or none."
            )
        )
    ct = grid_of(volume_node)
    grid = engine_grid(contour) or ct
    box = _voxels_on(contour, ct)
    return expect_meeting(box.on_lattice(grid.ijk_to_ras, SAME_SLICES)), grid


def _expect_in_scene(volume_node: slicer.vtkMRMLScalarVolumeNode | None) -> None:
    if volume_node is None or volume_node.GetScene() is None or volume_node.GetImageData() is None:
        raise InputError(_("The CT is no longer in the scene. Load it again, then contour it again."))


def expect_meeting(box: VoxelBox | None) -> VoxelBox:
    """What `on_lattice` found. Raises InputError where the lattices did not meet."""
    if box is None:
        raise InputError(
            _(
                "The CT in the scene is not the one that was contoured: its size or place has changed since. Contour "
                "it again."
            )
        )
    return box


def expect_drawn_on(contour: Contour, series_uid: str | None) -> None:
    """Raises InputError where the contour was drawn on another series than this one; of what is no DICOM, nothing."""
    drawn_on = kept_contour.fact(contour.segment, kept_contour.SERIES_UID)
    if drawn_on and series_uid and drawn_on != series_uid:
        raise InputError(
            _(
                "The contour was drawn on another CT than the one that it is tied to now. In the Segment Editor, "
                "specify the geometry of the CT that it was drawn on again, or contour this one."
            )
        )


def _on_ct(mask: VoxelBox, ct: Grid) -> VoxelBox:
    """The voxels of the engine's mask in the CT's own order, cropped."""
    contour = expect_meeting(mask.on_lattice(ct.ijk_to_ras, SAME_SLICES)).cropped()
    if not contour.array.size:
        raise InputError(_("The result holds no contour. Contour the CT again."))
    if min(contour.start) < 0 or np.any(np.add(contour.start, contour.size) > ct.size):
        expect_meeting(None)
    return contour


def make_of_voxels(segmentation: slicer.vtkMRMLSegmentationNode) -> None:
    """Make its segments voxels first of all: what is changed in voxels made of surfaces would be lost."""
    if not is_made_of_voxels(segmentation):
        segmentation.CreateBinaryLabelmapRepresentation()
        segmentation.SetSourceRepresentationToBinaryLabelmap()


def is_made_of_voxels(segmentation: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether its segments are voxels first of all; a user may have made them surfaces."""
    voxels = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    return segmentation.GetSegmentation().GetSourceRepresentationName() == voxels


def _has_room_for(segmentation: slicer.vtkMRMLSegmentationNode, ct: Grid) -> bool:
    """Whether voxels of the CT can be put beside its segments without resampling those."""
    if not is_made_of_voxels(segmentation):
        return False
    ids = segmentation.GetSegmentation().GetSegmentIDs()
    labels = [labels_of(segmentation.GetBinaryLabelmapInternalRepresentation(id_)) for id_ in ids]
    return all(box.on_lattice(ct.ijk_to_ras) is not None for box in labels if box.array.size)


def _is_untouched(contour: Contour) -> bool:
    segment = contour.segment
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    return (
        segment.GetName() == kept_contour.fact(segment, kept_contour.NAME)
        and logic.GetSegmentStatus(segment) == logic.InProgress
        and not is_edited(contour)
    )


def _new_segmentation(volume_node: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSegmentationNode:
    scene = volume_node.GetScene()
    name = scene.GenerateUniqueName(_("{ct} bladder").format(ct=volume_node.GetName()))
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    tie(segmentation, volume_node)
    appearance.show(segmentation)
    return segmentation


def _new_segment(segmentation: slicer.vtkMRMLSegmentationNode) -> str:
    """An empty segment with a name that is free."""
    segments = segmentation.GetSegmentation()
    taken = {segments.GetSegment(id_).GetName() for id_ in segments.GetSegmentIDs()}
    name, number = appearance.NAME, 1
    while name in taken:
        number += 1
        name = f"{appearance.NAME} ({number})"
    segment_id = segments.AddEmptySegment(segments.GenerateUniqueSegmentID(appearance.NAME), name, appearance.COLOUR)
    segment = segments.GetSegment(segment_id)
    segment.SetTerminology(appearance.TERMINOLOGY)
    segment.SetNameAutoGenerated(False)
    # In progress until a clinician has reviewed it.
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetSegmentStatus(segment, logic.InProgress)
    return segment_id


def set_voxels(contour: Contour, box: VoxelBox) -> None:
    """Replace a segment's voxels. Other segments keep theirs: where they overlap, and where their lattice is finer."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    segments = contour.segmentation.GetSegmentation()
    labelmap = contour.segmentation.GetBinaryLabelmapInternalRepresentation(contour.segment_id)
    if labelmap is not None and labels_of(labelmap).on_lattice(box.ijk_to_ras) is None:
        segments.SeparateSegmentLabelmap(contour.segment_id)  # Slicer would resample those that share it
    if not box.array.size:  # an image without voxels would leave the old ones
        box = VoxelBox(np.zeros((1, 1, 1), bool), (0, 0, 0), box.ijk_to_ras)
    logic.SetBinaryLabelmapToSegment(image_of(box), contour.segmentation, contour.segment_id, logic.MODE_REPLACE)


def _nothing(grid: Grid) -> VoxelBox:
    return VoxelBox(np.zeros((0, 0, 0), bool), (0, 0, 0), grid.ijk_to_ras)


def _voxels_on(contour: Contour, ct: Grid) -> VoxelBox:
    """A contour's voxels on the CT's lattice.

    Where the segmentation was given a lattice of its own: the voxels that the contour covers by half or more; the
    nearest ones where that lattice is turned against the CT's. Nearest ones alone would shift what was drawn on a
    lattice of half the spacing: each voxel of the CT has eight of those equally near.
    """
    segmentation, segment_id = contour.segmentation, contour.segment_id
    if segmentation.GetBinaryLabelmapInternalRepresentation(segment_id) is None:
        segmentation.CreateBinaryLabelmapRepresentation()
    labelmap = segmentation.GetBinaryLabelmapInternalRepresentation(segment_id)
    label = segmentation.GetSegmentation().GetSegment(segment_id).GetLabelValue()
    voxels = voxels_of(labelmap, label)
    if not voxels.array.any():
        return _nothing(ct)
    box = voxels.on_lattice(ct.ijk_to_ras) or voxels.cropped().covering(ct.ijk_to_ras)
    if box is not None:
        return box
    resampled = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        labelmap, blank_image((0, 0, 0), ct.size, ct.ijk_to_ras), resampled, False, True
    )
    return expect_meeting(voxels_of(resampled, label).on_lattice(ct.ijk_to_ras))


def engine_grid(contour: Contour) -> Grid | None:
    """The grid of the engine's mask of this CT: the segment's own, or that of a contour beside it."""
    segments = contour.segmentation.GetSegmentation()
    ids = (contour.segment_id, *segments.GetSegmentIDs())
    grids = [kept_contour.kept_grid(segments.GetSegment(id_)) for id_ in ids]
    return next((grid for grid in grids if grid is not None), None)
