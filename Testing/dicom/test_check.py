"""The checker: a good file has no finding, and each planted defect is found under its own name."""

import copy
from collections.abc import Callable

import numpy as np
import pydicom
import pytest
from BladderAutoContourLib.dicom.belonging import same_name
from BladderAutoContourLib.dicom.check import check_rtstruct, doubtful_contours
from BladderAutoContourLib.dicom.pydicom_versions import save
from BladderAutoContourLib.dicom.structure_reader import read_structure_set
from BladderAutoContourLib.errors import InputError
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from scenes import edit
from structure_edits import contours, mixed_frames, points, put, second_roi


def wrong_frame_of_reference(dataset: Dataset) -> None:
    uid = generate_uid()
    dataset.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = uid
    dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = uid


def wrong_study(dataset: Dataset) -> None:
    study = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    study.ReferencedSOPInstanceUID = generate_uid()


def filed_under_another_study(dataset: Dataset) -> None:
    dataset.StudyInstanceUID = generate_uid()


def wrong_sop_reference(dataset: Dataset) -> None:
    contours(dataset)[2].ContourImageSequence[0].ReferencedSOPInstanceUID = generate_uid()


def wrong_point_count(dataset: Dataset) -> None:
    contours(dataset)[2].NumberOfContourPoints += 1


def bad_roi_reference(dataset: Dataset) -> None:
    dataset.ROIContourSequence[0].ReferencedROINumber = 9


def non_planar(dataset: Dataset) -> None:
    moved = points(contours(dataset)[3])
    moved[::7, 2] += 1.0
    put(contours(dataset)[3], moved)


def shifted_z(dataset: Dataset) -> None:
    for contour in contours(dataset):
        put(contour, points(contour) + np.array([0, 0, 1.2]))


def missing_attribute(dataset: Dataset) -> None:
    del dataset.StructureSetDate


def overlong_ds(dataset: Dataset) -> None:
    x, y, z = points(contours(dataset)[1])[0]
    texts = list(map(str, contours(dataset)[1].ContourData))
    texts[:3] = [f"{x:.14f}"[:18].ljust(18, "0"), str(y), str(z)]
    contours(dataset)[1].ContourData = texts


def overlong_label(dataset: Dataset) -> None:
    dataset.StructureSetLabel = "a label of more than 16"


def empty_contour_sequence(dataset: Dataset) -> None:
    dataset.ROIContourSequence[0].ContourSequence = []


def fewer_than_three_points(dataset: Dataset) -> None:
    put(contours(dataset)[0], points(contours(dataset)[0])[:2])


def self_intersection(dataset: Dataset) -> None:
    crossed = points(contours(dataset)[3])
    crossed[[5, 25]] = crossed[[25, 5]]
    put(contours(dataset)[3], crossed)


def outside_the_image(dataset: Dataset) -> None:
    put(contours(dataset)[3], points(contours(dataset)[3]) + np.array([200, 0, 0]))


def duplicated_roi_number(dataset: Dataset) -> None:
    second_roi(dataset, ROINumber=1)


def duplicated_name(dataset: Dataset) -> None:
    second_roi(dataset, ROIName="Bladder")


def patient_mismatch(dataset: Dataset) -> None:
    dataset.PatientID = "SEED0002"


def other_series(dataset: Dataset) -> None:
    study = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    study.RTReferencedSeriesSequence[0].SeriesInstanceUID = generate_uid()


def wrong_class(dataset: Dataset) -> None:
    contours(dataset)[2].ContourImageSequence[0].ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"


def no_image_reference(dataset: Dataset) -> None:
    del contours(dataset)[2].ContourImageSequence


def same_contour_twice(dataset: Dataset) -> None:
    contours(dataset).append(contours(dataset)[2])


def same_contour_the_other_way_round(dataset: Dataset) -> None:
    again = copy.deepcopy(contours(dataset)[2])
    put(again, np.roll(points(again)[::-1], 5, axis=0))
    contours(dataset).append(again)


def two_that_cross(dataset: Dataset) -> None:
    beside = copy.deepcopy(contours(dataset)[2])
    put(beside, points(beside) + np.array([4.0, 0, 0]))
    contours(dataset).append(beside)


def first_point_repeated(dataset: Dataset) -> None:
    closed = points(contours(dataset)[2])
    put(contours(dataset)[2], np.vstack([closed, closed[:1]]))


def no_area(dataset: Dataset) -> None:
    line = points(contours(dataset)[2])[0] + np.outer([0, 1, 2, 3], [1.0, 0, 0])
    put(contours(dataset)[2], line)


def tilted(dataset: Dataset) -> None:
    leaning = points(contours(dataset)[3])
    leaning[:, 2] += (leaning[:, 0] - leaning[:, 0].mean()) / 10
    put(contours(dataset)[3], leaning)


def between_two_slices(dataset: Dataset) -> None:
    del contours(dataset)[3].ContourImageSequence
    put(contours(dataset)[3], points(contours(dataset)[3]) + np.array([0, 0, 1.2]))


def of_the_type_that_readers_drop(dataset: Dataset) -> None:
    contours(dataset)[3].ContourGeometricType = "CLOSEDPLANAR_XOR"


def not_observed(dataset: Dataset) -> None:
    second_roi(dataset)
    dataset.RTROIObservationsSequence.pop()


def no_triples(dataset: Dataset) -> None:
    contours(dataset)[2].ContourData = list(contours(dataset)[2].ContourData)[:-1]


def undefined_term(dataset: Dataset) -> None:
    dataset.ApprovalStatus = "MAYBE"


def undeclared_letters(dataset: Dataset) -> None:
    # As a Latin-1 file looks whose character set was forgotten.
    dataset.StructureSetROISequence[0].ROIDescription = "Blåsa"


def letters_of_an_unknown_character_set(dataset: Dataset) -> None:
    dataset.SpecificCharacterSet = "ISO_IR_192"
    dataset.StructureSetROISequence[0].ROIDescription = "Blåsa"


def in_the_series_of_its_ct(dataset: Dataset) -> None:
    frame = dataset.ReferencedFrameOfReferenceSequence[0]
    dataset.SeriesInstanceUID = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].SeriesInstanceUID


def named_as_an_image(dataset: Dataset) -> None:
    dataset.SOPInstanceUID = contours(dataset)[0].ContourImageSequence[0].ReferencedSOPInstanceUID


def bad_uid(dataset: Dataset) -> None:
    dataset.SeriesInstanceUID = "1.02.3"


DEFECTS: dict[Callable[[Dataset], None], str] = {
    wrong_frame_of_reference: "wrong-frame",
    wrong_study: "wrong-study",
    filed_under_another_study: "wrong-study",
    wrong_sop_reference: "wrong-image",
    wrong_point_count: "point-count",
    bad_roi_reference: "bad-roi-reference",
    non_planar: "non-planar",
    shifted_z: "off-plane",
    missing_attribute: "missing-attribute",
    overlong_ds: "long-value",
    overlong_label: "long-value",
    empty_contour_sequence: "empty-sequence",
    fewer_than_three_points: "few-points",
    self_intersection: "self-intersection",
    outside_the_image: "outside-image",
    duplicated_roi_number: "duplicate-number",
    mixed_frames: "wrong-frame",
    duplicated_name: "duplicate-name",
    patient_mismatch: "patient-mismatch",
    other_series: "wrong-series",
    wrong_class: "wrong-class",
    no_image_reference: "no-reference",
    same_contour_twice: "duplicate-contour",
    same_contour_the_other_way_round: "duplicate-contour",
    two_that_cross: "crossing-contours",
    no_area: "zero-area",
    tilted: "oblique",
    between_two_slices: "between-slices",
    of_the_type_that_readers_drop: "xor-type",
    not_observed: "roi-without-item",
    no_triples: "contour-data",
    undefined_term: "bad-value",
    undeclared_letters: "character-set",
    letters_of_an_unknown_character_set: "character-set",
    in_the_series_of_its_ct: "same-series",
    named_as_an_image: "same-identifier",
    bad_uid: "bad-value",
}


def test_a_good_file_has_no_finding(series, structure_set):
    assert check_rtstruct(structure_set, series.ct) == []
    assert check_rtstruct(structure_set, None) == []


@pytest.mark.parametrize("spoil", DEFECTS, ids=lambda spoil: spoil.__name__)
def test_each_defect_is_found(series, structure_set, spoil):
    edit(structure_set, spoil)
    findings = check_rtstruct(structure_set, series.ct)
    assert DEFECTS[spoil] in {finding.code for finding in findings if finding.severity != "note"}
    assert not any("SEED" in finding.sentence or "PHANTOM" in finding.sentence for finding in findings)


@pytest.mark.parametrize("end", ["^^^", "^ ", "^=^^", " "])
def test_a_name_may_be_written_with_its_empty_parts(series, structure_set, end):
    """Planning systems write all five parts of a name, archives those that are filled."""
    edit(structure_set, lambda dataset: setattr(dataset, "PatientName", f"{dataset.PatientName}{end}"))
    assert check_rtstruct(structure_set, series.ct) == []
    edit(structure_set, lambda dataset: setattr(dataset, "PatientName", f"JR{dataset.PatientName}"))
    assert "patient-mismatch" in {finding.code for finding in check_rtstruct(structure_set, series.ct)}


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PatientName", "Phantom^Elsewise"), ("PatientSex", "F")],
)
def test_the_number_makes_the_patient(series, structure_set, keyword, value):
    """Planning systems write a name in their own way."""
    edit(structure_set, lambda dataset: setattr(dataset, keyword, value))
    (finding,) = check_rtstruct(structure_set, series.ct)
    assert (finding.code, finding.severity) == ("patient-mismatch", "warning")
    edit(structure_set, lambda dataset: setattr(dataset, "PatientID", "somebody else"))
    assert {finding.severity for finding in check_rtstruct(structure_set, series.ct)} == {"error"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("PHANTOM^SEED", "Phantom^Seed", True),
        ("Yamada^Tarou=山田^太郎", "Yamada^Tarou", True),
        ("Yamada^Tarou=山田^太郎", "=山田^太郎", True),
        ("Yamada^Tarou=山田^太郎", "Yamada^Hanako=山田^太郎", False),
        ("Yamada^Tarou", "=山田^太郎", False),
        ("", "", False),
    ],
)
def test_names_are_compared_by_the_groups_that_both_have(one, other, same):
    assert same_name(one, other) is same


def test_a_structure_that_names_no_frame_lies_where_its_images_do(series, structure_set):
    edit(
        structure_set, lambda dataset: setattr(dataset.StructureSetROISequence[0], "ReferencedFrameOfReferenceUID", "")
    )
    found = [(finding.code, finding.severity) for finding in check_rtstruct(structure_set, series.ct)]
    assert ("no-frame", "warning") in found
    structures = read_structure_set(structure_set)
    assert doubtful_contours(structures, structures.rois, series.ct) == []


def test_the_files_own_frame_is_one_beside_those_of_its_structures(series, structure_set):
    edit(structure_set, lambda dataset: setattr(dataset, "FrameOfReferenceUID", generate_uid()))
    structures = read_structure_set(structure_set)
    assert doubtful_contours(structures, structures.rois, series.ct) == []
    wrong = [finding for finding in check_rtstruct(structure_set, series.ct) if finding.code == "wrong-frame"]
    assert [finding.severity for finding in wrong] == ["warning"]


def test_a_structure_drawn_on_an_mr_keeps_nobody_from_another(series, structure_set):
    """One set may hold structures of several frames of reference (PS3.3 C.8.8.5.1)."""
    edit(structure_set, mixed_frames)
    structures = read_structure_set(structure_set)
    bladder, elsewhere = structures.rois
    assert doubtful_contours(structures, [bladder], series.ct) == []
    for wanted in ([elsewhere], [bladder, elsewhere]):
        with pytest.raises(InputError, match="another frame of reference"):
            doubtful_contours(structures, wanted, series.ct)


def test_a_repeated_point_is_a_note(series, structure_set):
    """It is of no use and does no harm: plastimatch closes all of its contours so."""
    edit(structure_set, first_point_repeated)
    assert [(one.code, one.severity) for one in check_rtstruct(structure_set, series.ct)] == [
        ("repeated-point", "note")
    ]


def test_what_is_lawful_and_odd_is_a_note(series, structure_set):
    """Planning systems list the images they drew on, and keep a structure that nobody has drawn yet."""

    def change(dataset: Dataset) -> None:
        second_roi(dataset)
        del dataset.ROIContourSequence[1].ContourSequence
        study = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
        del study.RTReferencedSeriesSequence[0].ContourImageSequence[-3:]

    edit(structure_set, change)
    said = {one.code: (one.severity, one.sentence) for one in check_rtstruct(structure_set, series.ct)}
    assert said == {
        "images-not-listed": ("note", "3 images of the CT are not listed"),
        "no-contours": ("note", "1 structures have no contours: Other"),
    }


def test_slices_left_out_are_a_note(series, structure_set):
    """Lawful, and what a structure of several parts looks like; but also one drawn on every second slice."""

    def leave_out(dataset: Dataset) -> None:
        heights = sorted({one[0, 2] for one in map(points, contours(dataset))})
        kept = [one for one in contours(dataset) if points(one)[0, 2] not in (heights[2], heights[4], heights[5])]
        dataset.ROIContourSequence[0].ContourSequence = kept

    edit(structure_set, leave_out)
    (finding,) = check_rtstruct(structure_set, series.ct)
    assert (finding.code, finding.severity) == ("slices-without-contours", "note")
    assert finding.sentence.startswith("3 slices between the contours of 'Bladder'")
    assert check_rtstruct(structure_set, None) == []


def test_contour_data_of_unknown_representation(series, structure_set):
    """Explicit VR cannot hold a DS of 64 KiB: writers turn it into UN, and readers then lose the structure."""

    def refine(dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        contour = contours(dataset)[3]
        ring = np.vstack([points(contour), points(contour)[:1]])
        place = np.linspace(0, len(ring) - 1, 4000, endpoint=False)
        put(contour, np.column_stack([np.interp(place, np.arange(len(ring)), axis) for axis in ring.T]))

    dataset = pydicom.dcmread(structure_set)
    refine(dataset)
    with pytest.warns(UserWarning, match="changed from 'DS' to 'UN'"):
        save(dataset, structure_set)
    said = {finding.code: finding.sentence for finding in check_rtstruct(structure_set, series.ct)}
    assert "(UN)" in said["contour-data"]


@pytest.mark.parametrize("content", [b"", b"text " * 50], ids=["empty", "text"])
def test_no_structure_set_is_refused(series, tmp_path, content):
    path = tmp_path / "rs.dcm"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no readable DICOM"):
        check_rtstruct(path, series.ct)
    with pytest.raises(InputError, match="no RT Structure Set"):
        check_rtstruct(series.files[0], series.ct)
    with pytest.raises(InputError, match="cannot be read"):
        check_rtstruct(tmp_path / "missing.dcm", series.ct)
