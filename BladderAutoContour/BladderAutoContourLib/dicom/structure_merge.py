"""A structure added to a structure set that is there already. Its other structures and their numbers stay."""

import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from ..errors import InputError, VerificationError
from ..imaging.volume import Volume
from .check import check_belongs, check_structure_set, expect_own_number
from .contours import LEVEL
from .ct_series import CtSeries
from .findings import Finding
from .patient_and_study import make_room_for
from .structure_dataset import StructureRequest, add_roi, referenced_frame, stamp
from .structure_reader import StructureSet, read_structure_set
from .structure_set import WrittenStructure, on_grid_of, put_in_place, trace_slices, written
from .verify import verify

NOT_THIS_CT = ("patient-mismatch", "wrong-study", "wrong-frame")
"""Another series is no hindrance: in the same frame of reference its structures lie right on this CT too."""
OF_THE_OTHER_MACHINE = ("StationName", "DeviceSerialNumber", "ReferencedPerformedProcedureStepSequence")
"""What the base says of the machine and the work that it came from, and the merged file does not."""
BY_NUMBER = {
    "StructureSetROISequence": "ROINumber",
    "ROIContourSequence": "ReferencedROINumber",
    "RTROIObservationsSequence": "ReferencedROINumber",
}


@dataclass(frozen=True)
class MergeRequest:
    """base: the structure set to add to, which is not changed. replace: a structure of the same name gives way."""

    base: Path
    replace: bool = False


def merge_rtstruct(
    ct: CtSeries, field: Volume, path: Path, request: StructureRequest, merge: MergeRequest, *, decimate: bool = False
) -> WrittenStructure:
    """Write the structures of `merge.base` and a new one together, as a new, unapproved instance of a new series.

    Raises InputError: the base is no structure set of this CT, or has a structure of that name, or an empty mask would
    replace one; and what `write_rtstruct` raises. Warnings stand in the findings where the base was approved or
    rejected, and for what is wrong with it: its structures go into the new file as they are, drawn on another series,
    for example.
    """
    base = read_structure_set(merge.base)
    known = check_belongs(base, ct, NOT_THIS_CT)
    findings = [
        Finding(finding.code, "warning", f"In the structure set merged into: {finding.sentence}", (str(merge.base),))
        for finding in known
        if finding.severity != "note"
    ]
    status = str(base.dataset.get("ApprovalStatus", ""))
    if status in ("APPROVED", "REJECTED"):
        sentence = (
            f"The structure set merged into was {status}; the new one is UNAPPROVED and must be reviewed as a whole"
        )
        findings.append(Finding(f"was-{status.lower()}", "warning", sentence, (str(merge.base),)))
    replaced = _same_name(base, request.roi_name, merge, ct)
    field = on_grid_of(ct, field)
    contours = trace_slices(ct, field, decimate=decimate)
    if replaced and not contours:
        raise InputError(
            f"The mask is empty: {request.roi_name!r} in {merge.base.name} would be replaced by a structure without "
            "contours. Give the mask of the structure, or another name.",
            [merge.base],
        )
    dataset = _prepare(base, ct, request)
    for number in replaced:
        _remove(dataset, number)
    if replaced:  # what is said of the others may count fewer of them now
        others = tuple(roi for roi in base.rois if roi.number not in replaced)
        known += check_structure_set(StructureSet(base.path, dataset, others), ct)
    number = add_roi(dataset, ct.frame_of_reference_uid, contours, request)
    mask = field.array >= LEVEL

    def judge(partial: Path) -> float:
        agreement = verify(partial, ct, mask, number, known=known)
        _compare_others(base, read_structure_set(partial), {*replaced, number})
        return agreement

    agreement = put_in_place(dataset, path, judge)
    return written(path, contours, agreement, request, findings)


def _same_name(base: StructureSet, name: str, merge: MergeRequest, ct: CtSeries) -> list[int]:
    """The numbers of those to be replaced; not of one that was drawn in another frame of reference, as on an MR."""
    same = [roi for roi in base.named_as(name) if not roi.lies_elsewhere(ct.frame_of_reference_uid)]
    expect_own_number(base, same)
    numbers = [roi.number for roi in same]
    if numbers and not merge.replace:
        raise InputError(
            f"{merge.base.name} has a structure named {name!r} already. Choose another name, or replace it "
            "(--replace).",
            [merge.base],
        )
    return numbers


def _prepare(base: StructureSet, ct: CtSeries, request: StructureRequest) -> FileDataset:
    # Read again: `base` stays as it was, for the comparison.
    dataset = read_structure_set(base.path).dataset
    dataset.decode()
    make_room_for(request.texts, dataset)
    dataset.file_meta = FileMetaDataset()  # this program writes the file now, whoever wrote the other (PS3.10 7.1)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    if dataset.get("SOPInstanceUID"):
        source = Dataset()
        source.ReferencedSOPClassUID = dataset.SOPClassUID
        source.ReferencedSOPInstanceUID = dataset.SOPInstanceUID
        dataset.PredecessorStructureSetSequence = [source]
    else:  # the base's own predecessor is none of the new file
        dataset.pop("PredecessorStructureSetSequence", None)
    dataset.SeriesInstanceUID = generate_uid()
    dataset.SeriesDescription = request.series_description
    dataset.StructureSetLabel = request.label
    stamp(dataset, datetime.datetime.now())
    dataset.SeriesDate, dataset.SeriesTime = dataset.InstanceCreationDate, dataset.InstanceCreationTime
    for keyword in OF_THE_OTHER_MACHINE:
        if keyword in dataset:
            del dataset[keyword]
    for keyword in BY_NUMBER:
        if keyword not in dataset:
            setattr(dataset, keyword, [])
    frame = ct.frame_of_reference_uid
    if "FrameOfReferenceUID" not in dataset and not any(roi.lies_elsewhere(frame) for roi in base.rois):
        dataset.FrameOfReferenceUID = frame
    if "FrameOfReferenceUID" in dataset and "PositionReferenceIndicator" not in dataset:
        dataset.PositionReferenceIndicator = str(ct.header.get("PositionReferenceIndicator", "") or "")
    _list_images(dataset, ct)
    return dataset


def _list_images(dataset: Dataset, ct: CtSeries) -> None:
    """Have every image of the CT listed, as the new contours refer to them: in the items that are there, where any."""
    own_frame = referenced_frame(ct)
    frame = _found_or_added(dataset, "ReferencedFrameOfReferenceSequence", own_frame, "FrameOfReferenceUID")
    (own_study,) = own_frame.RTReferencedStudySequence
    study = _found_or_added(frame, "RTReferencedStudySequence", own_study, "ReferencedSOPInstanceUID")
    (own_series,) = own_study.RTReferencedSeriesSequence
    series = _found_or_added(study, "RTReferencedSeriesSequence", own_series, "SeriesInstanceUID")
    for image in list(own_series.ContourImageSequence):
        _found_or_added(series, "ContourImageSequence", image, "ReferencedSOPInstanceUID")


def _found_or_added(parent: Dataset, keyword: str, own: Dataset, key: str) -> Dataset:
    """The item of a sequence that has the same `key` as `own`, which is added where there is none."""
    items = parent.get(keyword)
    if not items:
        setattr(parent, keyword, [own])
        return own
    same = [item for item in items if item.get(key) == own[key].value]
    if not same:
        items.append(own)
    return same[0] if same else own


def _remove(dataset: Dataset, number: int) -> None:
    for keyword, reference in BY_NUMBER.items():
        items = getattr(dataset, keyword)
        setattr(dataset, keyword, [item for item in items if int(item.get(reference) or 0) != number])


def _compare_others(base: StructureSet, merged: StructureSet, changed: set[int]) -> None:
    """Raise VerificationError where a structure that should have stayed is not what it was."""
    after = {roi.number: roi for roi in merged.rois}
    for roi in base.rois:
        if roi.number in changed:
            continue
        other = after.get(roi.number)
        if other is None or (roi.name, len(roi.contours)) != (other.name, len(other.contours)) or not all(
            np.array_equal(one.points_mm, two.points_mm) and one.images == two.images
            for one, two in zip(roi.contours, other.contours, strict=True)
        ):  # fmt: skip
            raise VerificationError(f"Structure {roi.name!r} came out changed; the file was not put in place.")
