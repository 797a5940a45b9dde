"""Elastic warps of a crop: cubic B-splines, in the plane as in the paper, or in space."""

from dataclasses import dataclass

import numpy as np
import torch

from ..imaging.geometry import Triple


@dataclass(frozen=True)
class Mesh:
    """A uniform B-spline: intervals of its mesh along (x, y, z), and how far a coefficient reaches.

    0 intervals along z: a shift in the plane, the same for every slice.
    """

    intervals: tuple[int, int, int]
    reach_mm: float


PAPER = Mesh((2, 2, 0), 15.0)
"""Xu et al. 2018: 2 x 2 intervals, coefficients uniform within 15 mm."""
INTERVALS_IN_SPACE = (2, 5)
REACH_IN_SPACE_MM = (12.0, 24.0)


def draw_mesh(rng: np.random.Generator) -> Mesh:
    """A warp in space: it bends an organ of 50 to 100 mm, and moves what lies beside it, by 2 to 5 mm mostly."""
    low, high = INTERVALS_IN_SPACE
    return Mesh(tuple(int(n) for n in rng.integers(low, high + 1, size=3)), float(rng.uniform(*REACH_IN_SPACE_MM)))


def warp(
    hu: torch.Tensor, label: torch.Tensor, spacing_mm: Triple, mesh: Mesh, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """HU and label (Z, Y, X), moved by one random spline; beyond the crop its border goes on."""
    shape = hu.shape
    components = [axis for axis, count in enumerate(mesh.intervals) if count]
    controls = [count + 3 if count else 1 for count in mesh.intervals]
    coefficients = rng.uniform(-mesh.reach_mm, mesh.reach_mm, size=(*reversed(controls), len(components)))
    along_z, along_y, along_x = (basis(n, count) for n, count in zip(shape, reversed(mesh.intervals), strict=True))
    shift_mm = np.einsum("xc,abcd->abxd", along_x, coefficients)
    shift_mm = np.einsum("yb,abxd->ayxd", along_y, shift_mm)
    shift_mm = np.einsum("za,ayxd->zyxd", along_z, shift_mm)
    # grid_sample counts in halves of the image, from the outer edge of its first voxel
    places = [(torch.arange(n, dtype=torch.float32) + 0.5) * 2 / n - 1 for n in shape]
    grid = torch.stack(torch.meshgrid(*places, indexing="ij")[::-1], dim=-1)
    for component, axis in enumerate(components):
        half_mm = shape[2 - axis] * spacing_mm[axis] / 2
        grid[..., axis] += torch.from_numpy((shift_mm[..., component] / half_mm).astype(np.float32))
    moved = torch.nn.functional.grid_sample(
        torch.stack((hu, label))[None], grid[None], padding_mode="border", align_corners=False
    )[0]
    return moved[0], moved[1]


def basis(voxels: int, intervals: int) -> np.ndarray:
    """Weights (voxels, intervals + 3) of the uniform cubic B-spline's coefficients along one axis.

    Without intervals one coefficient holds everywhere: (voxels, 1).
    """
    if not intervals:
        return np.ones((voxels, 1))
    place = (np.arange(voxels) + 0.5) / voxels * intervals
    interval = np.minimum(place.astype(int), intervals - 1)
    t = place - interval
    pieces = np.stack(((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3), axis=1) / 6
    weights = np.zeros((voxels, intervals + 3))
    np.put_along_axis(weights, interval[:, None] + np.arange(4), pieces, axis=1)
    return weights
