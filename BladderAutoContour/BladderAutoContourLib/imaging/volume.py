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


def sparse_copy(array: np.ndarray, dtype: np.dtype | type | None = None) -> np.ndarray:
    """A copy of an array (z, y, x), as another type if need be.

    Slices of nothing but zeros, most of a mask, take no memory until somebody writes there: where forty million voxels
    are first touched, the operating system takes longer than the copying does.
    """
    copied = np.zeros(array.shape, dtype=dtype or array.dtype)
    for layer, source in zip(copied, array, strict=True):
        if source.any():
            layer[...] = source
    return copied
