"""Slices that contradict each other a little: told, and the others believed; contradictions that matter are refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from BladderAutoContourLib.dicom.ct_series import CtSeries, read_ct
from BladderAutoContourLib.dicom.pydicom_versions import save
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest
from BladderAutoContourLib.dicom.structure_reader import read_structure_set
from BladderAutoContourLib.dicom.structure_set import write_rtstruct
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.imaging.volume import Volume
from pydicom.fileset import FileSet
from scenes import edit, grid, set_in, texture, write_series

GEOMETRY = grid((16, 12, 8))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_series(tmp_path / "ct", GEOMETRY)


def findings(ct: CtSeries) -> set[tuple[str, str, str]]:
    """Code, severity and file of what was found."""
    return {(one.code, one.severity, Path(one.files[0]).name) for one in ct.findings}


def move(file: Path, **mm: float) -> None:
    position = pydicom.dcmread(file).ImagePositionPatient
    moved = [float(value) + mm.get(axis, 0.0) for axis, value in zip("xyz", position, strict=True)]
    set_in(file, ImagePositionPatient=[f"{value:.4f}" for value in moved])


@pytest.mark.parametrize(
    ("place", "mm", "severity"),
    [(3, {"z": 0.2}, "warning"), (3, {"z": 0.04}, "note"), (0, {"z": 0.2}, "warning"), (7, {"x": 0.15}, "warning")],
)
def test_slices_a_little_off_the_grid_are_told(files, place, mm, severity):
    move(files[place], **mm)
    ct = read_ct([files[0].parent])
    assert findings(ct) == {("uneven-positions", severity, files[place].name)}
    assert len(ct.slices) == len(files)
    # A contour lies in its own slice's plane, wherever that is.
    assert ct.slices[place].position_mm == tuple(map(float, pydicom.dcmread(files[place]).ImagePositionPatient))


@pytest.mark.parametrize("place", [0, 4])
def test_the_orientation_and_pixel_spacing_of_most_slices_are_believed(files, place):
    set_in(files[place], ImageOrientationPatient=["1", "0.0008", "0", "0", "1", "0"])
    set_in(files[place], PixelSpacing=["1.1004", "1.2"])
    ct = read_ct([files[0].parent])
    assert ct.volume.geometry.same_as(GEOMETRY, 1e-3)
    name = files[place].name
    assert findings(ct) == {("uneven-orientation", "warning", name), ("uneven-pixels", "warning", name)}


def test_attributes_of_the_patient_that_differ_are_told_without_their_values(files):
    set_in(files[2], PatientName="Someone^Else", PatientSex="F")
    set_in(files[5], PatientBirthDate="19000101")
    ct = read_ct([files[0].parent])
    assert findings(ct) == {("mixed-patient", "warning", name) for name in ("ct_0003.dcm", "ct_0006.dcm")}
    said = " ".join(one.sentence for one in ct.findings)
    assert all(word in said for word in ("PatientName", "PatientSex", "PatientBirthDate"))
    assert "Else" not in said


def test_the_structure_set_is_for_the_patient_of_most_images(files):
    set_in(files[0], PatientName="Someone^Else", PatientBirthDate="19000101")
    header = read_ct([files[0].parent]).header
    assert header.PatientName == pydicom.dcmread(files[1]).PatientName
    assert header.PatientBirthDate == pydicom.dcmread(files[1]).PatientBirthDate


@pytest.mark.parametrize("numbers", [[1, 1, 1, 1, 2, 2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 2, 2, 1, 1, 1, 1]])
def test_acquisitions_one_after_the_other_are_one_volume(files, numbers):
    for file, number in zip(files, numbers, strict=True):
        set_in(file, AcquisitionNumber=number)
    assert len(read_ct([files[0].parent]).slices) == len(files)


@pytest.mark.parametrize(("unit", "codes"), [("HU", []), ("US", []), ("FUNNY", ["unknown-unit"])])
def test_a_unit_that_nobody_knows_is_told(files, unit, codes):
    for file in files:
        set_in(file, RescaleType=unit)
    found = read_ct([files[0].parent]).findings
    assert [finding.code for finding in found] == codes
    assert not any("FUNNY" in finding.sentence for finding in found), "any text may stand there, a patient's name too"


def test_a_refused_unit_is_named_without_the_text_of_another_image(files):
    set_in(files[0], RescaleType="EDW")
    set_in(files[1], RescaleType="Someone^Else")
    with pytest.raises(InputError, match=r"no Hounsfield units, but EDW \(ct_0001"):
        read_ct([files[0].parent])


def test_a_map_of_another_unit_beside_the_ct_is_no_second_ct(files, tmp_path):
    for file in write_series(tmp_path / "map", GEOMETRY, seed=4):
        set_in(file, RescaleType="Z_EFF")
    ct = read_ct([tmp_path])
    assert ct.series_uid == str(pydicom.dcmread(files[0]).SeriesInstanceUID)
    assert [finding.code for finding in ct.findings] == ["other-series"]


def test_a_tilt_that_is_no_number_is_no_damage(files):
    for file in files:
        set_in(file, GantryDetectorTilt="7.25")
        content = file.read_bytes()
        assert content.count(b"7.25") == 1
        file.write_bytes(content.replace(b"7.25", b"0,0 "))
    assert read_ct([files[0].parent]).findings == ()


PRIVATE = {  # Philips and GE write texts where pydicom's dictionary of private elements has numbers
    "1.2.840.10008.1.2": b"\xf1\x01\x10\x00\x08\x00\x00\x00ELSCINT1" + b"\xf1\x01\x26\x10\x06\x00\x00\x000.264 ",
    "1.2.840.10008.1.2.1": b"\x19\x00\x10\x00LO\x0c\x00GEMS_ACQU_01" + b"\x19\x00\x27\x10FD\x06\x0015030 ",
}
BEFORE = {"1.2.840.10008.1.2": b"\xe0\x7f\x10\x00", "1.2.840.10008.1.2.1": b"\x20\x00\x0d\x00UI"}


@pytest.mark.parametrize("syntax", PRIVATE)
def test_a_private_element_that_is_not_what_it_should_be_hinders_nobody(files, tmp_path, syntax):
    """PS3.5 7.8: what a program does not know of private elements, it passes over."""
    for file in files:
        dataset = pydicom.dcmread(file)
        dataset.file_meta.TransferSyntaxUID = syntax
        save(dataset, file)
        content = file.read_bytes()
        assert content.count(BEFORE[syntax]) == 1
        file.write_bytes(content.replace(BEFORE[syntax], PRIVATE[syntax] + BEFORE[syntax]))
    ct = read_ct([files[0].parent])
    assert ct.findings == ()
    mask = np.zeros(GEOMETRY.shape, np.uint8)
    mask[2:6, 3:9, 4:12] = 1
    write_rtstruct(ct, Volume(mask, ct.volume.geometry), tmp_path / "RS.dcm", StructureRequest())
    assert read_structure_set(tmp_path / "RS.dcm").rois[0].outlined


def test_a_file_with_two_identifiers_is_told(files):
    edit(files[2], lambda dataset: setattr(dataset.file_meta, "MediaStorageSOPInstanceUID", "1.2.3.4"))
    ct = read_ct([files[0].parent])
    assert findings(ct) == {("two-identifiers", "warning", "ct_0003.dcm")}
    assert ct.slices[2].sop_instance_uid == pydicom.dcmread(files[2]).SOPInstanceUID


@pytest.mark.parametrize("lacking", [{"RescaleIntercept": None}, {"RescaleSlope": None}, {"RescaleIntercept": ""}])
def test_values_that_nobody_says_how_to_rescale_are_told(files, lacking):
    set_in(files[3], **lacking)
    assert findings(read_ct([files[0].parent])) == {("no-rescale", "warning", files[3].name)}


@pytest.mark.parametrize(("place", "told"), [(3, {("blank", "warning", "ct_0004.dcm")}), (0, set()), (-1, set())])
def test_a_blank_slice_among_others_is_told(files, place, told):
    """At an end it is what resampling to a taller grid leaves."""
    edit(files[place], lambda dataset: setattr(dataset, "PixelData", bytes(len(dataset.PixelData))))
    assert findings(read_ct([files[0].parent])) == told


def test_bits_above_the_stored_ones_are_no_values(files):
    """As old scanners kept overlays there; SimpleITK agrees."""
    expected = texture(GEOMETRY).array
    for signed, file in enumerate(files[:2]):
        dataset = pydicom.dcmread(file)
        stored = np.clip(expected[signed], -1024, 1023).astype(np.int16) + (0 if signed else 1024)
        overlaid = stored.view(np.uint16) & 0x0FFF | 0x5000
        dataset.PixelData = overlaid.tobytes()
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, signed
        dataset.RescaleIntercept = "0" if signed else "-1024"
        dataset.save_as(file)
    ct = read_ct([files[0].parent])
    for z in range(2):
        judged = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(files[z])))[0]
        assert np.array_equal(ct.volume.array[z], judged)
        assert np.array_equal(ct.volume.array[z], np.clip(expected[z], -1024, 1023))


@pytest.mark.parametrize("signed", [0, 1])
def test_bits_below_the_stored_ones_are_no_values(files, signed):
    """As allowed until 2014: twelve bits at the upper end of sixteen."""
    expected = np.clip(texture(GEOMETRY).array[0], -1024, 1023)
    stored = (expected + (0 if signed else 1024)).astype(np.int16).view(np.uint16)
    dataset = pydicom.dcmread(files[0])
    dataset.PixelData = (stored << 4 | 0x5).tobytes()
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 15, signed
    dataset.RescaleIntercept = "0" if signed else "-1024"
    dataset.save_as(files[0])
    assert np.array_equal(read_ct([files[0].parent]).volume.array[0], expected)


def test_a_padding_value_may_need_more_than_the_stored_bits(files):
    dataset = pydicom.dcmread(files[0])
    stored = np.clip(texture(GEOMETRY).array[0], -1024, 1023)
    stored[:5] = -3024
    dataset.PixelData = stored.tobytes()
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation, dataset.RescaleIntercept = 12, 11, 1, "0"
    dataset.add_new("PixelPaddingValue", "SS", -3024)
    dataset.save_as(files[0])
    assert np.array_equal(read_ct([files[0].parent]).volume.array[0], np.where(stored == -3024, -2000, stored))


def test_a_dicomdir_beside_the_images_is_no_damage(files, tmp_path):
    media = FileSet()
    media.add(files[0])
    media.write(tmp_path / "media")
    (tmp_path / "media" / "DICOMDIR").rename(files[0].with_name("DICOMDIR"))
    ct = read_ct([files[0].parent])
    assert findings(ct) == {("other-object", "note", "DICOMDIR")}


def two_patients(files: list[Path]) -> None:
    set_in(files[4], PatientID="SEED0001")


def two_studies(files: list[Path]) -> None:
    set_in(files[4], StudyInstanceUID="1.2.3")


def one_identifier_for_two(files: list[Path]) -> None:
    set_in(files[4], SOPInstanceUID=pydicom.dcmread(files[1]).SOPInstanceUID)


def slope_of_zero(files: list[Path]) -> None:
    set_in(files[4], RescaleSlope="0")


def endless_intercept(files: list[Path]) -> None:
    set_in(files[4], RescaleIntercept="1e300")


def copies_of_another_patient(files: list[Path]) -> None:
    for file in files:
        copy = file.with_name(f"z{file.name}")
        copy.write_bytes(file.read_bytes())
        set_in(copy, PatientID="SEED0001", SOPInstanceUID=pydicom.uid.generate_uid())


def copies_beside_each_other(files: list[Path]) -> None:
    for file in files:
        copy = file.with_name(f"z{file.name}")
        copy.write_bytes(file.read_bytes())
        set_in(copy, SOPInstanceUID=pydicom.uid.generate_uid())
        move(copy, x=10.0)


def no_series(files: list[Path]) -> None:
    for file in files:
        set_in(file, SeriesInstanceUID="")


def far_away(files: list[Path]) -> None:
    move(files[4], x=1e9)


def empty_image(files: list[Path]) -> None:
    for file in files:
        set_in(file, Rows=0)


def too_few_bytes_declared(files: list[Path]) -> None:
    content = files[4].read_bytes()
    at = content.rindex(b"\xe0\x7f\x10\x00")
    files[4].write_bytes(content[: at + 4] + (100).to_bytes(4, "little") + content[at + 8 :])


REFUSALS: dict[Callable[[list[Path]], None], str] = {
    two_patients: "different patients .PatientID differs.: ct_0005.dcm",
    two_studies: "different studies: ct_0005.dcm",
    one_identifier_for_two: "one identifier .ct_0002.dcm and ct_0005.dcm.",
    slope_of_zero: "rescale slope or intercept of ct_0005.dcm is impossible",
    endless_intercept: "rescale slope or intercept of ct_0005.dcm is impossible",
    copies_of_another_patient: "different patients .PatientID differs.: zct_0001.dcm",
    copies_beside_each_other: "beside each other .ct_0001.dcm and zct_0001.dcm.",
    no_series: "no identifier of its study or series",
    far_away: "in ct_0005.dcm is impossible",
    empty_image: "size or pixel spacing in .* is impossible",
    too_few_bytes_declared: "gap: 1 slice is missing between ct_0004.dcm and ct_0006.dcm",
}


@pytest.mark.parametrize("spoil", REFUSALS, ids=lambda spoil: spoil.__name__)
def test_contradictions_that_matter_are_refused(files, spoil):
    spoil(files)
    with pytest.raises(InputError, match=REFUSALS[spoil]) as caught:
        read_ct([files[0].parent])
    assert caught.value.files
    assert "SEED" not in caught.value.message
