"""A CT under a Gaussian, slice by slice."""

import numpy as np
import SimpleITK as sitk

from .geometry import Triple

LEAST_PIXELS = 4
"""What SimpleITK's recursive Gaussian needs along its direction."""


def smoothed(hu: np.ndarray, spacing_mm: Triple, sigma_mm: float) -> np.ndarray:
    """The CT (z, y, x) under a Gaussian of `sigma_mm` in its axial planes; spacing_mm: (x, y, z)."""
    rows, columns = hu.shape[1:]
    lacking = [(0, 0), *((0, max(LEAST_PIXELS - n, 0)) for n in (rows, columns))]
    # the outermost pixels repeated: as the filter itself takes what lies beyond an image
    image = sitk.GetImageFromArray(np.pad(hu.astype(np.float32, copy=False), lacking, mode="edge"))
    image.SetSpacing(spacing_mm)
    for direction in (0, 1):
        image = sitk.RecursiveGaussian(image, sigma_mm, direction=direction)
    return sitk.GetArrayFromImage(image)[:, :rows, :columns]
