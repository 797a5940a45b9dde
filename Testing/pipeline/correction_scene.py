"""A water-filled ellipsoid in fat with a loop of bowel on it, and predictions of it that are wrong."""

from dataclasses import dataclass

import numpy as np
from BladderAutoContourLib.imaging.geometry import IDENTITY, Geometry, Matrix, Triple
from BladderAutoContourLib.imaging.volume import Volume

SIZE = (48, 48, 34)
RADII_MM = np.array([36.0, 30.0, 38.0])
BOWEL_CENTRE_MM = np.array([40.0, 0.0, 8.0])
BOWEL_RADII_MM = np.array([18.0, 14.0, 18.0])


@dataclass(frozen=True)
class Scene:
    """A CT; boolean arrays (z, y, x): the bladder, and the loop of bowel beside it."""

    ct: Volume
    bladder: np.ndarray
    bowel: np.ndarray

    def volume(self, array: np.ndarray) -> Volume:
        """An array on the CT's grid: booleans as uint8, all else as float32."""
        return Volume(array.astype(np.uint8 if array.dtype == bool else np.float32), self.ct.geometry)

    def probability(self, predicted: np.ndarray) -> Volume:
        """What a network that is sure of `predicted` says."""
        return self.volume(np.where(predicted, 0.95, 0.02))


def scene(spacing_mm: Triple = (3.0, 3.0, 4.0), direction: Matrix = IDENTITY, noise_hu: float = 8.0) -> Scene:
    """The scene in voxels of `spacing_mm` along the index axes, whatever way these point in the patient."""
    size = tuple(round(n * usual / own) for n, usual, own in zip(SIZE, (3.0, 3.0, 4.0), spacing_mm, strict=True))
    geometry = Geometry(size, spacing_mm, (11.0, -7.0, 5.0), direction)
    z, y, x = np.indices(geometry.shape)
    places_mm = np.stack([x - size[0] / 2, y - size[1] / 2, z - size[2] / 2], axis=-1) * spacing_mm
    bladder = ((places_mm / RADII_MM) ** 2).sum(axis=-1) <= 1
    bowel = ((((places_mm - BOWEL_CENTRE_MM) / BOWEL_RADII_MM) ** 2).sum(axis=-1) <= 1) & ~bladder
    hu = np.where(bladder, 8.0, np.where(bowel, 45.0, -95.0))
    hu += np.random.default_rng(3).normal(0, noise_hu, hu.shape)
    return Scene(Volume(np.rint(hu).astype(np.int16), geometry), bladder, bowel)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """The overlap of two boolean arrays."""
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())
