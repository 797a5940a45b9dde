"""Adding a structure to a structure set that is there: the others stay, the new file is a new, unapproved one."""

import copy
import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from BladderAutoContourLib.dicom.check import check_rtstruct
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.pydicom_versions import save
from BladderAutoContourLib.dicom.rasterise import roi_mask
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest
from BladderAutoContourLib.dicom.structure_merge import MergeRequest, merge_rtstruct
from BladderAutoContourLib.dicom.structure_reader import read_structure_set
from BladderAutoContourLib.dicom.structure_set import write_rtstruct
from BladderAutoContourLib.errors import InputError
from pydicom.uid import generate_uid
from scenes import SHAPES, edit, mask_volume, set_in, write_series


def mask(series, name: str):
    geometry = series.ct.volume.geometry
    return mask_volume(SHAPES[name](geometry), geometry)


@pytest.fixture
def base(series, tmp_path) -> Path:
    """Two structures, Rectum (number 1) and Bladder (number 2), written by ourselves in two steps."""
    first, path = tmp_path / "first.dcm", tmp_path / "base.dcm"
    write_rtstruct(series.ct, mask(series, "scattered"), first, StructureRequest(roi_name="Rectum"))
    merge_rtstruct(series.ct, mask(series, "ellipsoid"), path, StructureRequest(), MergeRequest(first))
    return path


def masks_of(path: Path, series) -> dict[str, np.ndarray]:
    return {roi.name: roi_mask(roi, series.ct.volume.geometry)[0].array > 0 for roi in read_structure_set(path).rois}


def test_other_structures_stay(series, base, tmp_path, dciodvfy_errors, dcentvfy_says):
    before = hashlib.sha256(base.read_bytes()).hexdigest()
    path = tmp_path / "merged.dcm"
    request = StructureRequest(roi_name="New")
    written = merge_rtstruct(series.ct, mask(series, "shell"), path, request, MergeRequest(base))
    merged = read_structure_set(path)
    assert [(roi.number, roi.name) for roi in merged.rois] == [(1, "Rectum"), (2, "Bladder"), (3, "New")]
    assert written.findings == ()
    for name, shape in (("Rectum", "scattered"), ("Bladder", "ellipsoid"), ("New", "shell")):
        assert np.array_equal(masks_of(path, series)[name], mask(series, shape).array > 0)
    old, new = pydicom.dcmread(base), pydicom.dcmread(path)
    assert new.SOPInstanceUID != old.SOPInstanceUID
    assert new.SeriesInstanceUID != old.SeriesInstanceUID
    assert new.PredecessorStructureSetSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID
    assert new.StructureSetROISequence[0] == old.StructureSetROISequence[0]
    assert new.ROIContourSequence[1] == old.ROIContourSequence[1]
    assert dciodvfy_errors(path) == []
    assert dcentvfy_says([*series.files, path]) == ""
    assert hashlib.sha256(base.read_bytes()).hexdigest() == before


def test_a_structure_drawn_on_another_series_of_the_frame_may_be_replaced(series, base, tmp_path):
    """The base refers to images that this CT lacks: more of them with the structure that goes than without it."""

    def elsewhere(dataset: pydicom.Dataset) -> None:
        for roi in dataset.ROIContourSequence:
            for contour in roi.ContourSequence:
                for image in contour.ContourImageSequence:
                    image.ReferencedSOPInstanceUID += ".9"
        for frame in dataset.ReferencedFrameOfReferenceSequence:
            for study in frame.RTReferencedStudySequence:
                for one in study.RTReferencedSeriesSequence:
                    one.SeriesInstanceUID += ".9"
                    for image in one.ContourImageSequence:
                        image.ReferencedSOPInstanceUID += ".9"

    edit(base, elsewhere)
    path = tmp_path / "merged.dcm"
    merge_rtstruct(series.ct, mask(series, "shell"), path, StructureRequest(), MergeRequest(base, replace=True))
    assert np.array_equal(masks_of(path, series)["Bladder"], mask(series, "shell").array > 0)


def test_a_structure_of_the_same_name_needs_replace(series, base, tmp_path):
    path = tmp_path / "merged.dcm"
    with pytest.raises(InputError, match="--replace"):
        merge_rtstruct(series.ct, mask(series, "shell"), path, StructureRequest(), MergeRequest(base))
    assert not path.exists()
    merge_rtstruct(series.ct, mask(series, "shell"), path, StructureRequest(), MergeRequest(base, replace=True))
    assert sorted(masks_of(path, series)) == ["Bladder", "Rectum"]
    assert np.array_equal(masks_of(path, series)["Bladder"], mask(series, "shell").array > 0)
    assert len(pydicom.dcmread(path).RTROIObservationsSequence) == 2


def test_approval_is_withdrawn_with_a_warning(series, base, tmp_path, dciodvfy_errors):
    set_in(base, ApprovalStatus="APPROVED", ReviewDate="20200101", ReviewTime="120000", ReviewerName="A^B")
    path = tmp_path / "merged.dcm"
    request = StructureRequest(roi_name="New")
    written = merge_rtstruct(series.ct, mask(series, "shell"), path, request, MergeRequest(base))
    assert [(finding.code, finding.severity) for finding in written.findings] == [("was-approved", "warning")]
    merged = pydicom.dcmread(path)
    assert merged.ApprovalStatus == "UNAPPROVED"
    assert "ReviewerName" not in merged
    assert dciodvfy_errors(path) == []


def test_faults_of_the_source_do_not_stop_the_merge(series, base, tmp_path):
    edit(base, lambda dataset: dataset.ROIContourSequence[0].ContourSequence[0].__setattr__("NumberOfContourPoints", 1))
    path = tmp_path / "merged.dcm"
    request = StructureRequest(roi_name="New")
    merge_rtstruct(series.ct, mask(series, "shell"), path, request, MergeRequest(base))
    assert len(read_structure_set(path).rois) == 3


def test_a_base_without_an_identifier_has_no_successor(series, base, tmp_path):
    edit(base, lambda dataset: delattr(dataset, "SOPInstanceUID"))
    path = tmp_path / "merged.dcm"
    request = StructureRequest(roi_name="New")
    written = merge_rtstruct(series.ct, mask(series, "shell"), path, request, MergeRequest(base))
    assert any("SOPInstanceUID is missing" in finding.sentence for finding in written.findings)
    assert "PredecessorStructureSetSequence" not in pydicom.dcmread(path)


def test_an_observation_without_a_number_does_not_stop_the_merge(series, base, tmp_path):
    edit(base, lambda dataset: delattr(dataset.RTROIObservationsSequence[0], "ObservationNumber"))
    path = tmp_path / "merged.dcm"
    request = StructureRequest(roi_name="New")
    merge_rtstruct(series.ct, mask(series, "shell"), path, request, MergeRequest(base))
    numbers = [one.get("ObservationNumber") for one in pydicom.dcmread(path).RTROIObservationsSequence]
    assert numbers == [None, 2, 3]


def test_images_that_the_source_does_not_list_are_added(series, base, tmp_path):
    def forget(dataset: pydicom.Dataset) -> None:
        study = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
        study.RTReferencedSeriesSequence[0].ContourImageSequence = list(
            study.RTReferencedSeriesSequence[0].ContourImageSequence
        )[:5]

    edit(base, forget)
    path = tmp_path / "merged.dcm"
    merge_rtstruct(series.ct, mask(series, "shell"), path, StructureRequest(roi_name="New"), MergeRequest(base))
    study = pydicom.dcmread(path).ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    images = [image.ReferencedSOPInstanceUID for image in study.RTReferencedSeriesSequence[0].ContourImageSequence]
    assert sorted(images) == sorted(image.sop_instance_uid for image in series.ct.slices)


def test_a_structure_set_of_another_series_of_the_same_frame_is_added_to(series, base, tmp_path, dciodvfy_errors):
    """As after a second reconstruction: the old structures keep their images, the new one refers to its own."""
    files = write_series(tmp_path / "ct", seed=99)
    first = pydicom.dcmread(series.files[0])
    same = ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID")
    for file in files:
        set_in(file, **{keyword: first[keyword].value for keyword in same})
    ct, path = read_ct([tmp_path / "ct"]), tmp_path / "merged.dcm"
    written = merge_rtstruct(ct, mask(series, "shell"), path, StructureRequest(roi_name="New"), MergeRequest(base))
    said = [finding.sentence for finding in written.findings if finding.severity == "warning"]
    assert "In the structure set merged into: The referenced series is not that of the CT" in said
    merged = pydicom.dcmread(path)
    (frame,) = merged.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    listed = [one.SeriesInstanceUID for one in study.RTReferencedSeriesSequence]
    assert listed == [series.ct.series_uid, ct.series_uid]
    images = [{image.ReferencedSOPInstanceUID for contour in drawn.ContourSequence
               for image in contour.ContourImageSequence} for drawn in merged.ROIContourSequence]  # fmt: skip
    assert images[0] <= {image.sop_instance_uid for image in series.ct.slices}
    assert images[2] <= {image.sop_instance_uid for image in ct.slices}
    for name, shape in (("Rectum", "scattered"), ("Bladder", "ellipsoid"), ("New", "shell")):
        assert np.array_equal(masks_of(path, series)[name], mask(series, shape).array > 0)
    # the old contours refer to images that this series lacks; that the old series is listed is no fault
    found = [finding.sentence for finding in check_rtstruct(path, ct) if finding.code == "wrong-image"]
    assert [sentence.partition(" ")[2] for sentence in found] == [
        "image references of contours are not in the CT series"
    ]
    assert dciodvfy_errors(path) == []


@pytest.mark.parametrize("change", ["frame", "patient", "study"])
def test_another_frame_patient_or_study_is_refused(series, base, tmp_path, change):
    def alter(dataset: pydicom.Dataset) -> None:
        if change == "patient":
            dataset.PatientID = "somebody else"
        elif change == "study":
            dataset.StudyInstanceUID = pydicom.uid.generate_uid()
        else:
            for roi in dataset.StructureSetROISequence:
                roi.ReferencedFrameOfReferenceUID = pydicom.uid.generate_uid()

    edit(base, alter)
    request = StructureRequest(roi_name="New")
    with pytest.raises(InputError, match="does not belong to this CT"):
        merge_rtstruct(series.ct, mask(series, "shell"), tmp_path / "m.dcm", request, MergeRequest(base))
    assert not (tmp_path / "m.dcm").exists()


def test_a_structure_drawn_on_an_mr_stays_beside_the_new_one(series, base, tmp_path, dciodvfy_errors):
    """One set may hold structures of several frames of reference (PS3.3 C.8.8.5.1)."""
    other = pydicom.uid.generate_uid()
    edit(base, lambda dataset: setattr(dataset.StructureSetROISequence[0], "ReferencedFrameOfReferenceUID", other))
    path = tmp_path / "merged.dcm"
    request = StructureRequest(roi_name="New")
    written = merge_rtstruct(series.ct, mask(series, "shell"), path, request, MergeRequest(base))
    assert [finding.sentence for finding in written.findings] == [
        "In the structure set merged into: Structure 'Rectum' lies in another frame of reference than the CT"
    ]
    frames = [roi.frame_uid for roi in read_structure_set(path).rois]
    assert frames == [other, series.ct.frame_of_reference_uid, series.ct.frame_of_reference_uid]
    assert np.array_equal(masks_of(path, series)["New"], mask(series, "shell").array > 0)
    assert dciodvfy_errors(path) == []


@pytest.mark.parametrize("elsewhere", [False, True], ids=["one frame", "two frames"])
def test_a_base_without_a_frame_of_its_own_takes_that_of_its_structures(
    series, base, tmp_path, dciodvfy_errors, elsewhere
):
    def forget(dataset: pydicom.Dataset) -> None:
        del dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator
        if elsewhere:
            dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = pydicom.uid.generate_uid()

    edit(base, forget)
    path = tmp_path / "merged.dcm"
    merge_rtstruct(series.ct, mask(series, "shell"), path, StructureRequest(roi_name="New"), MergeRequest(base))
    merged = pydicom.dcmread(path)
    assert merged.get("FrameOfReferenceUID") == (None if elsewhere else series.ct.frame_of_reference_uid)
    assert ("PositionReferenceIndicator" in merged) is not elsewhere
    if not elsewhere:
        assert dciodvfy_errors(path) == []


def test_an_empty_mask_replaces_nothing(series, base, tmp_path):
    nothing = mask_volume(np.zeros(series.ct.volume.array.shape, bool), series.ct.volume.geometry)
    path = tmp_path / "merged.dcm"
    with pytest.raises(InputError, match=r"The mask is empty: 'Bladder' in base\.dcm would be replaced"):
        merge_rtstruct(series.ct, nothing, path, StructureRequest(), MergeRequest(base, replace=True))
    assert not path.exists()
    written = merge_rtstruct(series.ct, nothing, path, StructureRequest(roi_name="New"), MergeRequest(base, True))
    assert [(one.code, one.severity) for one in written.findings] == [("no-contours", "warning")]
    assert len(read_structure_set(path).rois) == 3


def test_a_structure_set_that_lacks_what_the_archive_knows_is_this_patients(series, base, tmp_path):
    edit(base, lambda dataset: setattr(dataset, "PatientSex", ""))
    for file in series.files:
        assert pydicom.dcmread(file).PatientSex
    path, request = tmp_path / "merged.dcm", StructureRequest(roi_name="New")
    written = merge_rtstruct(series.ct, mask(series, "shell"), path, request, MergeRequest(base))
    assert "In the structure set merged into: PatientSex is not that of the CT" in [
        finding.sentence for finding in written.findings
    ]


def test_a_merged_file_is_by_whoever_merged_it(series, base, tmp_path):
    dataset = pydicom.dcmread(base)
    dataset.file_meta.ImplementationClassUID, dataset.file_meta.ImplementationVersionName = "1.2.246.352.70.2", "OTHER"
    dataset.file_meta.SourceApplicationEntityTitle = "ARIA"
    dataset.SeriesDate, dataset.SeriesTime = "20010101", "000000"
    dataset.StationName, dataset.DeviceSerialNumber = "PLANNING", "999"
    save(dataset, base)
    path = tmp_path / "merged.dcm"
    merge_rtstruct(series.ct, mask(series, "shell"), path, StructureRequest(roi_name="New"), MergeRequest(base))
    merged, own = pydicom.dcmread(path), pydicom.uid.PYDICOM_IMPLEMENTATION_UID
    assert merged.file_meta.ImplementationClassUID == own
    assert "SourceApplicationEntityTitle" not in merged.file_meta
    assert merged.SeriesDate == merged.StructureSetDate != "20010101"
    assert not {"StationName", "DeviceSerialNumber"} & {element.keyword for element in merged}


def test_explicit_encoding_and_other_letters(series, base, tmp_path, dciodvfy_errors):
    dataset = pydicom.dcmread(base)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.StructureSetROISequence[0].ROIName = "Enddarm Ä"
    save(dataset, base)
    path = tmp_path / "merged.dcm"
    request = StructureRequest(roi_name="膀胱")
    merge_rtstruct(series.ct, mask(series, "shell"), path, request, MergeRequest(base))
    assert [roi.name for roi in read_structure_set(path).rois] == ["Enddarm Ä", "Bladder", "膀胱"]
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
    assert dciodvfy_errors(path) == []


def test_a_structure_set_of_another_ct_is_refused(series, base, tmp_path):
    write_series(tmp_path / "ct", seed=77)
    other = read_ct([tmp_path / "ct"])
    with pytest.raises(InputError, match="does not belong to this CT"):
        merge_rtstruct(other, mask(series, "shell"), tmp_path / "m.dcm", StructureRequest(), MergeRequest(base, True))
    assert not (tmp_path / "m.dcm").exists()


def test_a_number_that_two_structures_share_is_not_replaced(series, base, tmp_path):
    """Whose contours are whose cannot be told: with the bladder the rectum would go."""

    def share(dataset: pydicom.Dataset) -> None:
        dataset.StructureSetROISequence[1].ROINumber = 1
        dataset.ROIContourSequence[1].ReferencedROINumber = 1

    edit(base, share)
    with pytest.raises(InputError, match="number 1 to several structures, 'Rectum' and 'Bladder'"):
        merge_rtstruct(
            series.ct, mask(series, "shell"), tmp_path / "m.dcm", StructureRequest(), MergeRequest(base, True)
        )
    assert not (tmp_path / "m.dcm").exists()


def test_a_number_that_something_left_over_refers_to_is_not_given_again(series, base, tmp_path):
    def leave(dataset: pydicom.Dataset) -> None:
        left = copy.deepcopy(dataset.RTROIObservationsSequence[1])
        left.ObservationNumber, left.ReferencedROINumber, left.RTROIInterpretedType = 9, 3, "EXTERNAL"
        dataset.RTROIObservationsSequence.append(left)

    edit(base, leave)
    request = StructureRequest(roi_name="New")
    merge_rtstruct(series.ct, mask(series, "shell"), tmp_path / "m.dcm", request, MergeRequest(base))
    merged = pydicom.dcmread(tmp_path / "m.dcm")
    number = merged.StructureSetROISequence[2].ROINumber
    observed = [one for one in merged.RTROIObservationsSequence if one.ReferencedROINumber == number]
    assert (number, [one.RTROIInterpretedType for one in observed]) == (4, ["ORGAN"])


def test_a_bladder_drawn_on_an_mr_is_not_the_one_that_is_replaced(series, base, tmp_path):
    def elsewhere(dataset: pydicom.Dataset) -> None:
        dataset.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = generate_uid()

    edit(base, elsewhere)
    merge_rtstruct(series.ct, mask(series, "shell"), tmp_path / "m.dcm", StructureRequest(), MergeRequest(base, True))
    rois = read_structure_set(tmp_path / "m.dcm").rois
    assert [(roi.number, roi.name) for roi in rois] == [(1, "Rectum"), (2, "Bladder"), (3, "Bladder")]
