"""Cases as a planning system exports them: one folder a patient, slices and structure set under any names."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.dicom.structure_set import StructureRequest, write_rtstruct
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.evaluation.cases import CaseFolder, find_cases, read_case
from BladderAutoContourLib.imaging.files import to_sitk, write_volume
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume
from links import link


def export(folder: Path, slices: str, name: str = "RS.1.2.3.dcm") -> np.ndarray:
    """A patient's folder, the slices in its sub-folder `slices`; returns the bladder's mask (z, y, x)."""
    geometry = Geometry((40, 36, 12), (2.0, 2.0, 3.0), (0.0, 0.0, 0.0))
    hu = np.full(geometry.shape, -100, np.int16)
    mask = np.zeros(geometry.shape, np.uint8)
    mask[3:9, 10:24, 12:28] = 1
    write_ct_series(Volume(hu, geometry), folder / slices)
    write_rtstruct(read_ct([folder / slices]), Volume(mask, geometry), folder / name, StructureRequest())
    return mask > 0


@pytest.mark.parametrize("name", ["RS.1.2.3.dcm", "RS.1.2.246.352.71.4.1234", "IM0001"])
@pytest.mark.parametrize("slices", [".", "CT", "Serie 1/Bilder"])
def test_a_folder_with_slices_and_a_structure_set_is_a_case(slices, name, tmp_path):
    bladder = export(tmp_path / "Müller", slices, name)
    (tmp_path / "Müller" / "readme.txt").write_text("exported")
    (case,) = find_cases(tmp_path)
    assert case.name == "Müller"
    known = read_case(case, "Bladder")
    assert np.array_equal(known.bladder, bladder)


def test_a_mask_may_count_its_voxels_in_another_order(tmp_path):
    bladder = export(tmp_path / "one", "ct")
    geometry = read_ct([tmp_path / "one" / "ct"]).volume.geometry
    turned = sitk.DICOMOrient(to_sitk(Volume(bladder.astype(np.uint8), geometry)), "RSA")
    sitk.WriteImage(turned, str(tmp_path / "one" / "bladder.nrrd"))
    (case,) = find_cases(tmp_path)
    assert case.reference.name == "bladder.nrrd"
    assert np.array_equal(read_case(case).bladder, bladder)


def test_cases_are_called_as_their_user_calls_them(tmp_path, monkeypatch):
    """Links to where the archive keeps them, where all of them have one name."""
    for number in (1, 2):
        export(tmp_path / "archive" / f"ID{number}" / "scan", "ct", "RTSTRUCT.dcm")
        (tmp_path / "patients").mkdir(exist_ok=True)
        link(tmp_path / "patients" / f"p{number}", tmp_path / "archive" / f"ID{number}" / "scan", to_folder=True)
    assert [case.name for case in find_cases(tmp_path / "patients")] == ["p1", "p2"]
    assert [case.name for case in find_cases(tmp_path / "patients" / "p1")] == ["p1"]
    monkeypatch.chdir(tmp_path / "archive" / "ID1" / "scan" / "ct")
    assert [case.name for case in find_cases(Path(".."))] == ["scan"]
    monkeypatch.chdir(tmp_path / "archive" / "ID1" / "scan")
    assert [case.name for case in find_cases(Path())] == ["scan"]


def test_of_two_structure_sets_none_is_guessed(tmp_path):
    export(tmp_path / "one", "CT")
    (tmp_path / "one" / "RS.old.dcm").write_bytes((tmp_path / "one" / "RS.1.2.3.dcm").read_bytes())
    with pytest.raises(InputError, match=r"RS\.1\.2\.3\.dcm, RS\.old\.dcm"):
        find_cases(tmp_path)


@pytest.mark.parametrize("slices", [".", "ct", "CT", "Serie 1/Bilder"])
def test_a_ct_without_a_reference_is_not_passed_over(slices, tmp_path):
    export(tmp_path / "one", slices)
    export(tmp_path / "two", "ct")
    (tmp_path / "one" / "RS.1.2.3.dcm").unlink()
    with pytest.raises(InputError, match=r"one has no bladder\.nrrd or RTSTRUCT\.dcm"):
        find_cases(tmp_path)


@pytest.mark.parametrize("slices", [".", "CT"])
def test_a_structure_set_without_its_ct_is_not_passed_over(slices, tmp_path):
    export(tmp_path / "one", slices)
    for path in (tmp_path / "one" / slices).glob("ct_*.dcm"):
        path.unlink()
    with pytest.raises(InputError, match=r"one has no ct or ct\.nrrd"):
        find_cases(tmp_path)


@pytest.mark.parametrize("place", ["ct", "CT", "RTSTRUCT"])
def test_a_structure_set_in_a_folder_of_the_case_is_found(place, tmp_path):
    bladder = export(tmp_path / "one", "CT" if place == "RTSTRUCT" else place)
    (tmp_path / "one" / place).mkdir(exist_ok=True)
    (tmp_path / "one" / "RS.1.2.3.dcm").rename(tmp_path / "one" / place / "RS.dcm")
    (case,) = find_cases(tmp_path)
    assert case.name == "one"
    assert np.array_equal(read_case(case, "Bladder").bladder, bladder)


def test_a_folder_that_is_a_case_is_one_case(tmp_path):
    bladder = export(tmp_path / "one", "ct", "RTSTRUCT.dcm")
    (tmp_path / "one" / "ct" / "RS.dcm").write_bytes((tmp_path / "one" / "RTSTRUCT.dcm").read_bytes())
    (case,) = find_cases(tmp_path / "one")
    assert (case.name, case.reference.name) == ("one", "RTSTRUCT.dcm")
    (tmp_path / "one" / "RTSTRUCT.dcm").unlink()
    (case,) = find_cases(tmp_path / "one")
    assert (case.name, case.reference.name) == ("one", "RS.dcm")
    assert np.array_equal(read_case(case, "Bladder").bladder, bladder)


@pytest.mark.parametrize("slices", [".", "CT"])
def test_an_empty_mask_beside_an_export_says_that_there_is_no_bladder(slices, tmp_path):
    nothing = np.zeros_like(export(tmp_path / "one", slices), np.uint8)
    geometry = read_ct([tmp_path / "one"]).volume.geometry
    write_volume(Volume(nothing, geometry), tmp_path / "one" / "bladder.nrrd")
    (case,) = find_cases(tmp_path)
    assert not read_case(case, "Bladder").bladder.any()


@pytest.fixture
def planned(tmp_path) -> Callable[[Callable[[pydicom.Dataset], object]], CaseFolder]:
    """Makes a case, and changes its structure set."""

    def make(change: Callable[[pydicom.Dataset], object]) -> CaseFolder:
        path = tmp_path / "one" / "RTSTRUCT.dcm"
        export(tmp_path / "one", "ct", path.name)
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path)
        return find_cases(tmp_path)[0]

    return make


def second_series(folder: Path) -> None:
    """Another CT of the patient, in the same frame of reference."""
    slices = sorted((folder / "ct").iterdir())
    series, frame = pydicom.uid.generate_uid(), pydicom.dcmread(slices[0]).FrameOfReferenceUID
    for path in slices:
        dataset = pydicom.dcmread(path)
        dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = series, frame
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        dataset.RescaleIntercept = float(dataset.RescaleIntercept) + 300
        dataset.save_as(path.with_name(f"late {path.name}"))


def test_of_several_series_the_one_that_was_drawn_on_is_read(planned, tmp_path):
    case = planned(lambda dataset: None)
    alone = read_case(case, "Bladder")
    second_series(tmp_path / "one")
    known = read_case(case, "Bladder")
    np.testing.assert_array_equal(known.ct.array, alone.ct.array)
    assert known.findings == alone.findings == ()


def test_that_a_structure_was_drawn_on_another_series_is_said(planned, tmp_path):
    case = planned(lambda dataset: None)
    second_series(tmp_path / "one")
    for path in (tmp_path / "one" / "ct").iterdir():
        if not path.name.startswith("late"):
            path.unlink()
    known = read_case(case, "Bladder")
    assert known.bladder.any()
    assert any("referenced series is not that of the CT" in note for note in known.notes("one"))


def add_template(dataset: pydicom.Dataset, name: str) -> None:
    """Put a structure that nobody drew before the others, as planning templates do."""
    for keyword, number in (("StructureSetROISequence", "ROINumber"), ("ROIContourSequence", "ReferencedROINumber")):
        sequence = getattr(dataset, keyword)
        item = copy.deepcopy(sequence[0])
        setattr(item, number, 77)
        sequence.insert(0, item)
    dataset.StructureSetROISequence[0].ROIName = name
    dataset.ROIContourSequence[0].ContourSequence = []


def remove_contours(dataset: pydicom.Dataset) -> None:
    del dataset.ROIContourSequence[0].ContourSequence


def move_far(dataset: pydicom.Dataset) -> None:
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        contour.ContourData = [float(value) + 5000 for value in contour.ContourData]


def leave_points(dataset: pydicom.Dataset) -> None:
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        contour.ContourGeometricType = "POINT"


@pytest.mark.parametrize("empty", [remove_contours, move_far, leave_points])
def test_a_structure_without_contours_does_not_say_that_there_is_no_bladder(empty, planned):
    with pytest.raises(InputError, match=r"'Bladder' in RTSTRUCT\.dcm has no contours.*empty bladder\.nrrd"):
        read_case(planned(empty), "Bladder")


@pytest.mark.parametrize("name", ["Bladder", "BLADDER old"])
def test_of_the_named_structures_one_that_is_outlined_is_read(name, planned):
    case = planned(lambda dataset: add_template(dataset, name))
    assert read_case(case, name, "Bladder").bladder.sum() == 6 * 14 * 16


def drawn_on_an_mr_too(dataset: pydicom.Dataset) -> None:
    """Put another bladder, of a frame of reference of its own, before that of the CT."""
    drawn = copy.deepcopy(dataset.ROIContourSequence[0].ContourSequence[:2])
    add_template(dataset, "Bladder")
    dataset.ROIContourSequence[0].ContourSequence = drawn
    dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = pydicom.uid.generate_uid()


def drawn_twice(dataset: pydicom.Dataset) -> None:
    drawn_on_an_mr_too(dataset)
    dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = dataset.FrameOfReferenceUID
    dataset.StructureSetROISequence[0].ROIName = "BLADDER"


def cut_off(dataset: pydicom.Dataset) -> None:
    """As a system does that holds no more than so many numbers; the count of points stays."""
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        contour.ContourData = list(contour.ContourData)[:-3]


def test_of_two_bladders_that_of_the_ct_is_read(planned):
    known = read_case(planned(drawn_on_an_mr_too), "Bladder")
    assert known.bladder.sum() == 6 * 14 * 16
    assert known.findings == ()


def lie_off_their_images(dataset: pydicom.Dataset) -> None:
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        x, y, z = np.reshape(np.array(contour.ContourData, float), (-1, 3)).T
        contour.ContourData = [f"{one:.3f}" for one in np.stack([x, y, z + 5.0], axis=1).ravel()]


@pytest.mark.parametrize(
    ("spoil", "code"), [(drawn_twice, "duplicate-name"), (cut_off, "point-count"), (lie_off_their_images, "off-plane")]
)
def test_what_makes_a_reference_doubtful_is_told(spoil, code, planned):
    assert [one.code for one in read_case(planned(spoil), "Bladder").findings] == [code]


@pytest.mark.parametrize("values", [(1.0, 2.0), (0.01, 0.9), (-1.0, 1.0)])
def test_a_reference_of_several_values_is_refused(values, tmp_path):
    """Labels of several organs, a probability: which voxels are bladder would be a guess."""
    inside = export(tmp_path / "one", "ct")
    geometry = read_ct([tmp_path / "one" / "ct"]).volume.geometry
    mask = np.where(inside, values[1], 0).astype(np.float32)
    mask[0] = values[0]
    write_volume(Volume(mask, geometry), tmp_path / "one" / "bladder.nrrd")
    (case,) = find_cases(tmp_path)
    with pytest.raises(InputError, match=r"bladder\.nrrd is no mask of one structure"):
        read_case(case, "Bladder")
    mask[0] = 0
    write_volume(Volume(mask * 255, geometry), tmp_path / "one" / "bladder.nrrd")
    assert np.array_equal(read_case(case, "Bladder").bladder, inside)
