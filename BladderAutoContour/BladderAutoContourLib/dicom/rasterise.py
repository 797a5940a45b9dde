"""Structures on the CT's grid: a voxel belongs to a structure where its centre lies inside the contours.

Contours of one slice combine by exclusive or: nested contours are holes, whatever their sense of rotation. One that is
there twice counts once.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..imaging.geometry import Geometry
from ..imaging.volume import Volume
from .findings import Finding
from .structure_reader import CLOSED, Contour, Roi

FLAT_SHARE = 0.1
"""The points of a contour may leave its slice's plane by this share of the slice spacing."""
SAME_PLANE_MM = 0.01


@dataclass(frozen=True)
class Placed:
    """A contour in index coordinates: its slice, (n, 2) points in (x, y), and its signed distance from the slice."""

    z: int
    points: np.ndarray
    off_plane_mm: float


def roi_mask(roi: Roi, geometry: Geometry) -> tuple[Volume, tuple[Finding, ...]]:
    """The mask (uint8) of a structure, and what it lacks: contours off the grid, oblique to it or too small, slices."""
    by_slice: dict[int, list[Placed]] = defaultdict(list)
    left_out: dict[str, int] = defaultdict(int)
    for contour in roi.contours:
        placed = place(contour, geometry)
        if isinstance(placed, Placed):
            by_slice[placed.z].append(placed)
        elif contour.geometric_type != "POINT":
            left_out[placed] += 1
    array = np.zeros(geometry.shape, np.uint8)
    for z, candidates in by_slice.items():
        # Where contours are denser than the slices, only those of one plane, the nearest, count for a slice.
        nearest = min((candidate.off_plane_mm for candidate in candidates), key=abs)
        own = [one.points for one in candidates if abs(one.off_plane_mm - nearest) <= SAME_PLANE_MM]
        once = {points.tobytes(): points for points in own}  # by exclusive or, a copy would take the first away
        left_out["each is there already"] += len(own) - len(once)
        array[z] = fill(list(once.values()), array.shape[1:])
    findings = tuple(
        Finding("contour-left-out", "warning", f"{count} contours of {roi.name!r} left out: {reason}")
        for reason, count in left_out.items()
        if count
    )
    return Volume(array, geometry), (*findings, *gap_findings(roi, by_slice))


def gap_findings(roi: Roi, drawn: Collection[int]) -> tuple[Finding, ...]:
    """A note on the slices without a contour between those `drawn` (each z once), where there are such.

    A structure of several parts has them lawfully; one that was drawn on every second slice looks the same.
    """
    missing = max(drawn) - min(drawn) + 1 - len(drawn) if drawn else 0
    if not missing:
        return ()
    sentence = f"{missing} slices between the contours of {roi.name!r} have none"
    return (Finding("slices-without-contours", "note", sentence),)


def place(contour: Contour, geometry: Geometry) -> Placed | str:
    """Where a contour lies on the grid; a text saying why, where it lies on none of its slices."""
    if contour.geometric_type not in CLOSED:
        return f"of type {contour.geometric_type or 'none'}"
    if len(contour.points_mm) < 3:
        return "fewer than 3 points"
    index = geometry.to_index(contour.points_mm)
    depth = index[:, 2]
    if np.ptp(depth) > 2 * FLAT_SHARE:
        return "not parallel to the slices"
    middle = float(depth.mean())
    z = int(np.floor(middle + 0.5))
    if not 0 <= z < geometry.size[2]:
        return "outside the CT"
    return Placed(z, index[:, :2], (middle - z) * geometry.spacing_mm[2])


def fill(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """(y, x) bool: pixel centres that lie inside an odd number of the polygons (n, 2), by the even-odd rule."""
    height, width = shape
    mask = np.zeros(shape, bool)
    crossings = [_crossings(polygon, height, width) for polygon in polygons]
    rows = np.concatenate([row for row, _ in crossings])
    columns = np.concatenate([column for _, column in crossings])
    if rows.size == 0:
        return mask
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max()
    size = (bottom - top, right - left + 1)
    counts = np.bincount((rows - top) * size[1] + columns - left, minlength=size[0] * size[1]).reshape(size)
    mask[top:bottom, left:right] = np.cumsum(counts, axis=1, dtype=np.uint8)[:, :-1] % 2 == 1
    return mask


def _crossings(polygon: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """For every row of pixel centres that an edge crosses: the row, and the first column right of the crossing."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    # The same two points give the same crossing whichever way an edge runs: a keyhole's bridge cancels exactly.
    upward = (start[:, 1] <= end[:, 1])[:, None]
    low, high = np.where(upward, start, end), np.where(upward, end, start)
    first = np.clip(np.ceil(low[:, 1]), 0, height).astype(int)
    last = np.clip(np.ceil(high[:, 1]), 0, height).astype(int)
    count = last - first
    edge = np.repeat(np.arange(len(polygon)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    slope = (high[edge, 0] - low[edge, 0]) / (high[edge, 1] - low[edge, 1])
    x = low[edge, 0] + (row - low[edge, 1]) * slope
    return row, np.clip(np.ceil(x), 0, width).astype(int)
