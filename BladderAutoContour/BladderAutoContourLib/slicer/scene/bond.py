"""Which CT a contour belongs to: tied when it is drawn, found again when it was saved by itself and both are loaded.

A scene file keeps the bond. A .seg.nrrd does not, and nor does a scene whose CT was removed and loaded again: there the
CT is known by its voxels, and a CT with others is none of the contour's.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import slicer

from .hierarchy import place_beside
from .kept_contour import CT, fact
from .voxels import grid_of

PLACES = 2
"""Decimals of a millimetre to which a CT lies where it lay: another loader may round otherwise."""

EVERY = 4
"""All slices would take 0.4 s of the window's time, and no two patients share a quarter of theirs."""


def ct_of(segmentation: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The CT that a segmentation was drawn on; None where it is not in the scene."""
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    return segmentation.GetNodeReference(role)


def tie(segmentation: slicer.vtkMRMLSegmentationNode, volume_node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Make it this CT's: on its slices, under its transform, beside it in the subject hierarchy."""
    if not segmentation.GetTransformNodeID():  # who moved it knows why
        # Slicer's acquisition transform, which bends the CT to where its slices were taken, bends the contour alike.
        segmentation.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    place_beside(segmentation, volume_node)


def fingerprint(volume_node: slicer.vtkMRMLScalarVolumeNode) -> str:
    """What tells a CT from any other: a hash of where it lies, and of the voxels of every EVERYth slice."""
    place = np.round(grid_of(volume_node).ijk_to_ras, PLACES) + 0.0  # no -0
    digest = hashlib.sha256(place.tobytes())
    for plane in slicer.util.arrayFromVolume(volume_node)[::EVERY]:
        digest.update(np.ascontiguousarray(plane, np.float32))  # another loader may keep HU in another type
    return digest.hexdigest()


def find_again(volumes: Sequence[slicer.vtkMRMLScalarVolumeNode]) -> None:
    """Tie every contour that has lost its CT to the one of these that it was drawn on, if that is among them."""
    if not volumes:
        return
    alone = [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if ct_of(node) is None]
    lost = {node: seen for node in alone if (seen := _seen(node))}
    if not lost:
        return
    known = {fingerprint(volume): volume for volume in reversed(volumes)}  # of two alike, the first
    for segmentation, seen in lost.items():
        found = [known[one] for one in seen if one in known]
        if found:
            tie(segmentation, found[0])


def _seen(segmentation: slicer.vtkMRMLSegmentationNode) -> list[str]:
    """The fingerprints of the CTs that its segments were drawn on."""
    segments = segmentation.GetSegmentation()
    facts = [fact(segments.GetSegment(id_), CT) for id_ in segments.GetSegmentIDs()]
    return [one for one in facts if one]
