"""The outer and inner rings of a slice's contours, keyholes opened: what a person means by its contours."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .keyhole import contains
from .rasterise import OFF_PLANE_MM


@dataclass(frozen=True)
class Ring:
    """One closed ring of points (n, 3) in LPS millimetres, around the structure or around a hole in it."""

    points_mm: np.ndarray
    inner: bool


def rings(contours_mm: Sequence[np.ndarray]) -> list[Ring]:
    """Rings of the contours (n, 3) of one plane. A ring within an odd number of others is an inner one."""
    parts = [part for contour in contours_mm for part in open_keyhole(contour)]
    if not parts:
        return []
    # Seen along the axis on which the plane looks broadest, nesting is the same as in the plane itself.
    normal = normal_of([np.vstack(parts)])
    kept = [axis for axis in range(3) if axis != int(np.abs(normal).argmax())]
    flat = [part[:, kept] for part in parts]
    return [
        Ring(
            part, sum(contains(flat[other], flat[number][0]) for other in range(len(parts)) if other != number) % 2 == 1
        )
        for number, part in enumerate(parts)
    ]


def planes(contours_mm: Sequence[np.ndarray]) -> list[int]:
    """For each of a structure's contours (n, 3) the number of its plane, counted along their common normal."""
    if not contours_mm:
        return []
    normal = normal_of(contours_mm)
    heights = np.array([contour.mean(axis=0) @ normal for contour in contours_mm])
    order = np.argsort(heights)
    numbers = np.empty(len(heights), int)
    # By gaps and not by rounding, which may part two contours of one plane.
    numbers[order] = np.cumsum(np.diff(heights[order], prepend=heights[order[0]]) > OFF_PLANE_MM)
    return numbers.tolist()


def normal_of(contours_mm: Sequence[np.ndarray]) -> np.ndarray:
    """The unit normal of contours (n, 3) that lie in one plane, or each in one of several parallel planes."""
    centred = np.vstack([contour - contour.mean(axis=0) for contour in contours_mm])
    return np.linalg.eigh(centred.T @ centred)[1][:, 0]


def open_keyhole(contour_mm: np.ndarray) -> list[np.ndarray]:
    """The rings of one contour: edges that are run along in both directions (bridges) are taken out."""
    names = [point.tobytes() for point in contour_mm]
    edges = list(zip(names, names[1:] + names[:1], strict=True))
    count = Counter(edges)
    following: dict[bytes, list[bytes]] = defaultdict(list)
    for start, end in edges:
        if start != end and count[start, end] > count[end, start]:
            following[start].append(end)
    place = dict(zip(names, contour_mm, strict=True))
    parts = []
    for first in names:
        while following[first]:
            chain, at = [], first
            while following[at]:
                chain.append(place[at])
                at = following[at].pop(0)
            if len(chain) >= 3:
                parts.append(np.array(chain))
    return parts
