"""A volume: voxels and where they lie, in one value."""

from dataclasses import dataclass

import numpy as np

from .geometry import Geometry


@dataclass(frozen=True)
class Volume:
    """`array` is (z, y, x) on `geometry`. CT arrays hold HU (int16 or float32), masks uint8, probabilities float32."""

    array: np.ndarray
    geometry: Geometry

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.shape:
            raise ValueError(f"array {self.array.shape} does not fit the grid {self.geometry.shape}")
