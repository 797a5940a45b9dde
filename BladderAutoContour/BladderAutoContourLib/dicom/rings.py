"""The outer and inner rings of a slice's contours, keyholes opened: what a person means by its contours."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .keyhole import contains


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
    everything = np.vstack(parts)
    centred = everything - everything.mean(axis=0)
    normal = np.linalg.eigh(centred.T @ centred)[1][:, 0]
    kept = [axis for axis in range(3) if axis != int(np.abs(normal).argmax())]
    flat = [part[:, kept] for part in parts]
    return [
        Ring(
            part, sum(contains(flat[other], flat[number][0]) for other in range(len(parts)) if other != number) % 2 == 1
        )
        for number, part in enumerate(parts)
    ]


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
