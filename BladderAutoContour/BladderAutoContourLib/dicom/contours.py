"""Closed curves around a region, traced at 0.5 between pixel centres (marching squares), slice by slice.

A field is a mask or a probability. A pixel belongs to the region where it is at least 0.5; outside the image is 0.
Every curve passes between pixel centres, so that a reader who asks for each pixel centre whether it lies inside gets
the region back exactly. The curves of a mask (whole numbers) enclose just as much area as it has pixels, so that a
reader who sums up polygons gets its volume too. Points are (x, y) indices; an outer curve has a positive signed area,
a hole's edge a negative.
"""

import numpy as np

LEVEL = 0.5
NEAREST = 0.05
"""A curve keeps this share of a pixel away from every pixel centre, also where the field is exactly 0.5 there: a point
on a centre would leave it to the reader's rounding whether the pixel is inside."""

# Per cell: corners that are inside (1 top left, 2 top right, 4 bottom right, 8 bottom left) -> directed segments
# between its edges, the inside on the right hand as one walks, y pointing down. Cells 5 and 10 are ambiguous.
_TOP, _RIGHT, _BOTTOM, _LEFT = range(4)
_CELLS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((_TOP, _LEFT),),
    2: ((_RIGHT, _TOP),),
    3: ((_RIGHT, _LEFT),),
    4: ((_BOTTOM, _RIGHT),),
    6: ((_BOTTOM, _TOP),),
    7: ((_BOTTOM, _LEFT),),
    8: ((_LEFT, _BOTTOM),),
    9: ((_TOP, _BOTTOM),),
    11: ((_RIGHT, _BOTTOM),),
    12: ((_LEFT, _RIGHT),),
    13: ((_TOP, _RIGHT),),
    14: ((_LEFT, _TOP),),
}
_SADDLES_APART = {5: ((_TOP, _LEFT), (_BOTTOM, _RIGHT)), 10: ((_RIGHT, _TOP), (_LEFT, _BOTTOM))}
_SADDLES_JOINED = {5: ((_TOP, _RIGHT), (_BOTTOM, _LEFT)), 10: ((_LEFT, _TOP), (_RIGHT, _BOTTOM))}


def trace(field: np.ndarray) -> list[np.ndarray]:
    """Curves around the region of a (y, x) field, each (n, 2) in (x, y), the first point not repeated.

    Ambiguous cells (two regions touching at a corner) are joined where the mean of the four values exceeds 0.5.
    """
    field = np.asarray(field)
    inside = field >= LEVEL
    is_mask = field.dtype.kind in "biu"
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if rows.size == 0:
        return []
    # A frame of one pixel around the region: the curves close within it.
    top, left = int(rows[0]) - 1, int(columns[0]) - 1
    values = np.zeros((int(rows[-1]) - top + 2, int(columns[-1]) - left + 2))
    y0, x0 = max(top, 0), max(left, 0)
    # A mask's label may be any number.
    part = (inside if is_mask else field)[y0 : top + values.shape[0], x0 : left + values.shape[1]]
    values[y0 - top : y0 - top + part.shape[0], x0 - left : x0 - left + part.shape[1]] = part
    starts, ends = _segments(values)
    starts, following = _order(starts, ends)
    points = _crossings(values, starts)
    chains = _chains(following)
    curves = [points[chain] for chain in chains]
    if is_mask:
        outward = _outward(values, starts)
        curves = [_whole(curve, outward[chain]) for curve, chain in zip(curves, chains, strict=True)]
    corner = np.array([left, top])
    return [curve + corner for curve in curves]


def signed_area(curve: np.ndarray) -> float:
    """Area within a closed curve (n, 2) by the shoelace formula: positive for outer curves, negative for holes."""
    x, y = curve[:, 0] - curve[0, 0], curve[:, 1] - curve[0, 1]
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def _segments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and end edge of every segment. Edge ids: y * width + x to the right of a pixel, + size below it."""
    inside = values >= LEVEL
    width = values.shape[1]
    codes = inside[:-1, :-1] + 2 * inside[:-1, 1:] + 4 * inside[1:, 1:] + 8 * inside[1:, :-1]
    # Few cells lie on the boundary: they alone are looked at any further.
    y, x = np.nonzero((codes > 0) & (codes < 15))
    code, cell = codes[y, x], y * width + x
    joined = (values[y, x] + values[y, x + 1] + values[y + 1, x + 1] + values[y + 1, x]) / 4 > LEVEL
    edge_of_side = np.array([0, values.size + 1, width, values.size])
    starts, ends = [], []
    for table, allowed in ((_CELLS, True), (_SADDLES_APART, ~joined), (_SADDLES_JOINED, joined)):
        for number, segments in table.items():
            own = cell[(code == number) & allowed]
            for start, end in segments:
                starts.append(own + edge_of_side[start])
                ends.append(own + edge_of_side[end])
    return np.concatenate(starts), np.concatenate(ends)


def _crossings(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(n, 2) points in (x, y) at which the field crosses the level on the edges, by linear interpolation."""
    width = values.shape[1]
    below = edges >= values.size
    y, x = np.divmod(np.where(below, edges - values.size, edges), width)
    here = values[y, x]
    there = values[y + below, x + ~below]
    share = np.clip((LEVEL - here) / (there - here), NEAREST, 1 - NEAREST)
    return np.column_stack([x + share * ~below, y + share * below])


def _order(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The starts in ascending order, and for each the number of the one that follows it on its curve.

    Every crossed edge begins exactly one segment and ends exactly one.
    """
    order = np.argsort(starts)
    starts, ends = starts[order], ends[order]
    return starts, np.searchsorted(starts, ends).tolist()


def _chains(following: list[int]) -> list[list[int]]:
    """Numbers of the points of each closed curve, in order."""
    left = [True] * len(following)
    chains = []
    for first in range(len(following)):
        chain = []
        at = first
        while left[at]:
            left[at] = False
            chain.append(at)
            at = following[at]
        if chain:
            chains.append(chain)
    return chains


def _outward(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(n, 2) unit vectors along the crossed edges, from the pixel inside to the pixel outside."""
    below = edges >= values.size
    y, x = np.divmod(np.where(below, edges - values.size, edges), values.shape[1])
    sense = np.where(values[y, x] >= LEVEL, 1.0, -1.0)
    return np.column_stack([sense * ~below, sense * below])


def _whole(curve: np.ndarray, outward: np.ndarray) -> np.ndarray:
    """A mask's curve moved along its edges until it encloses as much area as pixels.

    Halfway between the centres it cuts off every corner, half a pixel in all: much of a structure of few pixels.
    """
    area = signed_area(curve)
    missing = float(np.copysign(0.5, area))
    # The area is area + first * step + second * step^2 where all points move by `step`.
    second = signed_area(outward)
    first = signed_area(curve + outward) - area - second
    step = 2 * missing / (first + np.sqrt(first**2 + 4 * second * missing))
    return curve + step * outward
