"""One patient stored in many ways: turned acquisitions, another file format, oblique, cropped, on other grids.

The anatomy keeps its place in patient coordinates. Everything here is resampled by SimpleITK, not by our own code.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.imaging.files import from_sitk, read_volume, to_sitk
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume

OBLIQUE_DEGREES = 12.0
OBLIQUE_AXIS = (1.0, 0.5, 0.3)
CROP_MARGIN_MM = 40.0
AIR_HU = -1000
Storage = Callable[[Volume, Volume, Path], Volume]
"""Stores a CT (whose bladder is the mask) below a folder; the CT as our reader gives it back."""


def flipped(ct: Volume, axes: str) -> Volume:
    """The same voxels at the same places, the named index axes ("x", "y", "z") running the other way."""
    array, geometry = ct.array, ct.geometry
    direction = np.array(geometry.direction)
    corner = [0, 0, 0]
    for axis in ("xyz".index(name) for name in axes):
        array = np.flip(array, 2 - axis)
        direction[:, axis] *= -1
        corner[axis] = geometry.size[axis] - 1
    grid = Geometry(
        geometry.size,
        geometry.spacing_mm,
        tuple(map(float, geometry.to_patient(corner))),
        tuple(tuple(map(float, row)) for row in direction),
    )
    return Volume(np.ascontiguousarray(array), grid)


def oblique_grid(geometry: Geometry) -> Geometry:
    """The grid turned about its centre, and enlarged to hold what it held."""
    turn = sitk.VersorTransform(OBLIQUE_AXIS, np.radians(OBLIQUE_DEGREES))
    direction = np.array(turn.GetMatrix()).reshape(3, 3)
    reach_mm = np.abs((geometry.corners_mm() - geometry.centre_mm) @ direction).max(axis=0)
    size = np.ceil(2 * reach_mm / geometry.spacing_mm).astype(int)
    rows = tuple(tuple(map(float, row)) for row in direction)
    plain = Geometry(tuple(size.tolist()), geometry.spacing_mm, (0.0, 0.0, 0.0), rows)
    return replace(plain, origin_mm=tuple(map(float, geometry.centre_mm - plain.centre_mm)))


def respaced_grid(geometry: Geometry, spacing_mm: tuple[float, float, float]) -> Geometry:
    """A grid over the same box with other spacing; both boxes share their first outer corner."""
    size = np.maximum(np.rint(np.array(geometry.size) * geometry.spacing_mm / spacing_mm), 1).astype(int)
    first = geometry.to_patient((np.array(spacing_mm) / geometry.spacing_mm - 1) / 2)
    return Geometry(tuple(size.tolist()), spacing_mm, tuple(map(float, first)), geometry.direction)


def on_grid(volume: Volume, geometry: Geometry, fill: float) -> Volume:
    """The volume interpolated linearly on another grid, float32."""
    target = sitk.Image(geometry.size, sitk.sitkFloat32)
    target.SetSpacing(geometry.spacing_mm)
    target.SetOrigin(geometry.origin_mm)
    target.SetDirection(np.array(geometry.direction).ravel().tolist())
    image = sitk.Cast(to_sitk(volume), sitk.sitkFloat32)
    return from_sitk(sitk.Resample(image, target, sitk.Transform(), sitk.sitkLinear, float(fill)))


def mask_on_grid(mask: Volume, geometry: Geometry) -> Volume:
    """A mask carried to another grid."""
    return Volume((on_grid(mask, geometry, 0).array >= 0.5).astype(np.uint8), geometry)


def around(ct: Volume, mask: Volume) -> Volume:
    """The part of the CT that lies within CROP_MARGIN_MM of the bladder's box."""
    index = np.argwhere(mask.array > 0)[:, ::-1]
    margin = np.ceil(CROP_MARGIN_MM / np.array(ct.geometry.spacing_mm)).astype(int)
    low = np.maximum(index.min(axis=0) - margin, 0)
    high = np.minimum(index.max(axis=0) + margin + 1, ct.geometry.size)
    part = ct.array[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    return Volume(part.copy(), ct.geometry.region(tuple(low.tolist()), tuple((high - low).tolist())))


def _dicom(ct: Volume, folder: Path, position: str = "HFS") -> Volume:
    write_ct_series(ct, folder, patient_position=position)
    return read_ct([folder]).volume


def _nifti(ct: Volume, folder: Path) -> Volume:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ct.nii.gz"
    sitk.WriteImage(to_sitk(ct), str(path))
    return read_volume(path)


def _resampled(ct: Volume, geometry: Geometry) -> Volume:
    return Volume(np.rint(on_grid(ct, geometry, AIR_HU).array).astype(np.int16), geometry)


STORAGES: dict[str, Storage] = {
    "head first": lambda ct, mask, folder: _dicom(ct, folder),
    "feet first": lambda ct, mask, folder: _dicom(flipped(ct, "xz"), folder, "FFS"),
    "prone": lambda ct, mask, folder: _dicom(flipped(ct, "xy"), folder, "HFP"),
    "RAS NIfTI": lambda ct, mask, folder: _nifti(flipped(ct, "xy"), folder),
    "oblique by 12 degrees": lambda ct, mask, folder: _dicom(_resampled(ct, oblique_grid(ct.geometry)), folder),
    "cropped around": lambda ct, mask, folder: _dicom(around(ct, mask), folder),
    "0.8 x 0.8 x 2 mm": lambda ct, mask, folder: _dicom(
        _resampled(ct, respaced_grid(ct.geometry, (0.8, 0.8, 2.0))), folder
    ),
    "1.2 x 1.2 x 5 mm": lambda ct, mask, folder: _dicom(
        _resampled(ct, respaced_grid(ct.geometry, (1.2, 1.2, 5.0))), folder
    ),
}
"""The ways, by name. Image axes of the turned acquisitions are those that a scanner fixed to its gantry writes."""
