"""A CT-like scene for the CRF: organs of different density in fat, given in mm, seen through any voxel grid."""

from dataclasses import dataclass

import numpy as np
import torch

NOISE_HU = 15.0


@dataclass(frozen=True)
class Scene:
    """`hu` (Z, Y, X) and rough logits (2, Z, Y, X) of the bladder, of one grid."""

    hu: torch.Tensor
    logits: torch.Tensor


def ct_like(
    seed: int,
    shape: tuple[int, int, int] = (32, 32, 32),
    spacing_mm: tuple[float, float, float] = (2.0, 2.0, 3.0),
    noise_hu: float = NOISE_HU,
) -> Scene:
    """A bladder (10 HU) with its wall, between muscle, bone and a gas-filled bowel; logits blurred, wavy and too small.

    Everything but the voxel noise depends on millimetres alone. `shape` is (z, y, x), `spacing_mm` (x, y, z).
    """
    random = np.random.default_rng(seed)
    z, y, x = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * d for n, d in zip(shape, spacing_mm[::-1], strict=True)), indexing="ij"
    )
    shift = random.uniform(-5.0, 5.0, 3)
    radii = random.uniform(14.0, 22.0, 3)

    def ellipsoid(centre: tuple[float, float, float], size: np.ndarray) -> np.ndarray:
        """Roughly the distance in mm to the surface, positive inside."""
        away = np.sqrt(sum(((a - c) / r) ** 2 for a, c, r in zip((x, y, z), centre, size, strict=True)))
        return (1.0 - away) * float(np.min(size))

    bladder = ellipsoid(tuple(shift), radii)
    hu = -100.0 + _waves(random, (x, y, z), 20.0, 12.0)
    for distance, density in (
        (ellipsoid((0.0, 24.0, 10.0), np.array([18.0, 9.0, 40.0])), 55.0),  # muscle behind, touching
        (ellipsoid((28.0, 0.0, -20.0), np.array([9.0, 16.0, 26.0])), 600.0),  # bone
        (ellipsoid((-22.0, 18.0, 12.0), np.array([9.0, 10.0, 12.0])), -850.0),  # gas
        (bladder, 38.0),
        (bladder - 3.0, 10.0),
    ):
        inside = 1.0 / (1.0 + np.exp(-np.clip(distance / 0.7, -30.0, 30.0)))
        hu = hu + inside * (density - hu)
    wrong = _waves(random, (x, y, z), 9.0, 5.0)
    margin = 2.5 * np.tanh((bladder + wrong) / 5.0)
    hu = hu + random.normal(0.0, noise_hu, hu.shape)
    margin = margin + random.normal(0.0, 1.0, hu.shape) * (noise_hu > 0.0)
    logits = np.stack((-margin / 2.0, margin / 2.0))
    return Scene(torch.from_numpy(hu).float(), torch.from_numpy(logits).float())


def _waves(
    random: np.random.Generator, places: tuple[np.ndarray, ...], length_mm: float, amplitude: float
) -> np.ndarray:
    """A smooth random field: a handful of plane waves, `amplitude` its standard deviation."""
    count = 8
    directions = random.normal(size=(count, 3))
    directions *= 2.0 * np.pi / length_mm / 2.0 / np.linalg.norm(directions, axis=1, keepdims=True)
    phases = random.uniform(0.0, 2.0 * np.pi, count)
    field = sum(
        np.sin(k[0] * places[0] + k[1] * places[1] + k[2] * places[2] + phase)
        for k, phase in zip(directions, phases, strict=True)
    )
    return amplitude * field * np.sqrt(2.0 / count)
