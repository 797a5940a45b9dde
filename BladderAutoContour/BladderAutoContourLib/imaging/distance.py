"""How far voxels lie from a mask."""

import numpy as np
import SimpleITK as sitk


def signed_distance_mm(mask: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Distance (float32) of every voxel from the mask's nearest border voxel, below zero inside the mask.

    mask: boolean (z, y, x) or (y, x), not empty; spacing_mm: (x, y, z) or (x, y).
    """
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing_mm)
    return sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True))
