"""The data set of an RT Structure Set (PS3.3 A.19): built empty for a CT, then given regions of interest."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from .. import SOFTWARE_NAME, __version__
from ..errors import UsageError
from .ct_series import CtSeries, SliceReference
from .decimal_string import joined_coordinates
from .patient_and_study import take_over

STUDY_COMPONENT = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management: what PS3.3 C.8.8.5 asks for as the class of the referenced study."""
CONTOUR_DATA = Tag(0x3006, 0x0050)
LABEL_LENGTH, NAME_LENGTH = 16, 64
"""StructureSetLabel is a short string, ROIName a long one (PS3.5 6.2)."""
GENERATIONS = ("AUTOMATIC", "SEMIAUTOMATIC", "MANUAL")
BLADDER_COLOUR = (222, 154, 132)
BLADDER_CODE = ("89837001", "SCT", "Bladder")


@dataclass(frozen=True)
class StructureRequest:
    """How the structure is named and described. generation: AUTOMATIC when untouched, SEMIAUTOMATIC once edited.

    description: what made it, for example the model's name and version; the software's name stands before it.
    """

    roi_name: str = "Bladder"
    label: str = "BladderAuto"
    generation: str = "AUTOMATIC"
    description: str = ""
    series_description: str = "Bladder auto-contour"

    def __post_init__(self) -> None:
        if not 0 < len(self.label.strip()) <= LABEL_LENGTH:
            raise UsageError(f"The structure set label must have 1 to {LABEL_LENGTH} characters.")
        if not 0 < len(self.roi_name.strip()) <= NAME_LENGTH:
            raise UsageError(f"The name of the structure must have 1 to {NAME_LENGTH} characters.")
        if any("\\" in text or not text.isprintable() for text in self.texts):
            raise UsageError("Names and descriptions must hold neither a backslash nor control characters.")
        if self.generation not in GENERATIONS:
            raise UsageError(f"The generation must be one of {', '.join(GENERATIONS)}.")

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text that goes into the file."""
        return self.roi_name, self.label, self.description, self.series_description


@dataclass(frozen=True)
class SliceContour:
    """One closed planar contour: its image, and its points (n, 3) in LPS millimetres, the first not repeated."""

    image: SliceReference
    points_mm: np.ndarray


def new_structure_set(ct: CtSeries, request: StructureRequest, now: datetime.datetime) -> FileDataset:
    """A structure set without any structure that refers to every image of `ct`; new series and instance UIDs."""
    dataset = FileDataset(None, {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    take_over(ct.header, dataset, request.texts)
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.SeriesInstanceUID = generate_uid()
    dataset.SeriesDate, dataset.SeriesTime = date, time
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = request.series_description
    dataset.Modality = "RTSTRUCT"
    dataset.OperatorsName = ""
    dataset.FrameOfReferenceUID = ct.frame_of_reference_uid
    dataset.PositionReferenceIndicator = str(ct.header.get("PositionReferenceIndicator", "") or "")
    dataset.StructureSetLabel = request.label
    dataset.ReferencedFrameOfReferenceSequence = [referenced_frame(ct)]
    dataset.StructureSetROISequence = DicomSequence()
    dataset.ROIContourSequence = DicomSequence()
    dataset.RTROIObservationsSequence = DicomSequence()
    stamp(dataset, now)
    return dataset


def stamp(dataset: Dataset, now: datetime.datetime) -> None:
    """Mark `dataset` as a new, unapproved instance made by this software now."""
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.SOPInstanceUID = generate_uid()
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = date, time
    dataset.StructureSetDate, dataset.StructureSetTime = date, time
    dataset.Manufacturer = dataset.ManufacturerModelName = SOFTWARE_NAME
    dataset.SoftwareVersions = __version__
    dataset.ApprovalStatus = "UNAPPROVED"
    for keyword in ("ReviewDate", "ReviewTime", "ReviewerName"):
        if keyword in dataset:
            del dataset[keyword]


def add_roi(
    dataset: Dataset, frame_of_reference_uid: str, contours: Sequence[SliceContour], request: StructureRequest
) -> int:
    """Add one organ with its contours and return its ROI number: one more than the greatest in use, or left over."""
    referring = (*dataset.ROIContourSequence, *dataset.RTROIObservationsSequence)
    used = [int(roi.ROINumber) for roi in dataset.StructureSetROISequence]
    used += [int(item.get("ReferencedROINumber") or 0) for item in referring]
    number = 1 + max(used, default=0)
    origin = f"{SOFTWARE_NAME} {__version__}"

    roi = Dataset()
    roi.ROINumber = number
    roi.ReferencedFrameOfReferenceUID = frame_of_reference_uid
    roi.ROIName = request.roi_name
    roi.ROIDescription = f"{origin}, {request.description}" if request.description else origin
    roi.ROIGenerationAlgorithm = request.generation
    dataset.StructureSetROISequence.append(roi)

    drawn = Dataset()
    drawn.ReferencedROINumber = number
    drawn.ROIDisplayColor = list(BLADDER_COLOUR)
    if contours:
        drawn.ContourSequence = DicomSequence([_contour(contour) for contour in contours])
    dataset.ROIContourSequence.append(drawn)

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = BLADDER_CODE
    observation = Dataset()
    observation.ObservationNumber = 1 + max(
        (int(one.get("ObservationNumber") or 0) for one in dataset.RTROIObservationsSequence), default=0
    )
    observation.ReferencedROINumber = number
    observation.RTROIIdentificationCodeSequence = DicomSequence([code])
    observation.RTROIInterpretedType = "ORGAN"
    observation.ROIInterpreter = ""
    dataset.RTROIObservationsSequence.append(observation)
    return number


def referenced_frame(ct: CtSeries) -> Dataset:
    """The item by which a structure set lists the study, the series and every image of its CT."""
    series = Dataset()
    series.SeriesInstanceUID = ct.series_uid
    # A file of several frames is listed once, as a whole.
    files = {image.sop_instance_uid: image for image in ct.slices}.values()
    series.ContourImageSequence = DicomSequence([_file(image) for image in files])
    study = Dataset()
    study.ReferencedSOPClassUID = STUDY_COMPONENT
    study.ReferencedSOPInstanceUID = ct.header.StudyInstanceUID
    study.RTReferencedSeriesSequence = DicomSequence([series])
    frame = Dataset()
    frame.FrameOfReferenceUID = ct.frame_of_reference_uid
    frame.RTReferencedStudySequence = DicomSequence([study])
    return frame


def _file(image: SliceReference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = image.sop_class_uid
    item.ReferencedSOPInstanceUID = image.sop_instance_uid
    return item


def _image(image: SliceReference) -> Dataset:
    item = _file(image)
    if image.frame_number is not None:
        item.ReferencedFrameNumber = image.frame_number
    return item


def _contour(contour: SliceContour) -> Dataset:
    item = Dataset()
    item.ContourImageSequence = DicomSequence([_image(contour.image)])
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = len(contour.points_mm)
    # As bytes, declared to be in the encoding of the file: pydicom would make an object of every number.
    item.set_original_encoding(is_implicit_vr=True, is_little_endian=True, character_encoding=default_encoding)
    data = joined_coordinates(contour.points_mm.ravel()).encode("ascii")
    data += b" " * (len(data) % 2)
    item[CONTOUR_DATA] = RawDataElement(CONTOUR_DATA, "DS", len(data), data, 0, True, True)
    return item
