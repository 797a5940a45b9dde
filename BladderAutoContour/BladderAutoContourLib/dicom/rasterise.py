"""Structures on the CT's grid: a voxel belongs to a structure where its centre lies inside the contours.

Contours of one slice combine by exclusive or: nested contours are holes, whatever their sense of rotation. One that is
there twice counts once, wherever it begins and whichever way it runs.
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
OFF_PLANE_MM = 0.1
"""A contour this near to a plane lies in it; writers that round to a tenth of a millimetre pass."""
EDGE_SHARE = 0.02
"""Of a region's pixels, so many may lie on the other side of a contour that runs along its own: writers round."""
COUNTED_DIGITS = 6
"""Decimals of an index up to which places are one: far more than a file says, fewer than arithmetic leaves alike."""


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
    empty = crossed = 0
    for z, candidates in by_slice.items():
        own = _of_one_plane(candidates)
        left_out["between the slices, where nearer ones are"] += len(candidates) - len(own)
        once = _once(own)
        left_out["each is there already"] += len(own) - len(once)
        filled = [fill([one.points], array.shape[1:]) for one in once]
        array[z] = np.logical_xor.reduce(filled)
        empty += not array[z].any()
        crossed += _cross(filled)
    findings = [
        Finding("contour-left-out", "warning", f"{count} contours of {roi.name!r} left out: {reason}")
        for reason, count in left_out.items()
        if count
    ]
    if empty:
        sentence = (
            f"{empty} slices with contours of {roi.name!r} stay empty: they enclose no pixel's centre, or take each "
            "other away"
        )
        findings.append(Finding("empty-slices", "warning", sentence))
    if crossed:
        sentence = (
            f"Contours of {roi.name!r} cross each other in {crossed} slices: what lies within two of them counts as "
            "outside"
        )
        findings.append(Finding("crossing-contours", "warning", sentence))
    return Volume(array, geometry), (*findings, *gap_findings(roi, by_slice))


def outline(points: np.ndarray) -> frozenset[frozenset[bytes]]:
    """The edges of a closed contour (n, 2 or 3): the same wherever it begins and whichever way it runs."""
    names = [point.tobytes() for point in points + 0.0]  # + 0.0: minus nought is nought
    return frozenset(frozenset(edge) for edge in zip(names, names[1:] + names[:1], strict=True) if edge[0] != edge[1])


def _of_one_plane(candidates: Sequence[Placed]) -> list[Placed]:
    """The contours in the slice's plane; where contours are denser than slices, else, those of the nearest plane."""
    nearest = min((one.off_plane_mm for one in candidates), key=abs)
    return [one for one in candidates if min(abs(one.off_plane_mm), abs(one.off_plane_mm - nearest)) <= OFF_PLANE_MM]


def _once(own: Sequence[Placed]) -> Sequence[Placed]:
    """The contours of a slice without copies: by exclusive or, each would take another away."""
    if len(own) == 1:
        return own
    return list({outline(one.points.round(COUNTED_DIGITS)): one for one in own}.values())


def _cross(filled: Sequence[np.ndarray]) -> bool:
    """Whether two of a slice's regions (y, x) overlap without one lying in the other."""
    if len(filled) < 2:
        return False
    innermost = np.zeros(filled[0].shape, np.uint16)
    for number, region in enumerate(sorted(filled, key=np.count_nonzero, reverse=True), start=1):
        # Of the larger regions, each holds all of this one or nothing of it, unless two cross.
        around = innermost[region]
        if around.size and np.bincount(around).max() < (1 - EDGE_SHARE) * around.size:
            return True
        innermost[region] = number
    return False


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
