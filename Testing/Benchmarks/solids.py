"""Shapes of known size on any grid: the share of every pixel that lies inside, in the plane of its slice."""

from collections.abc import Callable

import numpy as np
import torch
from BladderAutoContourLib.imaging.geometry import Geometry, Matrix, Triple
from BladderAutoContourLib.phantom.case import draw_case
from BladderAutoContourLib.phantom.render import bladder_centre_mm, render

SUBPIXELS = 5
MARGIN_PIXELS = 4
GENERATED_SEED = 4
CENTRE_MM = (-13.7, 41.2, -803.3)
"""Off the origin and off any pixel centre."""

Inside = Callable[[np.ndarray], np.ndarray]
"""Whether points (..., 3), LPS mm from the shape's centre, lie inside."""


def ball(radius_mm: float) -> Inside:
    """A sphere."""
    return lambda points: (points**2).sum(axis=-1) <= radius_mm**2


def ellipsoid(points: np.ndarray) -> np.ndarray:
    """Half axes of 45, 35 and 30 mm."""
    return ((points / (45.0, 35.0, 30.0)) ** 2).sum(axis=-1) <= 1


def shell(points: np.ndarray) -> np.ndarray:
    """A sphere of 30 mm with a hollow of 14 mm."""
    return ball(30.0)(points) & ~ball(14.0)(points)


def branching(points: np.ndarray) -> np.ndarray:
    """A trunk that parts into three branches: one island in the lower slices, up to three in the upper ones."""
    root = np.array([0.0, 0.0, 0.0])
    limbs = [((0, 0, -28), 9.0), ((22, 6, 28), 7.0), ((-20, 10, 26), 6.0), ((2, -22, 24), 5.0)]
    inside = np.zeros(points.shape[:-1], bool)
    for end, radius in limbs:
        axis = np.array(end, float) - root
        along = np.clip((points - root) @ axis / (axis @ axis), 0, 1)
        inside |= ((points - root - along[..., None] * axis) ** 2).sum(axis=-1) <= radius**2
    return inside


SOLIDS: dict[str, tuple[Inside, float]] = {
    "sphere r25": (ball(25.0), 25.0),
    "ellipsoid 45/35/30": (ellipsoid, 45.0),
    "shell 30/14": (shell, 30.0),
    "sphere r8": (ball(8.0), 8.0),
    "branching": (branching, 37.0),
}
"""Each with the radius of a ball that holds it, in mm."""
GENERATED = "generated bladder"
SHAPES = (*SOLIDS, GENERATED)


def shares(shape: str, spacing_mm: Triple, direction: Matrix) -> tuple[np.ndarray, Geometry]:
    """The share (z, y, x) of each pixel inside a shape, on a grid just large enough, at this spacing and direction."""
    if shape == GENERATED:
        case = draw_case(GENERATED_SEED, stratum="large")
        geometry = _grid(70.0, spacing_mm, direction, bladder_centre_mm(case))
        with torch.no_grad():
            return render(case, geometry).bladder.numpy(), geometry
    inside, reach_mm = SOLIDS[shape]
    geometry = _grid(reach_mm, spacing_mm, direction, np.array(CENTRE_MM))
    z, y, x = np.indices(geometry.shape)
    total = np.zeros(geometry.shape, np.float32)
    steps = (np.arange(SUBPIXELS) + 0.5) / SUBPIXELS - 0.5
    for dy in steps:
        for dx in steps:
            total += inside(geometry.to_patient(np.stack([x + dx, y + dy, z], axis=-1)) - CENTRE_MM)
    return total / SUBPIXELS**2, geometry


def _grid(reach_mm: float, spacing_mm: Triple, direction: Matrix, centre_mm: np.ndarray) -> Geometry:
    size = tuple(int(np.ceil(2 * reach_mm / step)) + 2 * MARGIN_PIXELS for step in spacing_mm)
    # A third of a voxel aside: no symmetry between the shape and the grid.
    half = (np.array(size) - 1) / 2 + 1 / 3
    origin = centre_mm - np.asarray(direction) @ (half * spacing_mm)
    return Geometry(size, spacing_mm, tuple(map(float, origin)), direction)
