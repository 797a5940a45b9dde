"""The DICOM files of a volume, by what Slicer's DICOM database knows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
from slicer.i18n import tr as _

from ...errors import InputError
from .frames import Plane, frame_planes
from .voxels import grid_of

POSITION, ORIENTATION, PIXEL_SPACING = "0020,0032", "0020,0037", "0028,0030"
ROWS, COLUMNS = "0028,0010", "0028,0011"
SAME_PLACE_MM = 0.5
"""A volume whose corners lie nearer than this to those of its files was not moved, cropped or resampled."""
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class DicomSeries:
    """The files of a CT series: a slice each, in the order of the volume's slices, or one of all its frames."""

    files: tuple[Path, ...]
    series_uid: str


def instance_uids(volume_node: slicer.vtkMRMLVolumeNode) -> list[str]:
    """The DICOM images that a volume was loaded from, in the order of its slices; none for other volumes."""
    return (volume_node.GetAttribute("DICOM.instanceUIDs") or "").split()


def series_of(volume_node: slicer.vtkMRMLVolumeNode) -> DicomSeries | None:
    """The series that the volume was loaded from; None where Slicer's database does not know it.

    Raises InputError where the database knows it and files are missing on the disk.
    """
    database = getattr(slicer, "dicomDatabase", None)
    uids = instance_uids(volume_node)
    if not uids or not database or not database.isOpen:
        return None
    names = [database.fileForInstance(uid) for uid in uids]
    if not all(names):
        return None
    files = tuple(Path(name) for name in names)
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise InputError(
            _(
                "{missing} of the {total} DICOM files of this CT are no longer where Slicer's DICOM database has "
                "them. Import the series into the DICOM module again."
            ).format(missing=len(missing), total=len(files)),
            missing,
        )
    return DicomSeries(files, database.seriesForFile(names[0]))


def lies_where_its_files_say(volume_node: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether the volume still has the slices of its files where they were taken: not moved, cropped or resampled.

    Raises InputError where a multi-frame file cannot be read.
    """
    uids, grid = instance_uids(volume_node), grid_of(volume_node)
    columns, rows, slices = grid.size
    if len(uids) == 1:
        planes, shown = frame_planes(Path(slicer.dicomDatabase.fileForInstance(uids[0]))), list(range(slices))
    elif len(uids) == slices:
        planes, shown = [_plane(uids[0]), _plane(uids[-1])], [0, slices - 1]
    else:
        return False
    if len(planes) != len(shown) or not all(plane.complete for plane in planes):
        return False
    there = np.array([_corners(plane) for plane in planes])
    indices = [(x, y, z, 1) for z in shown for y in (0, rows - 1) for x in (0, columns - 1)]
    here = (np.array(indices) @ grid.ijk_to_ras.T)[:, :3].reshape(there.shape)
    # Slicer's reader turns frames around that run against its slices.
    orders = (there, there[::-1]) if len(uids) == 1 else (there,)
    return min(np.abs(here - order).max() for order in orders) < SAME_PLACE_MM


def _plane(uid: str) -> Plane:
    place = [_numbers(uid, tag) for tag in (POSITION, ORIENTATION, PIXEL_SPACING)]
    return Plane(*place, *(int(*(_numbers(uid, tag) or [0])) for tag in (ROWS, COLUMNS)))


def _corners(plane: Plane) -> np.ndarray:
    """The corners of an image in RAS (4, 3), columns running fastest."""
    row_step, column_step = plane.spacing
    along_row = np.multiply(plane.orientation[:3], column_step * (plane.columns - 1))
    along_column = np.multiply(plane.orientation[3:], row_step * (plane.rows - 1))
    return np.array([plane.position + y * along_column + x * along_row for y in (0, 1) for x in (0, 1)]) * LPS_TO_RAS


def _numbers(uid: str, tag: str) -> list[float]:
    text = slicer.dicomDatabase.instanceValue(uid, tag)
    return [float(part) for part in text.split("\\")] if text else []
