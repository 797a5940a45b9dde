"""How unsure the contour is, slice by slice: how far apart the 0.3 and the 0.7 isolines run."""

import math

import numpy as np

from ..imaging.components import bounding_box
from ..imaging.resample import resample_to
from ..imaging.volume import Volume

LOW, HIGH = 0.3, 0.7
FULL_DOUBT_MM = 8.0  # isolines this far apart: doubt 1
NEIGHBOURHOOD_MM = 20.0  # what lies farther from the contour is another structure
_EDGES_TO_LENGTH = math.pi / 4  # voxel edges around a disc are longer than its circle by 4/pi


def isoline_distances_mm(probability: Volume, mask: Volume) -> tuple[int, tuple[float, ...]]:
    """First slice of the mask, and for every slice of it the mean distance between the isolines, in mm.

    The distance is the area where the probability (on any grid) is between LOW and HIGH, over the contour's length.
    """
    box = bounding_box(mask.array)
    if box is None:
        return 0, ()
    x_mm, y_mm, _ = mask.geometry.spacing_mm
    rows = _widened(box[1], NEIGHBOURHOOD_MM / y_mm, mask.array.shape[1])
    columns = _widened(box[2], NEIGHBOURHOOD_MM / x_mm, mask.array.shape[2])
    inside = mask.array[box[0], rows, columns] > 0
    around = mask.geometry.region((columns.start, rows.start, box[0].start), inside.shape[::-1])
    values = resample_to(probability, around, fill=0.0).array
    band_mm2 = ((values > LOW) & (values < HIGH)).sum(axis=(1, 2)) * x_mm * y_mm
    lengths_mm = [_contour_length_mm(layer, x_mm, y_mm) for layer in inside]
    return box[0].start, tuple(float(area / length) for area, length in zip(band_mm2, lengths_mm, strict=True))


def doubts(distances_mm: tuple[float, ...]) -> tuple[float, ...]:
    """One number in [0, 1] a slice: 0 where the isolines meet, 1 where they are FULL_DOUBT_MM apart or more."""
    return tuple(min(distance / FULL_DOUBT_MM, 1.0) for distance in distances_mm)


def _contour_length_mm(inside: np.ndarray, x_mm: float, y_mm: float) -> float:
    padded = np.pad(inside, 1)
    upright = np.count_nonzero(padded[:, 1:] != padded[:, :-1]) * y_mm
    level = np.count_nonzero(padded[1:] != padded[:-1]) * x_mm
    return (upright + level) * _EDGES_TO_LENGTH


def _widened(part: slice, voxels: float, size: int) -> slice:
    return slice(max(part.start - round(voxels), 0), min(part.stop + round(voxels), size))
