"""A structure set of any maker, as it stands in the file. Shares nothing with the writer but pydicom."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import UID

from ..errors import InputError
from .damage import DamagedDicomError, making_sense
from .reading import NotDicomError, open_dataset

STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
CONTOUR_DATA = Tag(0x3006, 0x0050)
CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


@dataclass(frozen=True)
class Contour:
    """points_mm: (n, 3) LPS; empty where the numbers cannot be read, `problem` then says why.

    image_uids: of the images it refers to; image_frames: with each its frame numbers, none for the whole file.
    declared_points: NumberOfContourPoints, or None. longest_value: bytes of the longest decimal string.
    """

    geometric_type: str
    points_mm: np.ndarray
    image_uids: tuple[str, ...]
    declared_points: int | None = None
    longest_value: int = 0
    problem: str = ""
    image_frames: tuple[tuple[int, ...], ...] = ()

    @property
    def encloses(self) -> bool:
        """Whether it is a closed contour, of 3 points at least."""
        return self.geometric_type in CLOSED and len(self.points_mm) >= 3

    @property
    def images(self) -> tuple[tuple[str, int | None], ...]:
        """Every image that it refers to: identifier, and frame number where one is named."""
        numbers = self.image_frames or ((),) * len(self.image_uids)
        return tuple(
            (uid, frame) for uid, own in zip(self.image_uids, numbers, strict=True) for frame in own or (None,)
        )


@dataclass(frozen=True)
class Roi:
    """One region of interest. empty_sequence: the file holds a sequence for its contours, and none in it."""

    number: int
    name: str
    frame_uid: str
    contours: tuple[Contour, ...]
    empty_sequence: bool = False

    @property
    def closed(self) -> tuple[Contour, ...]:
        """Those of its contours that are closed."""
        return tuple(contour for contour in self.contours if contour.encloses)

    @property
    def outlined(self) -> bool:
        """Whether any of its contours is closed: a template's structure that nobody drew has none."""
        return bool(self.closed)

    def lies_elsewhere(self, frame_uid: str) -> bool:
        """Whether it names another frame of reference than this.

        One that names none lies where its images do, and where no frame is given ("") nothing lies elsewhere.
        """
        return bool(frame_uid) and self.frame_uid not in ("", frame_uid)


@dataclass(frozen=True)
class StructureSet:
    """`dataset`: the whole file, for what is not listed here."""

    path: Path
    dataset: pydicom.FileDataset
    rois: tuple[Roi, ...]

    @property
    def series_uids(self) -> tuple[str, ...]:
        """The series that it says it was drawn on."""
        return tuple(str(one.get("SeriesInstanceUID", "")) for one in referenced_series(_frames(self.dataset)))

    def roi(self, *names: str, frame_uid: str = "") -> Roi:
        """The structure of the first of these names that is there, letter case aside where needed.

        Whatever their names, one that lies in the frame of reference `frame_uid` (any, where that is empty) goes before
        those that lie elsewhere, and of these one that is outlined. Raises InputError listing the names there are.
        """
        found: list[Roi] = []
        for name in names:
            found += [roi for roi in self.rois if roi.name == name]
            found += self.named_as(name)
        if found:
            return min(found, key=lambda roi: (roi.lies_elsewhere(frame_uid), not roi.outlined))
        wanted = " or ".join(repr(name) for name in names)
        there = ", ".join(roi.name for roi in self.rois) or "none at all"
        raise InputError(f"{self.path.name} has no structure {wanted}; it has: {there}.", [self.path])

    def named_as(self, name: str) -> list[Roi]:
        """The structures of that name, letter case aside."""
        return [roi for roi in self.rois if roi.name.strip().casefold() == name.strip().casefold()]


def read_structure_set(path: Path) -> StructureSet:
    """Read an RT Structure Set. Raises InputError where the file is missing, damaged or something else."""
    path = Path(path)
    try:
        dataset = open_dataset(path, pixels=True)
        with making_sense():
            sop_class = UID(str(dataset.get("SOPClassUID", "") or ""))
    except (NotDicomError, DamagedDicomError) as fault:
        raise InputError(f"{path.name} is no readable DICOM file. Give an RT Structure Set.", [path]) from fault
    except OSError as fault:
        raise InputError(f"{path} cannot be read: {fault.strerror or fault}.", [path]) from fault
    if sop_class != STRUCTURE_SET:
        # not its own words for it, which may be a person's name
        what = sop_class.name if sop_class.name != sop_class else "an object of another kind"
        raise InputError(f"{path.name} is no RT Structure Set, but {what}.", [path])
    try:
        with making_sense():
            # Every value once: what is judged later will not turn out to be unreadable.
            _convert(dataset)
            return StructureSet(path, dataset, _rois(dataset))
    except DamagedDicomError as fault:
        raise InputError(f"{path.name} is damaged: its structures cannot be read. Export it again.", [path]) from fault


def _frames(dataset: pydicom.Dataset) -> Iterable[pydicom.Dataset]:
    return dataset.get("ReferencedFrameOfReferenceSequence") or ()


def referenced_series(frames: Iterable[pydicom.Dataset]) -> list[pydicom.Dataset]:
    """The items that name the series a structure set was drawn on, in those of its frames (PS3.3 C.8.8.5)."""
    return [
        one
        for frame in frames
        for study in frame.get("RTReferencedStudySequence") or ()
        for one in study.get("RTReferencedSeriesSequence") or ()
    ]


def _convert(dataset: pydicom.Dataset) -> None:
    for tag in list(dataset.keys()):
        if tag == CONTOUR_DATA:
            continue
        element = dataset[tag]
        if element.VR == "SQ":
            for item in element.value:
                _convert(item)


def _rois(dataset: pydicom.Dataset) -> tuple[Roi, ...]:
    drawn: dict[int, list[pydicom.Dataset]] = {}
    for item in dataset.get("ROIContourSequence") or ():
        drawn.setdefault(int(item.ReferencedROINumber), []).append(item)
    rois = []
    for item in dataset.get("StructureSetROISequence") or ():
        number = int(item.ROINumber)
        own = drawn.get(number, [])
        rois.append(
            Roi(
                number=number,
                name=str(item.get("ROIName", "") or ""),
                frame_uid=str(item.get("ReferencedFrameOfReferenceUID", "") or ""),
                contours=tuple(_contour(one) for part in own for one in part.get("ContourSequence") or ()),
                empty_sequence=any("ContourSequence" in part and not part.ContourSequence for part in own),
            )
        )
    return tuple(rois)


def _contour(item: pydicom.Dataset) -> Contour:
    images = list(item.get("ContourImageSequence") or ())
    declared = item.get("NumberOfContourPoints")
    points, longest, problem = _points(item)
    return Contour(
        geometric_type=str(item.get("ContourGeometricType", "") or ""),
        points_mm=points,
        image_uids=tuple(str(image.get("ReferencedSOPInstanceUID", "") or "") for image in images),
        image_frames=tuple(frame_numbers(image) for image in images),
        declared_points=None if declared is None else int(declared),
        longest_value=longest,
        problem=problem,
    )


def frame_numbers(image: pydicom.Dataset) -> tuple[int, ...]:
    """The frames that an image reference names (PS3.3 10.3); none where it means the whole file."""
    value = image.get("ReferencedFrameNumber")
    if value is None or value == "":
        return ()
    return (int(value),) if isinstance(value, int) else tuple(int(one) for one in value)


def _points(item: pydicom.Dataset) -> tuple[np.ndarray, int, str]:
    """Points (n, 3), bytes of the longest value, and what is wrong with them."""
    nothing = np.empty((0, 3))
    if CONTOUR_DATA not in item:
        return nothing, 0, "has no contour data"
    # The bytes as they stand: pydicom would turn thousands of numbers into objects, and hide values that are too long.
    element = item.get_item(CONTOUR_DATA)
    raw = element.value if isinstance(element, RawDataElement) else None
    problem = "has contour data of unknown representation (UN)" if element.VR == "UN" else ""
    text = raw if isinstance(raw, bytes) else b"\\".join(str(one).encode() for one in item.ContourData or ())
    values = [value.strip(b" \0") for value in text.split(b"\\")]
    try:
        # Python reads 1_0 as a number; DICOM does not.
        numbers = np.array([float(value) for value in values] if b"_" not in text else [np.nan])
    except ValueError:
        return nothing, 0, "has contour data that are no numbers"
    if not np.isfinite(numbers).all():
        return nothing, 0, "has contour data that are no numbers"
    if numbers.size % 3 or numbers.size == 0:
        return nothing, 0, "has contour data that are no triples"
    return numbers.reshape(-1, 3), max(map(len, values)), problem
