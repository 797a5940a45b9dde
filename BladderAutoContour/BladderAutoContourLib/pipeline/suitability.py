"""Whether a volume can be a CT of a pelvis at all; HU in place of what stands for none. Before a network sees it."""

import numpy as np
import SimpleITK as sitk

from ..dicom.pixels import LOWEST_HU, OUTSIDE_HU, PADDING_BELOW_HU
from ..dicom.stack import MINIMUM_SLICES
from ..errors import InputError
from ..imaging.components import bounding_box
from ..imaging.volume import Volume
from ..networks.channels import BODY_HU

LARGEST_EXTENT_MM = 3000.0  # nobody is taller, and a spacing that is wrong by ten would fill the memory
HIGHEST_HU = 3071  # the end of the usual scale of 12 bits, which the networks were trained with
PADDED_FACE = 0.1
"""More of a face of what is no air never has one value unless that stands for none: tissue has its noise."""
FAT_HU, MUSCLE_HU = -102, 52
PEAK_HU = 25  # either side of where fat and muscle lie
MOST_OFF_HU = 160  # what is farther off finds no bladder, and is told by that
LEAST_OFF_HU = 50
"""Of 450 generated scans whose scanners are off by 18 HU at most, none seems to be off by more than 35."""
CLEARLY_OFF = 0.6
"""How much of fat and muscle is found where they should lie at most, of what is found where they seem to lie."""
MINIMUM_EXTENT_MM = 40.0  # a bladder of 20 mL is about 34 mm wide


def check_suitable(volume: Volume) -> None:
    """Raise InputError where the volume is too small or too large, or its values are not Hounsfield units."""
    size, spacing = volume.geometry.size, volume.geometry.spacing_mm
    extent_mm = [n * step for n, step in zip(size, spacing, strict=True)]
    if min(size) < MINIMUM_SLICES or min(extent_mm) < MINIMUM_EXTENT_MM:
        raise InputError(
            f"This CT has {size[0]} x {size[1]} x {size[2]} voxels over "
            f"{extent_mm[0]:.0f} x {extent_mm[1]:.0f} x {extent_mm[2]:.0f} mm: too little to show a whole bladder. "
            "Choose a series that covers the pelvis (a localiser or a single slice is not enough)."
        )
    if max(extent_mm) > LARGEST_EXTENT_MM:
        raise InputError(
            f"This CT would be {max(extent_mm) / 1000:.1f} m long: its spacing of {spacing[0]:g} x {spacing[1]:g} x "
            f"{spacing[2]:g} mm cannot be right. Export it again."
        )
    sample = volume.array[:: max(size[2] // 64, 1), ::2, ::2]
    sample = sample[sample > PADDING_BELOW_HU]  # what stands for no value at all says nothing of the others
    low, high = (float(sample.min()), float(sample.max())) if sample.size else (0.0, 0.0)
    if low > -50 or high < 50:
        raise InputError(
            f"The values of this volume run from {low:.0f} to {high:.0f}: they are not the Hounsfield units of a CT "
            "(air about -1000, fat about -100, bone above 200). Choose the CT itself, in Hounsfield units."
        )


def off_by_hu(volume: Volume) -> int:
    """By how many HU all values seem to be too high (too low: below 0), as in many a cone beam CT; 0 where they do not.

    Fat and muscle are two peaks 154 HU apart: the scale is shifted by as much as the two are together.
    """
    hu = volume.array[:: max(len(volume.array) // 48, 1)]
    step = max(hu.shape[2] // 128, 1)
    rows, columns = hu.shape[1] // step, hu.shape[2] // step
    blocks = hu[:, : rows * step, : columns * step].reshape(len(hu), rows, step, columns, step)
    mean = blocks.mean(axis=(2, 4), dtype=np.float32)  # of several voxels: less noise
    reach = MOST_OFF_HU + PEAK_HU
    low = FAT_HU - reach
    counts, _edges = np.histogram(mean, bins=np.arange(low, MUSCLE_HU + reach + 1))
    below = np.concatenate(([0], counts.cumsum()))
    shifts = np.arange(-MOST_OFF_HU, MOST_OFF_HU + 1, 5)
    fat, muscle = (
        (below[at + shifts - low + PEAK_HU] - below[at + shifts - low - PEAK_HU]).astype(float)
        for at in (FAT_HU, MUSCLE_HU)
    )
    found = np.sqrt(fat * muscle)
    shift = round(float(shifts[found >= 0.97 * found.max()].mean()))
    is_off = abs(shift) >= LEAST_OFF_HU and found[shifts == 0][0] < CLEARLY_OFF * found.max()
    return shift if is_off else 0


def within_scale(volume: Volume) -> Volume:
    """The same volume within LOWEST_HU and HIGHEST_HU; the volume itself where nothing lies beyond."""
    hu = in_scale(volume.array)
    return volume if hu is volume.array else Volume(hu, volume.geometry)


def in_scale(hu: np.ndarray) -> np.ndarray:
    """HU within LOWEST_HU and HIGHEST_HU; the array itself where nothing lies beyond.

    Metal on an extended scale of CT numbers would shine, in a mean, far beyond where it is.
    """
    kind = hu.dtype.type  # a limit that the type does not hold is never passed
    if hu.min() < LOWEST_HU:
        hu = np.maximum(hu, kind(LOWEST_HU))
    if hu.max() > HIGHEST_HU:
        hu = np.minimum(hu, kind(HIGHEST_HU))
    return hu


def without_padding(volume: Volume) -> Volume:
    """The same volume with OUTSIDE_HU where one value stands for none; the volume itself where none does.

    Resampling to another grid leaves 0 HU at the edge, cutting out the body leaves it all around, and some scanners'
    padding outside their round field comes out of a converter as 3071: water or bone, to a network.
    """
    box = bounding_box((volume.array > BODY_HU).view(np.uint8))
    padding = None if box is None else _padding(volume.array[box])
    if padding is None:
        return volume
    hu = volume.array.copy()
    same = (hu[box] == padding).view(np.uint8)
    edge = same.copy()
    edge[1:-1, 1:-1, 1:-1] = 0
    reached = sitk.BinaryReconstructionByDilation(sitk.GetImageFromArray(edge), sitk.GetImageFromArray(same), 0, 1)
    hu[box][sitk.GetArrayViewFromImage(reached) > 0] = OUTSIDE_HU
    return Volume(hu, volume.geometry)


def _padding(hu: np.ndarray) -> np.generic | None:
    """The value at a corner (above BODY_HU) that fills much of a face of (z, y, x); None where none does."""
    faces = [np.moveaxis(hu, axis, 0)[end] for axis in range(3) for end in (0, -1)]
    for value in np.unique(hu[:: max(len(hu) - 1, 1), :: max(hu.shape[1] - 1, 1), :: max(hu.shape[2] - 1, 1)]):
        if value > BODY_HU and max(np.count_nonzero(face == value) / face.size for face in faces) > PADDED_FACE:
            return value
    return None
