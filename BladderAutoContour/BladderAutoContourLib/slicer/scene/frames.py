"""Where the frames of a multi-frame CT file lie. Slicer's DICOM database does not tell what stands in sequences.

PS3.3 C.7.6.16 (functional groups). Slicer brings pydicom, which its other modules use too: `dicom.reading`, which sets
pydicom up for the engine's process, stays out of this one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from slicer.i18n import tr as _

from ...dicom.damage import DamagedDicomError, making_sense
from ...errors import InputError

SHARED, OWN = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
# Nothing of the patient is read: pydicom's warnings quote the values that they are about.
TAGS = ["Rows", "Columns", SHARED, OWN]
PLACE = (
    ("PlanePositionSequence", "ImagePositionPatient"),
    ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ("PixelMeasuresSequence", "PixelSpacing"),
)


@dataclass(frozen=True)
class Plane:
    """Position (LPS mm), orientation (row, then column), pixel spacing (mm; between rows, then columns), and size."""

    position: Sequence[float]
    orientation: Sequence[float]
    spacing: Sequence[float]
    rows: int
    columns: int

    @property
    def complete(self) -> bool:
        """Whether the header told all of it."""
        lengths = [len(part) for part in (self.position, self.orientation, self.spacing)]
        return lengths == [3, 6, 2] and min(self.rows, self.columns) > 0


def frame_planes(file: Path) -> list[Plane]:
    """The plane of each frame, in the file's order; none for a file without functional groups. Raises InputError."""
    try:
        with making_sense():
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=TAGS)
            shared = (header.get(SHARED) or [pydicom.Dataset()])[0]
            return [
                Plane(*(_numbers(own, shared, *place) for place in PLACE), int(header.Rows), int(header.Columns))
                for own in header.get(OWN) or ()
            ]
    except (DamagedDicomError, OSError) as fault:
        raise InputError(
            _("The DICOM file of this CT cannot be read. Import the series into the DICOM module again."), [file]
        ) from fault


def _numbers(own: pydicom.Dataset, shared: pydicom.Dataset, sequence: str, keyword: str) -> tuple[float, ...]:
    items = own.get(sequence) or shared.get(sequence) or [pydicom.Dataset()]
    return tuple(float(value) for value in items[0].get(keyword) or ())
