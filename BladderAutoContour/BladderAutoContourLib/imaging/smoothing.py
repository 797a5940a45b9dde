"""A CT under a Gaussian, slice by slice."""

import numpy as np
import SimpleITK as sitk

from .geometry import Triple


def smoothed(hu: np.ndarray, spacing_mm: Triple, sigma_mm: float) -> np.ndarray:
    """The CT (z, y, x) under a Gaussian of `sigma_mm` in its axial planes; spacing_mm: (x, y, z)."""
    image = sitk.GetImageFromArray(hu.astype(np.float32, copy=False))
    image.SetSpacing(spacing_mm)
    for direction in (0, 1):
        image = sitk.RecursiveGaussian(image, sigma_mm, direction=direction)
    return sitk.GetArrayFromImage(image)
