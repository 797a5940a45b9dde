"""The DICOM files of a volume, by what Slicer's DICOM database knows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
from slicer.i18n import tr as _

from ...errors import InputError
from .voxels import grid_of

POSITION, ORIENTATION, PIXEL_SPACING = "0020,0032", "0020,0037", "0028,0030"
ROWS, COLUMNS = "0028,0010", "0028,0011"
SAME_PLACE_MM = 0.5
"""A volume whose corners lie nearer than this to those of its files was not moved, cropped or resampled."""
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class DicomSeries:
    """The files of a CT series, a slice each, in the order of the volume's slices."""

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
    """Whether the volume still has the slices of its files where they were taken: not moved, cropped or resampled."""
    uids, grid = instance_uids(volume_node), grid_of(volume_node)
    if len(uids) != grid.size[2]:
        return False
    first, last = _corners(uids[0]), _corners(uids[-1])
    if first is None or last is None:
        return False
    columns, rows, slices = grid.size
    indices = [(x, y, z, 1) for z in (0, slices - 1) for y in (0, rows - 1) for x in (0, columns - 1)]
    here = np.array(indices) @ grid.ijk_to_ras.T
    return bool(np.abs(here[:, :3] - np.concatenate([first, last])).max() < SAME_PLACE_MM)


def _corners(uid: str) -> np.ndarray | None:
    """The corners of an image in RAS, columns running fastest; None where its header does not tell."""
    values = [_numbers(uid, tag) for tag in (POSITION, ORIENTATION, PIXEL_SPACING, ROWS, COLUMNS)]
    if [len(value) for value in values] != [3, 6, 2, 1, 1]:
        return None
    position, orientation, (row_step, column_step), (rows,), (columns,) = values
    along_row = orientation[:3] * column_step * (columns - 1)
    along_column = orientation[3:] * row_step * (rows - 1)
    return np.array([position + y * along_column + x * along_row for y in (0, 1) for x in (0, 1)]) * LPS_TO_RAS


def _numbers(uid: str, tag: str) -> np.ndarray:
    text = slicer.dicomDatabase.instanceValue(uid, tag)
    return np.array([float(part) for part in text.split("\\")] if text else [])
