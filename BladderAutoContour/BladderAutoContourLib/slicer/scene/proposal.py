"""What the engine made of corrections, in the scene: shown as an outline beside the contour, taken over or thrown away.

The outline is a node of its own, which no editor, no export and no file sees: a scene that is saved keeps the
clinician's contour, and not what nobody has accepted.
"""

from dataclasses import dataclass

import numpy as np
import slicer
from slicer.i18n import tr as _

from ..process.result import SliceWarning
from .kept_contour import ASSISTED, set_fact
from .outcome import keep_corrected_warnings
from .segmentation import Contour, SaveState, as_it_stands, make_of_voxels, set_voxels
from .touched import Touched, remember
from .voxels import VoxelBox

COLOUR = (1.0, 0.9, 0.1)
"""Far from the bladder's own colour, and from the grey of a CT."""
OUTLINE_PIXELS = 2
SEGMENT_ID = "Proposal"


@dataclass(frozen=True, eq=False)
class Corrected:
    """What the engine made of a contour. before: the clinician's voxels, after: the engine's, both on its grid.

    touched: what the clinician had decided. changed_slices: those in which the two differ. warnings: what the engine
    says of its contour, and of the way it was computed.
    """

    contour: Contour
    before: VoxelBox
    after: VoxelBox
    touched: Touched
    changed_slices: tuple[int, ...]
    voxel_ml: float
    warnings: tuple[SliceWarning, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the contour still is what it was made from. Raises InputError where the contour is gone."""
        now = as_it_stands(self.contour)[0].cropped()
        return now.start == self.before.start and np.array_equal(now.array, self.before.array)

    @property
    def undecided_slices(self) -> tuple[int, ...]:
        """The slices of the clinician's contour that were not decided as a whole, rising."""
        drawn = np.flatnonzero(self.before.array.any(axis=(1, 2))) + self.before.start[2]
        return tuple(number for number in drawn.tolist() if number not in self.touched.whole)

    def change_ml(self, slice_index: int) -> float:
        """How much larger a slice became; less than zero where it shrank."""
        before, after = (_area(box, slice_index) for box in (self.before, self.after))
        return (after - before) * self.voxel_ml

    def take_over(self, save_state: SaveState) -> None:
        """Make the contour what the engine made of it, as one step for undo."""
        save_state()
        make_of_voxels(self.contour.segmentation)
        set_fact(self.contour.segment, ASSISTED, "yes")
        keep_corrected_warnings(self.contour, self.warnings)
        set_voxels(self.contour, self.after)


class Proposal:
    """A correction that is shown, until somebody accepts or discards it.

    Usage::

        proposal = Proposal(corrected)
        proposal.accept(editor.saveStateForUndo)      # or proposal.discard()
    """

    def __init__(self, corrected: Corrected) -> None:
        self.corrected = corrected
        self._outline = _outline(corrected)

    @property
    def is_shown(self) -> bool:
        """Whether it is still in the scene: closing the scene removes it."""
        return self._outline.GetScene() is not None

    def accept(self, save_state: SaveState) -> None:
        """The contour becomes the proposal; one undo brings the clinician's back. Raises InputError if it is gone."""
        corrected = self.corrected
        segment = corrected.contour.segment

        def save_and_remember() -> None:
            save_state()
            remember(segment, corrected.after, corrected.touched)

        corrected.take_over(save_and_remember)
        self.discard()

    def discard(self) -> None:
        """The contour stays as the clinician left it."""
        if self.is_shown:
            self._outline.GetScene().RemoveNode(self._outline)


def _area(box: VoxelBox, slice_index: int) -> int:
    number = slice_index - box.start[2]
    return int(np.count_nonzero(box.array[number])) if 0 <= number < len(box.array) else 0


def _outline(corrected: Corrected) -> slicer.vtkMRMLSegmentationNode:
    """The proposal's node: without the bladder's code, and without the tags by which contours are known."""
    contour = corrected.contour
    node = slicer.vtkMRMLSegmentationNode()
    node.SetName(_("Bladder, proposed"))
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    contour.segmentation.GetScene().AddNode(node)
    node.SetAndObserveTransformNodeID(contour.segmentation.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetVisibility2DFill(False)
    display.SetSliceIntersectionThickness(OUTLINE_PIXELS)
    display.SetVisibility3D(False)
    node.GetSegmentation().AddEmptySegment(SEGMENT_ID, node.GetName(), COLOUR)
    set_voxels(Contour(node, SEGMENT_ID), corrected.after)
    return node
