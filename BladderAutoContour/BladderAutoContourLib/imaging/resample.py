"""From one grid to another: box averages where the target is coarser, then linear interpolation, in any orientation.

Only the part of the source that the target covers is touched, so a crop of a large CT costs what the crop costs.
"""

import numpy as np
import SimpleITK as sitk

from .files import to_sitk
from .geometry import Geometry, coverage
from .volume import Volume

_WORTH_THREADS = 500_000  # voxels; below, waking ITK's threads costs more than they save
LEAST_SHARE = 1e-3
"""Of the known voxels around a point; with less they say nothing of it."""
_ROUNDING = 1e-3  # a ratio of 1.9999 is meant as 2


def resample_to(volume: Volume, geometry: Geometry, *, fill: float, antialias: bool = True) -> Volume:
    """`volume` on the grid `geometry`, float32; `fill` where the volume does not reach.

    antialias: first average boxes of whole source voxels, as many along each source axis as fit into one target step.
    """
    box = _region_below(volume.geometry, geometry, margin=2)
    if box is None:
        return Volume(np.full(geometry.shape, fill, dtype=np.float32), geometry)
    factors = averaging_factors(volume.geometry, geometry) if antialias else (1, 1, 1)
    start = tuple(first // factor * factor for first, factor in zip(box[0], factors, strict=True))
    stop = box[1]
    part = volume.array[start[2] : stop[2], start[1] : stop[1], start[0] : stop[0]]
    grid = volume.geometry.region(start, tuple(b - a for a, b in zip(start, stop, strict=True)))
    source = Volume(part, grid)
    if max(factors) > 1:
        source = _averaged(source, factors)
    array = sitk.GetArrayFromImage(_interpolated(source, geometry, fill))
    array[~coverage(volume.geometry, geometry)] = fill
    return Volume(array, geometry)


def resample_known(volume: Volume, known: np.ndarray, geometry: Geometry, *, fill: float) -> Volume:
    """As `resample_to`, from the voxels that are `known` (boolean (z, y, x)) alone; `fill` where none is near."""
    if known.all():
        return resample_to(volume, geometry, fill=fill)
    values = resample_to(Volume(volume.array * known, volume.geometry), geometry, fill=0.0).array
    shares = resample_to(Volume(known.astype(np.float32), volume.geometry), geometry, fill=0.0).array
    array = np.full(geometry.shape, fill, dtype=np.float32)
    np.divide(values, shares, out=array, where=shares > LEAST_SHARE)
    return Volume(array, geometry)


def averaging_factors(source: Geometry, target: Geometry) -> tuple[int, int, int]:
    """How many source voxels along (x, y, z) fit into one step of the target grid, at least 1."""
    steps = np.linalg.inv(source.matrix[:3, :3]) @ target.matrix[:3, :3]
    # the target axis that runs most along a source axis decides; an oblique one is shortened by its angle
    ratios = np.abs(steps).max(axis=1)
    return tuple(max(int(ratio + _ROUNDING), 1) for ratio in ratios)


def _region_below(
    source: Geometry, target: Geometry, margin: int
) -> tuple[tuple[int, int, int], tuple[int, int, int]] | None:
    """First and one-past-last source index (x, y, z) that the target's box needs; None where they do not meet."""
    corners = source.to_index(target.corners_mm())
    reach = margin + np.asarray(averaging_factors(source, target))
    start = np.maximum(np.floor(corners.min(axis=0)) - reach, 0).astype(int)
    stop = np.minimum(np.ceil(corners.max(axis=0)) + reach + 1, source.size).astype(int)
    if np.any(stop <= start):
        return None
    return tuple(start.tolist()), tuple(stop.tolist())


def box_means(values: np.ndarray, factors: tuple[int, int, int]) -> np.ndarray:
    """Means of boxes of `factors` (x, y, z) voxels of `values` (z, y, x), float32.

    The last box of an axis repeats the outermost voxels.
    """
    fx, fy, fz = factors
    size = values.shape[::-1]
    boxes = tuple(-(-n // factor) for n, factor in zip(size, factors, strict=True))
    pad_x, pad_y = boxes[0] * fx - size[0], boxes[1] * fy - size[1]
    sums_in = np.int32 if np.issubdtype(values.dtype, np.integer) else np.float32
    result = np.empty((boxes[2], boxes[1], boxes[0]), dtype=np.float32)
    for slab in range(boxes[2]):
        layers = values[slab * fz : (slab + 1) * fz]
        plane = layers.sum(axis=0, dtype=sums_in)
        if len(layers) < fz:
            plane += (fz - len(layers)) * layers[-1].astype(sums_in)
        if pad_x or pad_y:
            plane = np.pad(plane, ((0, pad_y), (0, pad_x)), mode="edge")
        rows = plane.reshape(boxes[1], fy, -1).sum(axis=1)
        result[slab] = rows.reshape(boxes[1], boxes[0], fx).sum(axis=2)
        result[slab] /= fz * fy * fx
    return result


def _averaged(volume: Volume, factors: tuple[int, int, int]) -> Volume:
    means = box_means(volume.array, factors)
    # the centre of the first box lies between its first and its last voxel
    origin = volume.geometry.to_patient((np.asarray(factors) - 1) / 2)
    spacing = np.asarray(volume.geometry.spacing_mm) * factors
    grid = Geometry(means.shape[::-1], tuple(map(float, spacing)), tuple(map(float, origin)), volume.geometry.direction)
    return Volume(means, grid)


def _interpolated(source: Volume, geometry: Geometry, fill: float) -> sitk.Image:
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(geometry.size)
    resampler.SetOutputSpacing(geometry.spacing_mm)
    resampler.SetOutputOrigin(geometry.origin_mm)
    resampler.SetOutputDirection(np.asarray(geometry.direction).ravel().tolist())
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetDefaultPixelValue(float(fill))
    resampler.SetOutputPixelType(sitk.sitkFloat32)
    if np.prod(geometry.size) < _WORTH_THREADS:
        resampler.SetNumberOfWorkUnits(1)
    return resampler.Execute(to_sitk(source))
