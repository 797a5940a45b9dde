"""Augmentation: the same anatomy as it may look elsewhere, by slices, tissue contrast, shading and noise.

The generator draws what a patient and a scanner are made of; this widens what it may have left out, for the price of a
few milliseconds. Curve and calibration keep the order of any two HU, shading and noise that of tissues on average, and
slices mix neighbours as a scanner does.
"""

from collections.abc import Callable

import numpy as np
import torch

from ..networks.channels import BODY_HU

KNOTS_HU = (-1100.0, -400.0, -160.0, -80.0, -20.0, 40.0, 100.0, 300.0, 3100.0)
SOFT = slice(1, 7)  # the segments between knots whose contrast varies: fat, water, flesh, blood
SLOPES = (0.75, 1.3)  # a segment's HU range is stretched by this much, about water at 0 HU
SHADING_HU = 5.0  # standard deviation of what scatter and hard beams add, slowly varying
SHADING_NODES = (4, 5, 5)  # (z, y, x)
SLICE_VOXELS = (1.0, 2.5)  # how many of the crop's planes one slice of the scanner stands for
MOST_NOISE_HU = 22.0  # standard deviation


def vary(hu: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """HU (Z, Y, X) as another scanner and another patient's tissues might show it; the tensor given stays as it is.

    The noise comes before the slices: what is interpolated between two of them has the noise of both.
    """
    changes: tuple[tuple[float, Callable[[torch.Tensor, np.random.Generator], torch.Tensor]], ...] = (
        (0.5, recoloured),
        (0.5, shaded),
        (1.0, calibrated),
        (0.5, noisy),
        (0.5, in_slices),
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


def shaded(hu: torch.Tensor, rng: np.random.Generator, strength_hu: float = SHADING_HU) -> torch.Tensor:
    """A little brighter here and darker there within the body."""
    nodes = rng.normal(0, strength_hu, size=SHADING_NODES).astype(np.float32)
    field = torch.nn.functional.interpolate(
        torch.from_numpy(nodes)[None, None], size=hu.shape, mode="trilinear", align_corners=True
    )[0, 0]
    return torch.where(hu > BODY_HU, hu + field, hu)


def calibrated(hu: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Stretched about 0 HU and shifted, as scanners differ."""
    return hu * rng.uniform(0.97, 1.03) + rng.normal(0, 12)


def noisy(hu: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """With noise beside the scanner's own."""
    return hu + noise(hu.shape, rng) * rng.uniform(0, MOST_NOISE_HU)


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


def in_slices(hu: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """In slices farther apart than the crop's planes, as thick as that or thin, interpolated as the pipeline does."""
    planes = max(2, round(hu.shape[0] / rng.uniform(*SLICE_VOXELS)))
    thickness = str(rng.choice(["area", "nearest-exact"]))
    slices = torch.nn.functional.interpolate(hu[None, None], size=(planes, *hu.shape[1:]), mode=thickness)
    return torch.nn.functional.interpolate(slices, size=hu.shape, mode="trilinear", align_corners=False)[0, 0]
