"""What no learning reaches: the largest connected part of water's density inside the body."""

import numpy as np
from BladderAutoContourLib.imaging.volume import Volume
from scipy import ndimage

WATER_HU = (0.0, 25.0)
BODY_HU = -300.0
SMOOTHING_MM = 2.0
SMALLEST_ML = 8.0  # as the engine's own rule


def water_component(ct: Volume) -> np.ndarray:
    """Boolean (z, y, x): the largest face-connected part at WATER_HU of the smoothed CT; empty below SMALLEST_ML."""
    sigma = [SMOOTHING_MM / step for step in ct.geometry.spacing_mm[::-1]]
    smooth = ndimage.gaussian_filter(ct.array.astype(np.float32), sigma)
    water = (smooth >= WATER_HU[0]) & (smooth <= WATER_HU[1]) & _body(smooth)
    part = _largest(water)
    return part if part.sum() * ct.geometry.voxel_ml >= SMALLEST_ML else np.zeros_like(part)


def _body(smooth: np.ndarray) -> np.ndarray:
    """The largest part denser than air, slice by slice without holes."""
    body = _largest(smooth > BODY_HU)
    return np.stack([ndimage.binary_fill_holes(plane) for plane in body])


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    return labels == np.bincount(labels.ravel())[1:].argmax() + 1
