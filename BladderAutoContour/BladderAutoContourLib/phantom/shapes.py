"""Implicit shapes: signed distances in millimetres, negative inside, evaluated on canonical coordinates.

Canonical coordinates (x left, y posterior, z superior, mm) have their origin midway between the femoral heads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

Point = tuple[float, float, float]
Coordinates = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def as_point(values: Sequence[float] | np.ndarray) -> Point:
    """Three numbers as plain ones: a case compares, prints and hashes the same wherever it was drawn."""
    return tuple(float(value) for value in values)


class Shape(Protocol):
    """Anything that can be painted: a box that surely holds it, and its signed distance."""

    def bounds(self) -> tuple[Point, Point]:
        """Lower and upper canonical corner, mm."""
        ...

    def distance(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Signed distance in mm, first-order exact near the surface."""
        ...


def rotation_matrix(degrees: Point) -> list[list[float]]:
    """Rows of the rotation about x, then y, then z."""
    a, b, c = (math.radians(angle) for angle in degrees)
    ca, sa, cb, sb, cc, sc = math.cos(a), math.sin(a), math.cos(b), math.sin(b), math.cos(c), math.sin(c)
    return [
        [cb * cc, sa * sb * cc - ca * sc, ca * sb * cc + sa * sc],
        [cb * sc, sa * sb * sc + ca * cc, ca * sb * sc - sa * cc],
        [-sb, sa * cb, ca * cb],
    ]


@dataclass(frozen=True)
class Ellipsoid:
    """`exponent` 2 is the ellipsoid; larger ones go towards the box (superquadric)."""

    centre: Point
    radii: Point
    tilt_degrees: Point = (0.0, 0.0, 0.0)
    exponent: float = 2.0

    def bounds(self) -> tuple[Point, Point]:
        reach = max(self.radii) * (1.0 if self.exponent <= 2 else 1.4) if any(self.tilt_degrees) else None
        sides = [reach or radius for radius in self.radii]
        return (
            tuple(c - s for c, s in zip(self.centre, sides, strict=True)),
            tuple(c + s for c, s in zip(self.centre, sides, strict=True)),
        )

    def local(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> Coordinates:
        """Coordinates about the centre, along the shape's own axes, mm."""
        x, y, z = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        if not any(self.tilt_degrees):
            return x, y, z
        rows = rotation_matrix(self.tilt_degrees)
        return tuple(rows[0][k] * x + rows[1][k] * y + rows[2][k] * z for k in range(3))

    def distance(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        u, v, w = self.local(x, y, z)
        a, b, c = self.radii
        if self.exponent == 2.0:
            squares = (u / a) ** 2 + (v / b) ** 2 + (w / c) ** 2
            gradient = (u / a**2) ** 2 + (v / b**2) ** 2 + (w / c**2) ** 2
            norm = squares.sqrt()
            return norm * (norm - 1) / gradient.sqrt().clamp(min=1e-6)
        p = self.exponent
        norm = ((u / a).abs() ** p + (v / b).abs() ** p + (w / c).abs() ** p) ** (1 / p)
        return (norm - 1) * min(self.radii)


@dataclass(frozen=True)
class Tube:
    """A chain of capsules with a radius at every joint: vessels, gut, long bones."""

    points: tuple[Point, ...]
    radii: tuple[float, ...]

    def bounds(self) -> tuple[Point, Point]:
        pairs = list(zip(self.points, self.radii, strict=True))
        return (
            tuple(min(point[k] - radius for point, radius in pairs) for k in range(3)),
            tuple(max(point[k] + radius for point, radius in pairs) for k in range(3)),
        )

    def distance(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        best = None
        for a, b, ra, rb in zip(self.points[:-1], self.points[1:], self.radii[:-1], self.radii[1:], strict=True):
            one = _capsule(x, y, z, a, b, ra, rb)
            best = one if best is None else torch.minimum(best, one)
        return best


def _capsule(
    x: torch.Tensor, y: torch.Tensor, z: torch.Tensor, a: Point, b: Point, ra: float, rb: float
) -> torch.Tensor:
    way = [q - p for p, q in zip(a, b, strict=True)]
    length = max(sum(w * w for w in way), 1e-6)
    u, v, w = x - a[0], y - a[1], z - a[2]
    t = ((u * way[0] + v * way[1] + w * way[2]) / length).clamp(0, 1)
    gap = ((u - t * way[0]) ** 2 + (v - t * way[1]) ** 2 + (w - t * way[2]) ** 2).sqrt()
    return gap - (ra + t * (rb - ra))


@dataclass(frozen=True)
class Blade:
    """A curved plate that changes with z: in every axial plane a thick arc from `front` to `back` (iliac wing)."""

    bottom: tuple[Point, Point]  # front and back end at the lower z, which is the points' own
    top: tuple[Point, Point]
    half_thickness: float
    bulge: float  # mm that the arc's middle moves along +x * side
    side: float

    def bounds(self) -> tuple[Point, Point]:
        points = [*self.bottom, *self.top]
        reach = self.half_thickness + abs(self.bulge)
        return (
            tuple(min(p[k] for p in points) - reach for k in range(3)),
            tuple(max(p[k] for p in points) + reach for k in range(3)),
        )

    def distance(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        low, high = self.bottom[0][2], self.top[0][2]
        s = ((z - low) / (high - low)).clamp(0, 1)
        (fx, fy, _), (bx, by, _) = self.bottom
        (gx, gy, _), (cx, cy, _) = self.top
        ax, ay = fx + s * (gx - fx), fy + s * (gy - fy)
        wx, wy = bx + s * (cx - bx) - ax, by + s * (cy - by) - ay
        t = (((x - ax) * wx + (y - ay) * wy) / (wx**2 + wy**2)).clamp(0, 1)
        arc = 4 * self.bulge * self.side * t * (1 - t)
        in_plane = ((x - ax - t * wx - arc) ** 2 + (y - ay - t * wy) ** 2).sqrt() - self.half_thickness
        return torch.maximum(in_plane, torch.maximum(low - z, z - high))


@dataclass(frozen=True)
class Sleeve:
    """A body of half-ellipses stacked along z: half-width, reach to the front and to the back, by knots in z."""

    knots_z: tuple[float, ...]
    half_width: tuple[float, ...]
    front: tuple[float, ...]  # y of the front surface at x = 0
    back: tuple[float, ...]
    exponent: float = 2.4

    def bounds(self) -> tuple[Point, Point]:
        width = max(self.half_width)
        return (-width, min(self.front), self.knots_z[0]), (width, max(self.back), self.knots_z[-1])

    def distance(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        width, front, back = interpolate(z, self.knots_z, (self.half_width, self.front, self.back))
        middle = 0.5 * (front + back)
        depth = 0.5 * (back - front)
        p = self.exponent
        norm = ((x / width).abs() ** p + ((y - middle) / depth).abs() ** p) ** (1 / p)
        side = (norm - 1) * torch.minimum(width, depth)
        return torch.maximum(side, torch.maximum(self.knots_z[0] - z, z - self.knots_z[-1]))


def interpolate(
    z: torch.Tensor, knots: Sequence[float], columns: Sequence[Sequence[float]]
) -> tuple[torch.Tensor, ...]:
    """Piecewise linear functions of z through `knots`, one a column, constant beyond the ends."""
    # sums of ramps: several times faster than looking up each voxel's interval
    result = [torch.full_like(z, column[0]) for column in columns]
    for low, high, starts, ends in zip(
        knots[:-1],
        knots[1:],
        zip(*(c[:-1] for c in columns), strict=True),
        zip(*(c[1:] for c in columns), strict=True),
        strict=True,
    ):
        ramp = (z - low).clamp_(0, high - low)
        for total, start, end in zip(result, starts, ends, strict=True):
            total.add_(ramp, alpha=(end - start) / (high - low))
    return tuple(result)


@dataclass(frozen=True)
class Grown:
    """Another shape, grown on all sides."""

    shape: Shape
    by_mm: float

    def bounds(self) -> tuple[Point, Point]:
        low, high = self.shape.bounds()
        return as_point(np.array(low) - self.by_mm), as_point(np.array(high) + self.by_mm)

    def distance(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return self.shape.distance(x, y, z) - self.by_mm
