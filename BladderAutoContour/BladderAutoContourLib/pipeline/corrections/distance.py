"""Signed distances within planes: below zero inside the outline, zero halfway between two voxels."""

import numpy as np

from ...imaging.distance import signed_distance_mm

FARTHEST_MM = 60.0  # the distance of an outline that is not there
_APART_MM = 1e5  # between planes, so that none sees another


def in_plane_mm(mask: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Signed distance (float32) of every voxel from the outline in its own plane of axis 0.

    mask: boolean (planes, rows, columns); spacing_mm: (row, column). At most FARTHEST_MM, which a plane without any
    outline has everywhere.
    """
    half = 0.25 * sum(spacing_mm)  # half a pixel: the outline runs between the voxels, not through them
    away = _distance_mm(mask, spacing_mm)
    deep = _distance_mm(~mask, spacing_mm)
    return np.where(mask, half - deep, away - half).clip(-FARTHEST_MM, FARTHEST_MM).astype(np.float32)


def _distance_mm(mask: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Distance of the voxels outside the mask from its nearest voxel in the same plane."""
    if not mask.any():
        return np.full(mask.shape, 2 * FARTHEST_MM, dtype=np.float32)
    return np.minimum(signed_distance_mm(mask, (spacing_mm[1], spacing_mm[0], _APART_MM)), 2 * FARTHEST_MM)
