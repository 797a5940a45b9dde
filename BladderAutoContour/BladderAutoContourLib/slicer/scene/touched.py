"""What a clinician corrected by hand: found by comparing, so that undo and a saved scene need no bookkeeping.

A contour is compared with what the program last gave: the automatic contour, or the proposal that was accepted. A slice
that was edited in the axial view is decided as a whole; of strokes in the other views the voxels are that they changed.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import slicer

from .kept_contour import ACCEPTED, TOUCHED_SLICES, TOUCHED_VOXELS, fact, keep_box, kept_box, kept_contour, set_fact
from .segmentation import Contour, as_it_stands, expect_meeting
from .strokes import in_other_views
from .voxels import SAME_SLICES, Grid, Index, VoxelBox


@dataclass(frozen=True, eq=False)
class Touched:
    """What somebody decided. whole: slices of the engine's mask, each decided as a whole. voxels: others."""

    whole: frozenset[int]
    voxels: VoxelBox

    @property
    def slices(self) -> tuple[int, ...]:
        """The slices that hold anything of it, rising."""
        return tuple(sorted({*self.whole, *_slices(self.voxels)}))

    def mask(self, grid: Grid) -> np.ndarray:
        """uint8 (k, j, i) of all the grid, as the engine takes it."""
        mask = self.voxels.part((0, 0, 0), grid.size).astype(np.uint8)
        mask[sorted(self.whole)] = 1
        return mask


def touched_of(contour: Contour) -> Touched:
    """What was corrected by hand since the engine drew the contour. Raises what `as_it_stands` does."""
    changed, before = _compared(contour)
    return _joined(_sorted_out(changed), before)


def touched_slices(contour: Contour) -> tuple[int, ...]:
    """As `touched_of(contour).slices`, without asking in which view they were edited: that takes long."""
    changed, before = _compared(contour)
    return tuple(sorted({*_slices(changed), *before.slices}))


def _compared(contour: Contour) -> tuple[VoxelBox, Touched]:
    """The voxels that differ from what the program last gave, and what had been corrected before it gave that."""
    segment = contour.segment
    box, grid = as_it_stands(contour)
    now = box.cropped()
    given = kept_box(segment, ACCEPTED) or kept_contour(segment)
    before = expect_meeting(given.on_lattice(grid.ijk_to_ras, SAME_SLICES)) if given is not None else now
    start, size = _around([now, before])
    changed = VoxelBox(now.part(start, size) != before.part(start, size), start, grid.ijk_to_ras).cropped()
    return changed, _remembered(segment, changed)


def remember(segment: slicer.vtkSegment, accepted: VoxelBox, touched: Touched) -> None:
    """The contour becomes this proposal, made for what was touched: write the tags. Undo takes them back with it."""
    keep_box(segment, ACCEPTED, accepted)
    set_fact(segment, TOUCHED_SLICES, json.dumps(sorted(touched.whole)))
    keep_box(segment, TOUCHED_VOXELS, touched.voxels)


def slice_numbers(slices: Sequence[int]) -> str:
    """Rising slice numbers, neighbours drawn together: "12, 40-43"."""
    runs: list[list[int]] = []
    for number in slices:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _slices(box: VoxelBox) -> list[int]:
    """The slices that hold a voxel, rising."""
    return (np.flatnonzero(box.array.any(axis=(1, 2))) + box.start[2]).tolist()


def _remembered(segment: slicer.vtkSegment, like: VoxelBox) -> Touched:
    voxels = kept_box(segment, TOUCHED_VOXELS)
    nothing = VoxelBox(np.zeros((0, 0, 0), bool), (0, 0, 0), like.ijk_to_ras)
    return Touched(frozenset(json.loads(fact(segment, TOUCHED_SLICES) or "[]")), voxels or nothing)


def _sorted_out(changed: VoxelBox) -> Touched:
    """Which slices were worked on in the axial view, and which voxels in others.

    A slice is decided as a whole unless all that changed in it is of strokes in other views.
    """
    array = changed.array
    whole = np.flatnonzero((array & ~in_other_views(array)).any(axis=(1, 2)))
    rest = array.copy()
    rest[whole] = False
    numbers = (whole + changed.start[2]).tolist()
    return Touched(frozenset(numbers), VoxelBox(rest, changed.start, changed.ijk_to_ras).cropped())


def _joined(one: Touched, other: Touched) -> Touched:
    start, size = _around([one.voxels, other.voxels])
    voxels = one.voxels.part(start, size) | other.voxels.part(start, size)
    return Touched(one.whole | other.whole, VoxelBox(voxels, start, one.voxels.ijk_to_ras))


def _around(boxes: Iterable[VoxelBox]) -> tuple[Index, Index]:
    """Start and size of the smallest box that holds them all; those without voxels do not count."""
    full = [box for box in boxes if box.array.size]
    if not full:
        return (0, 0, 0), (0, 0, 0)
    start = np.min([box.start for box in full], axis=0)
    end = np.max([np.add(box.start, box.size) for box in full], axis=0)
    return tuple(start.tolist()), tuple((end - start).tolist())
