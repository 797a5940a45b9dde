"""Which planes a clinician worked on, read from the voxels that were touched, whatever view they were painted in."""

from dataclasses import dataclass

import numpy as np

from ...imaging.components import Box, box_of_both
from ...imaging.geometry import Triple

MARGIN_MM = 20.0  # around the organ: what a correction may add
REACH_MM = 45.0  # along the axes, from the touched voxels: what a correction may change


@dataclass(frozen=True)
class TouchedPlanes:
    """The planes of one array axis (0: axial, 1 and 2: the others) in which somebody painted.

    numbers: their indices along the axis, rising. voxels: boolean (z, y, x), the touched voxels that belong to them.
    """

    axis: int
    numbers: tuple[int, ...]
    voxels: np.ndarray


def touched_planes(touched: np.ndarray) -> tuple[TouchedPlanes, ...]:
    """The touched voxels (boolean, (z, y, x)) sorted by the plane they were painted in.

    A plane that was touched as a whole comes before others. A stroke lies in one plane, so any other voxel belongs to
    that of its three planes which holds most of what lies in no whole plane: a few whole slices hold more voxels of
    every plane across them than a stroke there does. In doubt to the axial one.
    """
    if not touched.any():
        return ()
    across = [tuple(other for other in range(3) if other != axis) for axis in range(3)]
    whole = [touched.all(axis=others, keepdims=True) for others in across]
    loose = touched & ~(whole[0] | whole[1] | whole[2])
    counts = [loose.sum(axis=others) for others in across]
    for count, is_whole in zip(counts, whole, strict=True):
        count[is_whole.ravel()] = touched.size
    z, y, x = np.nonzero(touched)
    held = np.stack([counts[0][z], counts[1][y], counts[2][x]])
    chosen = held.argmax(axis=0)  # the first of equals: the axial one
    found = []
    for axis, places in enumerate((z, y, x)):
        belongs = chosen == axis
        if not belongs.any():
            continue
        voxels = np.zeros(touched.shape, dtype=bool)
        voxels[z[belongs], y[belongs], x[belongs]] = True
        found.append(TouchedPlanes(axis, tuple(np.unique(places[belongs]).tolist()), voxels))
    return tuple(found)


def box_that_matters(
    predicted: Box | None,
    drawn: Box | None,
    touched: Box | None,
    shape: tuple[int, ...],
    spacing_mm: Triple,
    ends: bool = False,
) -> Box | None:
    """The part of the CT that corrections can change; None where nothing was touched, predicted or drawn.

    predicted, drawn, touched: the boxes (z, y, x) around the voxels that are; shape: the CT's, (z, y, x); spacing_mm:
    (x, y, z). What was drawn above or below the prediction may go on as far as corrections reach. ends: whether an
    axial slice was emptied; then what lies beyond it may have to go, however far it goes on.
    """
    organ = box_of_both(predicted, drawn)
    if organ is None or touched is None:
        return None
    parts = []
    for axis, step_mm in enumerate(spacing_mm[::-1]):
        whole, near = organ[axis], touched[axis]
        is_new = predicted is None or whole.start < predicted[axis].start or whole.stop > predicted[axis].stop
        margin_mm = REACH_MM if is_new and axis == 0 else MARGIN_MM
        low_mm, high_mm = whole.start * step_mm - margin_mm, whole.stop * step_mm + margin_mm
        if axis > 0 or not ends:
            low_mm = max(low_mm, near.start * step_mm - REACH_MM)
            high_mm = min(high_mm, near.stop * step_mm + REACH_MM)
        start, stop = max(0, int(low_mm / step_mm)), min(shape[axis], int(np.ceil(high_mm / step_mm)))
        if stop <= start:
            return None
        parts.append(slice(start, stop))
    return tuple(parts)
