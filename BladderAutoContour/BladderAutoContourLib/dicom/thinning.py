"""Fewer points on a closed curve, its area kept: for planning systems that slow down on dense contours.

Visvalingam and Whyatt, Line generalisation by repeated elimination of points, Cartographic Journal 30 (1993) 46-51,
with two bounds: on the triangle that a removed point spans with its neighbours, and on the area changed in all.
"""

import heapq

import numpy as np

from .contours import signed_area

LARGEST_TRIANGLE = 0.12
"""Pixels^2. The corner of a mask's staircase spans 0.125 and stays; what lies nearly on a line goes."""
AREA_SHARE = 5e-4
"""Change of the enclosed area, at most: half of the 0.1 % that a whole structure may change."""
FEWEST_POINTS = 8


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
        alive[number] = False
        change += current[number]
        left -= 1
        one, other = before[number], after[number]
        after[one], before[other] = other, one
        for neighbour in (one, other):
            current[neighbour] = triangle(neighbour)
            heapq.heappush(queue, (abs(current[neighbour]), neighbour))
    return curve[alive]
