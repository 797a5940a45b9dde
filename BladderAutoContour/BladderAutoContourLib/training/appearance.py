"""How the same anatomy may look elsewhere: other slices, another tissue contrast, shading, noise.

The generator draws what a patient and a scanner are made of; this widens what it may have left out, for the price of a
few milliseconds. Every change keeps air and water apart and the order of any two HU.
"""

from collections.abc import Callable

import numpy as np
import torch

KNOTS_HU = (-1100.0, -400.0, -160.0, -80.0, -20.0, 40.0, 100.0, 300.0, 3100.0)
SOFT = slice(1, 7)  # the segments between knots whose contrast varies: fat, water, flesh, blood
SLOPES = (0.75, 1.3)  # a segment's HU range is stretched by this much, about water at 0 HU
SHADING_HU = 5.0  # standard deviation of what scatter and hard beams add, slowly varying
SHADING_NODES = (4, 5, 5)  # (z, y, x)
THICK_VOXELS = (1.0, 2.2)  # how many of the crop's planes one slice of the scanner is thick
BODY_HU = -300.0


def vary(hu: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """HU (Z, Y, X) as another scanner and another patient's tissues might show it; the tensor given stays as it is."""
    changes: tuple[tuple[float, Callable[[torch.Tensor, np.random.Generator], torch.Tensor]], ...] = (
        (0.5, recoloured),
        (0.5, shaded),
        (0.4, in_thick_slices),
    )
    for share, change in changes:
        if rng.random() < share:
            hu = change(hu, rng)
    return hu


def recoloured(hu: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Soft tissues closer to each other or farther apart: a rising curve of HU, straight between KNOTS_HU."""
    knots = np.array(KNOTS_HU)
    steps = np.diff(knots)
    steps[SOFT] *= rng.uniform(*SLOPES, size=len(steps[SOFT]))
    values = np.concatenate(([knots[0]], knots[0] + np.cumsum(steps)))
    values -= np.interp(0.0, knots, values)  # water stays where it was
    return torch.from_numpy(np.interp(hu.numpy(), knots, values).astype(np.float32))


def shaded(hu: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A little brighter here and darker there within the body."""
    nodes = rng.normal(0, SHADING_HU, size=SHADING_NODES).astype(np.float32)
    field = torch.nn.functional.interpolate(
        torch.from_numpy(nodes)[None, None], size=hu.shape, mode="trilinear", align_corners=True
    )[0, 0]
    return torch.where(hu > BODY_HU, hu + field, hu)


def noise(shape: torch.Size, rng: np.random.Generator) -> torch.Tensor:
    """Noise (Z, Y, X) of standard deviation 1 whose grain is a voxel to two, as of a smooth kernel, within slices."""
    values = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    side = float(rng.choice([0.0, rng.uniform(0.0, 0.3)]))  # share of each neighbour in the plane
    if side:
        middle = 1 - 2 * side
        for axis in (1, 2):
            values = middle * values + side * (values.roll(1, axis) + values.roll(-1, axis))
        values /= middle**2 + 2 * side**2
    return values


def in_thick_slices(hu: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Averaged into slices thicker than the crop's planes, and interpolated between them, as the pipeline would."""
    planes = max(2, round(hu.shape[0] / rng.uniform(*THICK_VOXELS)))
    slices = torch.nn.functional.interpolate(hu[None, None], size=(planes, *hu.shape[1:]), mode="area")
    return torch.nn.functional.interpolate(slices, size=hu.shape, mode="trilinear", align_corners=False)[0, 0]
