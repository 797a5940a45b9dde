"""Fewer points on a closed curve, its area kept: for planning systems that slow down on dense contours.

Visvalingam and Whyatt, Line generalisation by repeated elimination of points, Cartographic Journal 30 (1993) 46-51,
with two bounds: on the triangle that a removed point spans with its neighbours, and on the area changed in all. No
pixel centre changes sides: a reader who asks each whether it lies inside gets the same region from the thinned curve.
"""

import heapq
from math import ceil, floor, hypot

import numpy as np

from .contours import signed_area

LARGEST_TRIANGLE = 0.12
"""Pixels^2. The corner of a mask's staircase spans 0.125 and stays; what lies nearly on a line goes."""
AREA_SHARE = 5e-4
"""Change of the enclosed area, at most: half of the 0.1 % that a whole structure may change."""
FEWEST_POINTS = 8
CLEARANCE = 0.04
"""Pixels that a new edge keeps away from every pixel centre: less than the curve itself does (`contours.NEAREST`)."""

Point = tuple[float, float]


def thin(curve: np.ndarray) -> np.ndarray:
    """The curve (n, 2) in (x, y) pixels with points left out; their order is kept."""
    count = len(curve)
    points = curve.tolist()
    before = [(number - 1) % count for number in range(count)]
    after = [(number + 1) % count for number in range(count)]

    def triangle(number: int) -> float:
        (ax, ay), (bx, by), (cx, cy) = points[before[number]], points[number], points[after[number]]
        return ((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2

    budget = AREA_SHARE * abs(signed_area(curve))
    alive = [True] * count
    current = [triangle(number) for number in range(count)]
    queue = [(abs(area), number) for number, area in enumerate(current)]
    heapq.heapify(queue)
    left, change = count, 0.0
    while queue and left > FEWEST_POINTS:
        size, number = heapq.heappop(queue)
        if size > LARGEST_TRIANGLE:
            break
        if not alive[number] or size != abs(current[number]) or abs(change + current[number]) > budget:
            continue
        if meets_a_centre(points[before[number]], points[number], points[after[number]]):
            continue
        alive[number] = False
        change += current[number]
        left -= 1
        one, other = before[number], after[number]
        after[one], before[other] = other, one
        for neighbour in (one, other):
            current[neighbour] = triangle(neighbour)
            heapq.heappush(queue, (abs(current[neighbour]), neighbour))
    return curve[alive]


def meets_a_centre(a: Point, b: Point, c: Point) -> bool:
    """Whether a pixel centre (whole numbers) lies in the triangle a, b, c or within CLEARANCE of the edge a to c."""
    top, bottom = _whole_numbers(a[1], b[1], c[1])
    if top > bottom:
        return False
    left, right = _whole_numbers(a[0], b[0], c[0])
    dx, dy = c[0] - a[0], c[1] - a[1]
    length = hypot(dx, dy)
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            turns = [(q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) for p, q in ((a, b), (b, c), (c, a))]
            if min(turns) >= 0 or max(turns) <= 0:
                return True
            along = (x - a[0]) * dx + (y - a[1]) * dy
            if abs(turns[2]) <= CLEARANCE * length and 0 <= along <= length**2:
                return True
    return False


def _whole_numbers(a: float, b: float, c: float) -> tuple[int, int]:
    """The first and the last whole number between the least and the greatest of three, CLEARANCE beyond included."""
    # Called for every point of every contour: comparisons cost half of what min and max do.
    low, high = (a, b) if a < b else (b, a)
    if c < low:
        low = c
    elif c > high:
        high = c
    return ceil(low - CLEARANCE), floor(high + CLEARANCE)
