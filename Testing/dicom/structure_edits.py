"""What the tests change in a structure set, and how they get at its contours."""

import copy

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid


def contours(dataset: Dataset) -> list[Dataset]:
    """Those of the first structure."""
    return dataset.ROIContourSequence[0].ContourSequence


def points(contour: Dataset) -> np.ndarray:
    """A contour's points (n, 3), mm."""
    return np.array(contour.ContourData, dtype=float).reshape(-1, 3)


def put(contour: Dataset, coordinates: np.ndarray) -> None:
    """Give a contour other points (n, 3), mm."""
    contour.ContourData = [f"{value:.4f}" for value in coordinates.ravel()]
    contour.NumberOfContourPoints = len(coordinates)


def second_roi(dataset: Dataset, **changes: object) -> None:
    """A copy of the structure under number 2, with changes to its first description."""
    for keyword, number in (("StructureSetROISequence", "ROINumber"), ("ROIContourSequence", "ReferencedROINumber"),
                            ("RTROIObservationsSequence", "ReferencedROINumber")):  # fmt: skip
        sequence = getattr(dataset, keyword)
        item = copy.deepcopy(sequence[0])
        setattr(item, number, 2)
        sequence.append(item)
    dataset.StructureSetROISequence[1].ROIName = "Other"
    dataset.RTROIObservationsSequence[1].ObservationNumber = 2
    for keyword, value in changes.items():
        setattr(dataset.StructureSetROISequence[1], keyword, value)


def mixed_frames(dataset: Dataset) -> None:
    """A second structure in a frame of reference of its own."""
    second_roi(dataset, ReferencedFrameOfReferenceUID=generate_uid())
