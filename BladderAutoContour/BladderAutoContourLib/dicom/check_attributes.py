"""Attributes of a structure set: those that must be there (PS3.3 A.19, C.8.8.5, C.8.8.6, C.8.8.8), and their values."""

import re
from collections.abc import Iterator

from pydicom.charset import python_encoding
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from .findings import Finding
from .pydicom_versions import BINARY_NUMBERS

# Type 1 must have a value; type 2 must be there.
FILE_1 = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality",
          "StructureSetLabel", "StructureSetROISequence", "ROIContourSequence",
          "RTROIObservationsSequence")  # fmt: skip
FILE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
          "ReferringPhysicianName", "AccessionNumber", "SeriesNumber", "OperatorsName", "Manufacturer",
          "StructureSetDate", "StructureSetTime")  # fmt: skip
USUAL = ("FrameOfReferenceUID", "PositionReferenceIndicator")
"""Of the frame of reference's module, which a structure set may lack: each structure names a frame (PS3.3 A.19.3)."""
ITEMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "StructureSetROISequence": (("ROINumber", "ReferencedFrameOfReferenceUID"), ("ROIName", "ROIGenerationAlgorithm")),
    "ROIContourSequence": (("ReferencedROINumber",), ()),
    "ContourSequence": (("ContourGeometricType", "NumberOfContourPoints", "ContourData"), ()),
    "RTROIObservationsSequence": (("ObservationNumber", "ReferencedROINumber"),
                                  ("RTROIInterpretedType", "ROIInterpreter")),
    "ReferencedFrameOfReferenceSequence": (("FrameOfReferenceUID",), ()),
    "RTReferencedStudySequence": (("ReferencedSOPClassUID", "ReferencedSOPInstanceUID", "RTReferencedSeriesSequence"),
                                  ()),
    "RTReferencedSeriesSequence": (("SeriesInstanceUID", "ContourImageSequence"), ()),
    "ContourImageSequence": (("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"), ()),
}  # fmt: skip
TERMS = {
    "Modality": ("RTSTRUCT",),
    "PatientSex": ("", "M", "F", "O"),
    "ApprovalStatus": ("APPROVED", "UNAPPROVED", "REJECTED"),
    "ROIGenerationAlgorithm": ("", "AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"),
    "ContourGeometricType": ("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR", "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"),
}
LONGEST = {"AE": 16, "AS": 4, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "SH": 16, "UI": 64}
FORMS = {
    "CS": re.compile(r"[A-Z0-9 _]*"),
    "UI": re.compile(r"((0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*)?"),
    "DA": re.compile(r"([0-9]{8})?"),
    "TM": re.compile(r"([0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?)?"),
    "IS": re.compile(r" *([+-]?[0-9]+)? *"),
    "DS": re.compile(r" *([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)? *"),
}

UNDECLARED_LETTERS = "character-set"
ALONE = {"ISO_IR 192", "GB18030", "GBK"}
"""Character sets that are not one of several."""

Faults = dict[tuple[str, str], None]
"""Code and sentence of each fault, once, in the order in which they were met."""


def attribute_findings(dataset: Dataset) -> list[Finding]:
    """Missing attributes, empty sequences, values too long or of the wrong form. One finding a kind and attribute."""
    faults: Faults = {}
    _require(dataset, FILE_1, FILE_2, faults)
    if dataset.get("ApprovalStatus") in ("APPROVED", "REJECTED"):
        _require(dataset, (), ("ReviewDate", "ReviewTime", "ReviewerName"), faults)
    for element in _elements(dataset):
        if element.VR == "SQ":
            _judge_sequence(element, faults)
    if "FrameOfReferenceUID" in dataset:
        _require(dataset, ("FrameOfReferenceUID",), (), faults)
    absent = [
        Finding("missing-attribute", "note", f"{keyword} is missing") for keyword in USUAL if keyword not in dataset
    ]
    return [*_as_findings(faults), *value_findings(dataset), *absent]


def value_findings(dataset: Dataset) -> list[Finding]:
    """Values too long, of the wrong form, or in letters that no character set declares."""
    faults: Faults = {}
    declared = _declares_letters(dataset)
    for element in _elements(dataset):
        if element.VR != "SQ":
            _judge_value(element, declared, faults)
    return _as_findings(faults)


def _declares_letters(dataset: Dataset) -> bool:
    """Whether the character set is one that DICOM knows (PS3.3 C.12.1.1.2); some of them only by itself."""
    said = dataset.get("SpecificCharacterSet") or ""
    terms = [said] if isinstance(said, str) else [str(term or "") for term in said]
    return (
        any(terms)
        and all(term in python_encoding for term in terms)
        and (len(terms) == 1 or not ALONE.intersection(terms))
    )


def _as_findings(faults: Faults) -> list[Finding]:
    return [Finding(code, "error", sentence) for code, sentence in faults]


def _elements(dataset: Dataset) -> Iterator[DataElement]:
    """All elements, those of items included. Contour data stay unread: they are judged as contours."""
    for tag in dataset.keys():  # noqa: SIM118 - iterating a data set would convert every element
        if tag.is_private or (tag.group, tag.element) == (0x3006, 0x0050):
            continue
        element = dataset[tag]
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item)


def _require(item: Dataset, filled: tuple[str, ...], present: tuple[str, ...], faults: Faults) -> None:
    for keyword in (*filled, *present):
        if keyword not in item:
            faults["missing-attribute", f"{keyword} is missing"] = None
        elif keyword in filled and keyword != "ContourData" and item[keyword].is_empty:
            faults["missing-attribute", f"{keyword} is empty"] = None


def _judge_sequence(element: DataElement, faults: Faults) -> None:
    required = ITEMS.get(element.keyword)
    if not element.value and required and element.keyword not in FILE_1:
        faults["empty-sequence", f"{element.keyword} is there, but empty"] = None
    for item in element.value:
        if required:
            _require(item, *required, faults)


def _judge_value(element: DataElement, charset_declared: bool, faults: Faults) -> None:
    name = element.keyword or f"({element.tag.group:04X},{element.tag.element:04X})"
    longest, form = LONGEST.get(element.VR), FORMS.get(element.VR)
    values = element.value if element.VM > 1 else [element.value]
    for value in values:
        if value is None:
            continue
        if isinstance(value, bytes) and element.VR in BINARY_NUMBERS:
            faults["bad-value", f"{name} has a value that its kind ({element.VR}) does not allow"] = None
        text = str(getattr(value, "original_string", value)) if element.VR in ("DS", "IS") else str(value)
        if longest and len(text.strip()) > longest:
            faults["long-value", f"{name} is longer than {longest} characters"] = None
        if form and not form.fullmatch(text.strip()):
            faults["bad-value", f"{name} has a value that its kind ({element.VR}) does not allow"] = None
        if not charset_declared and element.VR in ("PN", "LO", "SH", "ST", "LT", "UT") and not text.isascii():
            faults[UNDECLARED_LETTERS, f"{name} has letters for which no known character set is declared"] = None
        if isinstance(value, PersonName) and text.count("=") > 2:
            faults["bad-value", f"{name} has a value that its kind (PN) does not allow"] = None
        if element.keyword in TERMS and text.strip() not in TERMS[element.keyword]:
            faults["bad-value", f"{name} has a value that is not defined"] = None
