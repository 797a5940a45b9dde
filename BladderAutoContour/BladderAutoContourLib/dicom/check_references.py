"""Does the structure set belong to this CT? Patient, study, series, images, frames of reference, structure numbers."""

from collections import Counter
from collections.abc import Collection, Iterator

from pydicom.dataset import Dataset

from .belonging import DECISIVE, same_name
from .ct_series import CtSeries
from .findings import Finding
from .image_header import SAME_PATIENT, patient_value
from .structure_reader import Roi, StructureSet, frame_numbers, referenced_series


def reference_findings(structures: StructureSet, ct: CtSeries | None) -> list[Finding]:
    """Findings on everything by which a structure set refers to something. Values of the patient are not quoted."""
    dataset = structures.dataset
    within = [*_roi_numbers(dataset), *_mixed_frames(structures), *_own_identifiers(structures)]
    if ct is None:
        return within
    return [*within, *_patient_and_study(dataset, ct), *_frames(structures, ct), *_images(structures, ct)]


def _patient_and_study(dataset: Dataset, ct: CtSeries) -> Iterator[Finding]:
    same_number = _same_patient_number(dataset, ct)
    for keyword in SAME_PATIENT:
        values = patient_value(dataset, keyword), patient_value(ct.header, keyword)
        if values[0] != values[1] and not (keyword == "PatientName" and same_name(*values)):
            # Planning systems leave out what the archive knows, and the reverse, and write names in their own way: a
            # number makes the patient.
            is_lacking = keyword != DECISIVE and not all(values)
            severity = "warning" if same_number or is_lacking else "error"
            yield Finding("patient-mismatch", severity, f"{keyword} is not that of the CT")
    study = str(ct.header.StudyInstanceUID)
    if str(dataset.get("StudyInstanceUID", "")) != study:
        yield Finding("wrong-study", "error", "The structure set is filed under another study than the CT")
    named = [item for frame in _items(dataset, "ReferencedFrameOfReferenceSequence")
             for item in _items(frame, "RTReferencedStudySequence")]  # fmt: skip
    if named and study not in [str(item.get("ReferencedSOPInstanceUID", "")) for item in named]:
        yield Finding("wrong-study", "error", "The referenced study is not that of the CT")


def _same_patient_number(dataset: Dataset, ct: CtSeries) -> bool:
    number = patient_value(ct.header, DECISIVE)
    return number != "" and patient_value(dataset, DECISIVE) == number


def _frames(structures: StructureSet, ct: CtSeries) -> Iterator[Finding]:
    dataset, frame = structures.dataset, ct.frame_of_reference_uid
    has_own = any(roi.frame_uid == frame for roi in structures.rois)
    own = str(dataset.get("FrameOfReferenceUID", "") or "")
    if own not in ("", frame):
        # each structure names the frame that its contours lie in (PS3.3 C.8.8.5); the file's own is one beside them
        severity = "warning" if has_own else "error"
        yield Finding("wrong-frame", severity, "The frame of reference of the structure set is not that of the CT")
    listed = [str(item.get("FrameOfReferenceUID", "") or "")
              for item in _items(dataset, "ReferencedFrameOfReferenceSequence")]  # fmt: skip
    if not listed:
        yield Finding("no-reference", "warning", "The structure set does not list the images it was drawn on")
    elif frame not in listed and any(listed):
        yield Finding("wrong-frame", "error", "The CT's frame of reference is not among the referenced ones")
    for roi in structures.rois:
        if not roi.frame_uid:
            yield Finding("no-frame", "warning", f"Structure {roi.name!r} names no frame of reference")
        elif roi.frame_uid != frame:
            # One set may hold structures of several frames, as those drawn on an MR (PS3.3 C.8.8.5.1).
            yield Finding("wrong-frame", "warning" if has_own else "error", elsewhere_sentence(roi))


def _own_identifiers(structures: StructureSet) -> Iterator[Finding]:
    """A structure set is an instance of its own, in a series of its own modality (PS3.3 C.7.3.1, C.12.1)."""
    dataset = structures.dataset
    if dataset.get("SeriesInstanceUID") in structures.series_uids:
        yield Finding("same-series", "error", "The structure set is filed in the series of the images it refers to")
    images = {uid for roi in structures.rois for contour in roi.contours for uid in contour.image_uids}
    images |= {item.get("ReferencedSOPInstanceUID")
               for one in referenced_series(_items(dataset, "ReferencedFrameOfReferenceSequence"))
               for item in _items(one, "ContourImageSequence")}  # fmt: skip
    if dataset.get("SOPInstanceUID") in images - {"", None}:
        yield Finding("same-identifier", "error", "The structure set has the identifier of an image it refers to")


def _mixed_frames(structures: StructureSet) -> Iterator[Finding]:
    if len({roi.frame_uid for roi in structures.rois} - {""}) > 1:
        yield Finding("mixed-frames", "note", "The structures lie in different frames of reference")


def elsewhere_sentence(roi: Roi) -> str:
    """What is said of a structure that cannot be placed in the CT."""
    return f"Structure {roi.name!r} lies in another frame of reference than the CT"


def _images(structures: StructureSet, ct: CtSeries) -> Iterator[Finding]:
    dataset = structures.dataset
    classes = {image.sop_instance_uid: image.sop_class_uid for image in ct.slices}
    if structures.series_uids and ct.series_uid not in structures.series_uids:
        yield Finding("wrong-series", "error", "The referenced series is not that of the CT")
    # Structures of another frame were drawn on other images, and these are listed under that frame.
    frame = ct.frame_of_reference_uid
    elsewhere = {_number(roi, "ROINumber") for roi in _items(dataset, "StructureSetROISequence")
                 if _is_other(roi, "ReferencedFrameOfReferenceUID", frame)}  # fmt: skip
    of_frame = [item for item in _items(dataset, "ReferencedFrameOfReferenceSequence")
                if not _is_other(item, "FrameOfReferenceUID", frame)]  # fmt: skip
    # of other series of the frame, the structure set may list images too
    own = {ct.series_uid} if ct.series_uid in structures.series_uids else set(structures.series_uids)
    of_series = [one for one in referenced_series(of_frame) if one.get("SeriesInstanceUID") in own]
    listed = [image for one in of_series for image in _items(one, "ContourImageSequence")]
    drawn = [image for part in _items(dataset, "ROIContourSequence")
             if _number(part, "ReferencedROINumber") not in elsewhere
             for contour in _items(part, "ContourSequence")
             for image in _items(contour, "ContourImageSequence")]  # fmt: skip
    frames = {(image.sop_instance_uid, image.frame_number) for image in ct.slices}
    if any(_is_no_frame(image, frames, classes) for image in (*listed, *drawn)):
        yield Finding("wrong-image", "error", "An image reference names a frame that the CT does not have")
    for where, images in (("listed", listed), ("contour", drawn)):
        unknown, other_class = Counter(), Counter()
        for image in images:
            uid = str(image.get("ReferencedSOPInstanceUID", ""))
            if uid not in classes:
                unknown[uid] += 1
            elif str(image.get("ReferencedSOPClassUID", "")) != classes[uid]:
                other_class[uid] += 1
        what = "images that the structure set lists" if where == "listed" else "image references of contours"
        if unknown:
            yield Finding("wrong-image", "error", f"{unknown.total()} {what} are not in the CT series")
        if other_class:
            yield Finding("wrong-class", "error", f"{other_class.total()} {what} name another class than CT image")
    missing = set(classes) - {str(image.get("ReferencedSOPInstanceUID", "")) for image in listed}
    if listed and missing and len(missing) < len(classes):
        yield Finding("images-not-listed", "note", f"{len(missing)} images of the CT are not listed")


def _is_other(item: Dataset, keyword: str, frame_uid: str) -> bool:
    return str(item.get(keyword, "") or "") not in ("", frame_uid)


def _is_no_frame(image: Dataset, frames: Collection[tuple[str, int | None]], known: Collection[str]) -> bool:
    """Whether an item refers to a file of the CT by a frame number that is none of it."""
    uid, named = str(image.get("ReferencedSOPInstanceUID", "")), frame_numbers(image)
    if uid not in known or not named or ((uid, None) in frames and set(named) == {1}):
        return False  # the one image of a single-frame file may be called frame 1
    return any((uid, number) not in frames for number in named)


def _roi_numbers(dataset: Dataset) -> Iterator[Finding]:
    numbers = Counter(_number(roi, "ROINumber") for roi in _items(dataset, "StructureSetROISequence"))
    names = Counter(str(roi.get("ROIName", "")) for roi in _items(dataset, "StructureSetROISequence"))
    for number in [number for number, count in numbers.items() if count > 1]:
        yield Finding("duplicate-number", "error", f"ROI number {number} is given to several structures")
    for name in [name for name, count in names.items() if count > 1]:
        yield Finding("duplicate-name", "warning", f"Several structures are named {name!r}")
    for keyword in ("ROIContourSequence", "RTROIObservationsSequence"):
        referred = Counter(_number(item, "ReferencedROINumber") for item in _items(dataset, keyword))
        for number in referred.keys() - numbers.keys():
            yield Finding(
                "bad-roi-reference", "error", f"{keyword} refers to ROI number {number}, which does not exist"
            )
        repeated = [number for number, count in referred.items() if count > 1]
        if repeated and keyword == "ROIContourSequence":
            yield Finding("duplicate-number", "error", f"{keyword} has several items of ROI number {repeated[0]}")
        unserved = len(numbers.keys() - referred.keys())
        if unserved:
            severity = "note" if keyword == "ROIContourSequence" else "warning"
            yield Finding("roi-without-item", severity, f"{unserved} structures have no item in {keyword}")
    observations = Counter(_number(item, "ObservationNumber") for item in _items(dataset, "RTROIObservationsSequence"))
    if observations and max(observations.values()) > 1:
        yield Finding("duplicate-number", "error", "An observation number is used several times")


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset.get(keyword) or ())


def _number(item: Dataset, keyword: str) -> int | None:
    try:
        return int(item.get(keyword))
    except (TypeError, ValueError):
        return None  # absent, empty or no number: told as an attribute's fault
