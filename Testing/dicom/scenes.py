"""Made-up CT series and shapes for the tests of the DICOM room: small, textured, of known geometry."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.imaging.geometry import IDENTITY, Geometry, Matrix
from BladderAutoContourLib.imaging.volume import Volume


def turned(x_degrees: float, y_degrees: float = 0.0, z_degrees: float = 0.0) -> Matrix:
    """Direction of a grid turned about the patient's axes, one after the other."""
    matrix = np.eye(3)
    for axis, degrees in enumerate((x_degrees, y_degrees, z_degrees)):
        one, other = [number for number in range(3) if number != axis]
        turn = np.eye(3)
        turn[one, one] = turn[other, other] = np.cos(np.radians(degrees))
        turn[one, other], turn[other, one] = -np.sin(np.radians(degrees)), np.sin(np.radians(degrees))
        matrix = turn @ matrix
    return tuple(map(tuple, matrix.tolist()))


AXIAL = IDENTITY
FEET_FIRST = ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
PRONE = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
CORONAL = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))
OBLIQUE = turned(12, -5, 7)
DIRECTIONS = {"axial": AXIAL, "feet-first": FEET_FIRST, "prone": PRONE, "coronal": CORONAL, "oblique": OBLIQUE}


def grid(
    size: tuple[int, int, int] = (64, 56, 20),
    spacing_mm: tuple[float, float, float] = (1.2, 1.1, 3.0),
    direction: Matrix = AXIAL,
    centre_mm: tuple[float, float, float] = (-13.7, 41.2, -803.3),
) -> Geometry:
    """A grid around `centre_mm`."""
    half = np.asarray(direction) @ (np.asarray(spacing_mm) * (np.asarray(size) - 1) / 2)
    return Geometry(size, spacing_mm, tuple(float(value) for value in np.asarray(centre_mm) - half), direction)


def texture(geometry: Geometry, seed: int = 0) -> Volume:
    """HU between -1000 and 1500 that differ from voxel to voxel: any exchange of slices or axes shows."""
    array = np.random.default_rng(seed).integers(-1000, 1500, geometry.shape).astype(np.int16)
    return Volume(array, geometry)


def offsets_mm(geometry: Geometry) -> np.ndarray:
    """(z, y, x, 3) LPS positions of the voxels relative to the grid's centre."""
    z, y, x = np.indices(geometry.shape)
    return geometry.to_patient(np.stack([x, y, z], axis=-1)) - geometry.centre_mm


def ellipsoid(geometry: Geometry, radii_mm: tuple[float, float, float]) -> np.ndarray:
    """Bool mask of an ellipsoid at the grid's centre, its axes along the patient's."""
    return ((offsets_mm(geometry) / radii_mm) ** 2).sum(axis=-1) <= 1


def shell(geometry: Geometry) -> np.ndarray:
    """A ball of 24 mm with a hollow of 11 mm in it and a kernel of 4 mm in that."""
    distance = np.linalg.norm(offsets_mm(geometry), axis=-1)
    return (distance <= 24) & ((distance > 11) | (distance <= 4))


def scattered(geometry: Geometry) -> np.ndarray:
    """Parts of one voxel, voxels that touch at corners, holes side by side, and the image's corner."""
    mask = np.zeros(geometry.shape, bool)
    mask[2:5, 10:30, 10:40] = True
    mask[2:5, 15, 12:38:3] = False
    mask[2:5, 20:26, 14:20] = False
    mask[3, 22:24, 16:18] = True
    mask[8, 30, 30] = mask[8, 31, 31] = mask[9, 40, 20] = True
    mask[8, 0:3, 0:3] = mask[9, -1, -1] = True
    return mask


SHAPES: dict[str, Callable[[Geometry], np.ndarray]] = {
    "ellipsoid": lambda geometry: ellipsoid(geometry, (24.0, 19.0, 22.0)),
    "shell": shell,
    "scattered": scattered,
    "small ball": lambda geometry: ellipsoid(geometry, (5.0, 5.0, 5.0)),
}


def mask_volume(mask: np.ndarray, geometry: Geometry) -> Volume:
    """A bool array as a mask."""
    return Volume(mask.astype(np.uint8), geometry)


def area_mm2(points_mm: np.ndarray) -> float:
    """Area within a closed contour (n, 3) in any plane."""
    centred = points_mm - points_mm.mean(axis=0)
    return float(np.linalg.norm(np.cross(centred, np.roll(centred, -1, axis=0)).sum(axis=0))) / 2


def edit(path: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    """Change a DICOM file in place."""
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)


def set_in(path: Path, **values: object) -> None:
    """Set attributes of a DICOM file; None removes one."""

    def change(dataset: pydicom.Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)

    edit(path, change)


def write_series(folder: Path, geometry: Geometry | None = None, **options: object) -> list[Path]:
    """A textured series; the files, in z order."""
    return write_ct_series(texture(geometry or grid()), folder, **options)
