"""Where a contour's slices lie in the views. Slices are numbered from 0 along the slice axis of the engine's mask."""

import numpy as np
import slicer
from slicer.i18n import tr as _

from ...errors import InputError
from . import kept_contour
from .ct_source import RED_SLICE_VIEW
from .segmentation import Contour, as_it_stands, engine_grid, expect_meeting
from .voxels import SAME_SLICES, Grid, VoxelBox, grid_of


def slice_position_ras(contour: Contour, slice_index: int) -> tuple[float, float, float]:
    """Where a slice of the engine's mask lies in the world: the middle of the contour's box, in that slice.

    Raises InputError where the contour is gone.
    """
    segment = contour.segment
    kept, grid = kept_contour.kept_contour(segment), kept_contour.kept_grid(segment)
    if kept is None or grid is None:
        raise InputError(_("This segment was not drawn by the program, so its slices are not known."))
    if kept.array.size:
        seen, lattice = expect_meeting(kept.on_lattice(grid.ijk_to_ras, SAME_SLICES)), kept.ijk_to_ras
    else:  # begun by hand
        seen, lattice = as_it_stands(contour)[0].cropped(), grid.ijk_to_ras
    middle = np.add(seen.start, (np.array(seen.size) - 1) / 2) if seen.array.size else np.array(grid.size) / 2
    # Back on the lattice of the scene: where the engine's slice is shown, rather than where it would be.
    here = VoxelBox(np.ones((1, 1, 1), bool), (round(middle[0]), round(middle[1]), slice_index), grid.ijk_to_ras)
    index = expect_meeting(here.on_lattice(lattice, SAME_SLICES)).start
    local = lattice @ (*index, 1.0)
    world = [0.0, 0.0, 0.0]
    contour.segmentation.TransformPointToWorld(local[:3].tolist(), world)
    return tuple(world)


def go_to_slice(contour: Contour, slice_index: int) -> None:
    """Show a slice in all views. Raises what `slice_position_ras` does."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(contour.segmentation.GetScene(), *slice_position_ras(contour, slice_index))


def shown_slice(contour: Contour) -> int | None:
    """The slice that the red view shows in its middle; None where that lies outside the CT, or there is no such view.

    Raises InputError where the CT is gone or was changed.
    """
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode", contour.segmentation.GetScene())
    view = next((node for node in nodes if node.GetLayoutName() == RED_SLICE_VIEW), None)
    if view is None or contour.volume is None:
        return None
    to_ras, local = view.GetSliceToRAS(), [0.0, 0.0, 0.0]
    contour.volume.TransformPointFromWorld([to_ras.GetElement(row, 3) for row in range(3)], local)
    ct = grid_of(contour.volume)
    index = np.rint(np.linalg.inv(ct.ijk_to_ras) @ (*local, 1.0)).astype(int)
    here = VoxelBox(np.ones((1, 1, 1), bool), tuple(index[:3].tolist()), ct.ijk_to_ras)
    grid = engine_grid(contour) or ct
    number = expect_meeting(here.on_lattice(grid.ijk_to_ras, SAME_SLICES)).start[2]
    return number if 0 <= number < grid.size[2] else None


def neighbour(contour: Contour, number: int, up: bool) -> int | None:
    """The next slice towards the head, or towards the feet; None at the CT's end."""
    grid: Grid = engine_grid(contour) or grid_of(contour.volume)
    step = 1 if (grid.ijk_to_ras[2, 2] >= 0) == up else -1
    return number + step if 0 <= number + step < grid.size[2] else None
