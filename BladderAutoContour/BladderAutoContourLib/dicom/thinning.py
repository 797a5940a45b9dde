"""Fewer points on a closed curve, its area kept: for planning systems that slow down on dense contours.

Visvalingam and Whyatt, Line generalisation by repeated elimination of points, Cartographic Journal 30 (1993) 46-51,
with two bounds: on the triangle that a removed point spans with its neighbours, and on the area changed in all. No
pixel centre changes sides: a reader who asks each whether it lies inside gets the same region from the thinned curve.
"""

import heapq
from math import ceil, floor, sqrt

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
    points: list[Point] = curve.tolist()
    before = [count - 1, *range(count - 1)]
    after = [*range(1, count), 0]
    back, ahead = curve - np.roll(curve, 1, axis=0), np.roll(curve, -1, axis=0) - curve
    current = ((back[:, 0] * ahead[:, 1] - ahead[:, 0] * back[:, 1]) / 2).tolist()

    def triangle(number: int) -> float:
        (ax, ay), (bx, by), (cx, cy) = points[before[number]], points[number], points[after[number]]
        return ((bx - ax) * (cy - by) - (cx - bx) * (by - ay)) / 2

    budget = AREA_SHARE * abs(signed_area(curve))
    alive = [True] * count
    # A point whose triangle is too large comes in when one of its neighbours has gone and left it a smaller one.
    queue = [(abs(area), number) for number, area in enumerate(current) if abs(area) <= LARGEST_TRIANGLE]
    heapq.heapify(queue)
    left, change = count, 0.0
    while queue and left > FEWEST_POINTS:
        size, number = heapq.heappop(queue)
        area = current[number]
        if not alive[number] or size != abs(area) or abs(change + area) > budget:
            continue
        one, other = before[number], after[number]
        if meets_a_centre(points[one], points[number], points[other]):
            continue
        alive[number] = False
        change += area
        left -= 1
        after[one], before[other] = other, one
        for neighbour in (one, other):
            current[neighbour] = triangle(neighbour)
            if (size := abs(current[neighbour])) <= LARGEST_TRIANGLE:
                heapq.heappush(queue, (size, neighbour))
    return curve[alive]


def meets_a_centre(a: Point, b: Point, c: Point) -> bool:
    """Whether a pixel centre (whole numbers) lies in the triangle a, b, c or within CLEARANCE of the edge a to c.

    Said of a spike too, whose tip b lies ahead of both a and c along their edge: it stays.
    """
    (ax, ay), (bx, by), (cx, cy) = a, b, c
    if abs(cx - ax) > abs(cy - ay):
        # In rows across the edge there is little to look at.
        ax, ay, bx, by, cx, cy = ay, ax, by, bx, cy, cx
    left, right = _whole_numbers(ax, bx, cx)
    top, bottom = _whole_numbers(ay, by, cy)
    if left > right or top > bottom:
        return False
    if ay > cy:
        ax, ay, cx, cy = cx, cy, ax, ay
    if ay == cy or not ay <= by <= cy:
        return True
    slope = (cx - ax) / (cy - ay)
    clear = CLEARANCE * sqrt(1 + slope * slope)
    tip = bx - ax - slope * (by - ay)
    for y in range(top, bottom + 1):
        edge = ax + slope * (y - ay)
        # How far the triangle reaches from the edge in this row: furthest at its tip, and not beyond the edge's ends.
        reach = 0.0
        if ay <= y < by:
            reach = tip * (y - ay) / (by - ay)
        elif by <= y <= cy:
            reach = tip * (cy - y) / (cy - by) if y > by else tip
        if reach < 0:
            near, far = edge + reach - clear, edge + clear
        else:
            near, far = edge - clear, edge + reach + clear
        if ceil(near) <= far:
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
