"""Curves with holes as single closed polygons: each hole joined to its outer curve by a bridge of no width.

This is the only encoding of a hole that no reader of structure sets tried fills or drops (PS3.3 C.8.8.6.3, keyhole
technique). Built on what `contours.trace` returns: points (x, y), pixel centres at whole numbers, outer curves of
positive and holes of negative area.
"""

import numpy as np

from .contours import signed_area

BRIDGE_SHARE = 0.37
"""Where along the hole's extreme segment the bridge begins. Any odd share does: bridges then keep off pixel centres and
off the half-pixel positions of a mask's curve."""


def polygons(curves: list[np.ndarray]) -> list[np.ndarray]:
    """One polygon (n, 2) for each outer curve, its holes joined to it. Together with even-odd filling: the region."""
    outers = sorted((curve for curve in curves if signed_area(curve) > 0), key=signed_area)
    holes = [curve for curve in curves if signed_area(curve) < 0]
    held: list[list[np.ndarray]] = [[] for _ in outers]
    for hole in holes:
        # Outers ascend by area, so that the first around the hole is the one whose region it cuts out.
        owner = next(number for number, outer in enumerate(outers) if contains(outer, hole[0]))
        held[owner].append(hole)
    return [_without_repeats(_join(outer, inner)) for outer, inner in zip(outers, held, strict=True)]


def contains(polygon: np.ndarray, point: np.ndarray) -> bool:
    """Whether a point lies inside by the even-odd rule."""
    return bool((_hits(polygon, float(point[1]))[1] > point[0]).sum() % 2)


def _hits(polygon: np.ndarray, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Edges (numbers of their first points) that cross the row y, and at which x."""
    following = np.roll(polygon, -1, axis=0)
    edges = np.flatnonzero((polygon[:, 1] <= y) != (following[:, 1] <= y))
    (x1, y1), (x2, y2) = polygon[edges].T, following[edges].T
    return edges, x1 + (y - y1) * (x2 - x1) / (y2 - y1)


def _join(outer: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """Cut bridges to the right from each hole, rightmost hole first: whatever a bridge meets is then joined already."""
    polygon = outer
    for hole in sorted(holes, key=lambda one: -one[:, 0].max()):
        start, ring = _opened(hole)
        edges, x = _hits(polygon, float(start[1]))
        beyond = x > start[0]
        nearest = int(np.argmin(np.where(beyond, x, np.inf)))
        end = np.array([x[nearest], start[1]])
        cut = int(edges[nearest]) + 1
        polygon = np.vstack([polygon[:cut], end, start, ring, start, end, polygon[cut:]])
    return polygon


def _opened(hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A point on the hole from which the way to the right is free of the hole itself, and the hole's points from there.

    The point lies on the segment from the rightmost point to that of its neighbours which is further down: whatever
    else of the hole lay to the right of it would have to reach beyond the rightmost point.
    """
    peak = int(hole[:, 0].argmax())
    before, after = (peak - 1) % len(hole), (peak + 1) % len(hole)
    down = after if hole[after, 1] > hole[before, 1] else before
    start = hole[peak] + BRIDGE_SHARE * (hole[down] - hole[peak])
    # From the start on through all points, ending where the start lies again.
    ring = np.roll(hole, -after if down == after else -peak, axis=0)
    return start, ring


def _without_repeats(polygon: np.ndarray) -> np.ndarray:
    return polygon[(polygon != np.roll(polygon, 1, axis=0)).any(axis=1)]
