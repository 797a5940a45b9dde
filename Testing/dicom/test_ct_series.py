"""Reading CT series: voxels, geometry and references are those of the files, whatever the patient's position."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from BladderAutoContourLib.dicom.ct_series import read_ct, survey
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.pipeline.warnings import Contoured, cut_bladder
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import DIRECTIONS, edit, grid, set_in, texture, turned, write_series


def codes(ct) -> set[str]:
    return {finding.code for finding in ct.findings}


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_volume_and_geometry_come_back(tmp_path, direction):
    volume = texture(grid(direction=direction))
    write_series(tmp_path, volume.geometry)
    ct = read_ct([tmp_path])
    assert ct.volume.geometry.same_as(volume.geometry, 1e-3)
    assert ct.volume.array.dtype == np.int16
    assert np.array_equal(ct.volume.array, volume.array)
    assert ct.findings == ()


@settings(max_examples=8)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    centre=st.tuples(*[st.floats(-1500, 1500)] * 3),
)
def test_any_orientation_comes_back(tmp_path_factory, angles, spacing, centre):
    folder = tmp_path_factory.mktemp("turned")
    geometry = grid((9, 7, 5), spacing, turned(*angles), centre)
    write_series(folder, geometry)
    ct = read_ct([folder])
    assert ct.volume.geometry.same_as(geometry, 1e-2)
    assert np.array_equal(ct.volume.array, texture(geometry).array)


def test_simpleitk_reads_the_same_volume(series):
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series.folder)))
    image = reader.Execute()
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), series.ct.volume.array)
    assert np.allclose(image.GetOrigin(), series.ct.volume.geometry.origin_mm, atol=1e-3)
    assert np.allclose(image.GetSpacing(), series.ct.volume.geometry.spacing_mm, atol=1e-5)


def test_slices_refer_to_their_files(series):
    for z, reference in enumerate(series.ct.slices):
        header = pydicom.dcmread(reference.path, stop_before_pixels=True)
        assert reference.path == series.files[z]
        assert reference.sop_instance_uid == header.SOPInstanceUID
        assert reference.sop_class_uid == header.SOPClassUID
        assert np.allclose(reference.position_mm, [float(value) for value in header.ImagePositionPatient])
    assert series.ct.header.PatientName == "PHANTOM^SEED0001"
    assert "PixelData" not in series.ct.header


def test_order_of_files_and_numbers_does_not_matter(tmp_path):
    files = write_series(tmp_path)
    for number, file in enumerate(np.random.default_rng(3).permutation(files)):
        set_in(Path(file), InstanceNumber=int(number))
    mixed = [Path(file) for file in np.random.default_rng(4).permutation(files)]
    assert np.array_equal(read_ct(mixed).volume.array, texture(grid()).array)


def test_nested_folders_and_names_without_ending(tmp_path):
    files = write_series(tmp_path / "in Blasenstudie äöü" / "ct")
    for number, file in enumerate(files):
        folder = tmp_path / f"part {number % 3}"
        folder.mkdir(exist_ok=True)
        file.rename(folder / f"I{number}")
    assert np.array_equal(read_ct([tmp_path]).volume.array, texture(grid()).array)


def test_each_slice_is_rescaled_by_its_own_values(tmp_path):
    files = write_series(tmp_path)
    set_in(files[3], RescaleSlope="0.5", RescaleIntercept="-1024")
    set_in(files[7], RescaleIntercept="-1000.25")
    expected = texture(grid()).array.astype(float)
    expected[3] = (expected[3] + 1024) * 0.5 - 1024
    expected[7] += 23.75
    volume = read_ct([tmp_path]).volume
    assert volume.array.dtype == np.float32
    assert np.allclose(volume.array, expected)


def test_padding_is_one_value_and_told_from_air(tmp_path):
    files = write_series(tmp_path)

    def pad(dataset: pydicom.Dataset) -> None:
        stored = dataset.pixel_array.astype(np.int16) - 1024
        stored[:5] = -2000
        stored[5:8] = -3024
        stored[8:10] = 30000
        dataset.PixelData = stored.tobytes()
        dataset.PixelRepresentation = 1
        dataset.RescaleIntercept = "0"
        dataset.PixelPaddingValue = 30000
        dataset["PixelPaddingValue"].VR = "SS"

    for file in files:
        dataset = pydicom.dcmread(file)
        pad(dataset)
        dataset.save_as(file)
    volume = read_ct([tmp_path]).volume
    assert (volume.array[:, :10] == -2000).all()
    assert np.array_equal(volume.array[:, 10:], texture(grid()).array[:, 10:])
    mask = np.zeros(volume.array.shape, np.uint8)
    mask[5:9, 12:20, 20:30] = 1
    assert cut_bladder(Contoured(volume, Volume(mask, volume.geometry), 60.0)) is None
    mask[6, 10, 22] = 1
    found = cut_bladder(Contoured(volume, Volume(mask, volume.geometry), 60.0))
    assert (found.code, found.slices) == ("bladder-cut", (6,))


def test_a_padding_value_among_tissue_is_not_believed(tmp_path):
    files = write_series(tmp_path)
    for file in files:
        edit(file, lambda dataset: dataset.add_new("PixelPaddingValue", "US", 1024))  # 0 HU: water
    assert np.array_equal(read_ct([tmp_path]).volume.array, texture(grid()).array)


def test_localizers_in_the_series_are_left_out(tmp_path):
    files = write_series(tmp_path)
    scout = pydicom.dcmread(files[0])
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient = ["1", "0", "0", "0", "0", "-1"]
    scout.SOPInstanceUID = scout.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    scout.save_as(tmp_path / "scout.dcm")
    ct = read_ct([tmp_path])
    assert len(ct.slices) == len(files)
    assert codes(ct) == {"localizer"}
    assert [Path(name).name for name in ct.findings[0].files] == ["scout.dcm"]


def test_images_of_another_orientation_are_left_out_with_a_warning(tmp_path):
    files = write_series(tmp_path)
    uid = pydicom.dcmread(files[0]).SeriesInstanceUID
    for number, file in enumerate(write_series(tmp_path / "other", grid((64, 56, 2)), seed=2)):
        set_in(file, SeriesInstanceUID=uid, ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"])
        assert number < 2
    ct = read_ct([tmp_path])
    assert np.array_equal(ct.volume.array, texture(grid()).array)
    assert {(finding.code, finding.severity) for finding in ct.findings} == {("other-plane", "warning")}


def test_copies_are_dropped(tmp_path):
    files = write_series(tmp_path)
    (tmp_path / "copy.dcm").write_bytes(files[5].read_bytes())
    ct = read_ct([tmp_path])
    assert np.array_equal(ct.volume.array, texture(grid()).array)
    assert codes(ct) == {"duplicate"}


def test_positions_rounded_by_the_scanner_are_taken(tmp_path):
    files = write_series(tmp_path, grid(spacing_mm=(1.0, 1.0, 1.25)))
    for file in files:
        position = pydicom.dcmread(file).ImagePositionPatient
        set_in(file, ImagePositionPatient=[f"{float(value):.1f}" for value in position])
    ct = read_ct([tmp_path])
    assert ct.volume.geometry.spacing_mm[2] == pytest.approx(1.25, abs=0.01)
    assert len(ct.slices) == len(files)


def test_a_declared_tilt_that_positions_deny_is_a_warning(tmp_path):
    for file in write_series(tmp_path):
        set_in(file, GantryDetectorTilt="15")
    assert {(finding.code, finding.severity) for finding in read_ct([tmp_path]).findings} == {
        ("gantry-tilt", "warning")
    }


def test_other_files_in_the_folder_are_named(tmp_path):
    files = write_series(tmp_path)
    (tmp_path / "readme.txt").write_text("not an image", encoding="utf-8")
    other = pydicom.dcmread(files[0])
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
    other.Modality = "PT"
    other.save_as(tmp_path / "pet.dcm")
    (tmp_path / "cut.dcm").write_bytes(files[4].read_bytes()[:300])
    ct = read_ct([tmp_path])
    assert len(ct.slices) == len(files)
    named = {finding.code: [Path(name).name for name in finding.files] for finding in ct.findings}
    assert named == {"not-dicom": ["readme.txt"], "other-object": ["pet.dcm"], "damaged": ["cut.dcm"]}


def test_a_series_is_chosen_among_several(tmp_path):
    write_series(tmp_path / "a", seed=1)
    write_series(tmp_path / "b", grid((40, 40, 9)), seed=2)
    uid = pydicom.dcmread(tmp_path / "b" / "ct_0001.dcm").SeriesInstanceUID
    ct = read_ct([tmp_path], uid)
    assert ct.series_uid == uid
    assert ct.volume.array.shape == (9, 40, 40)
    assert [summary.images for summary in survey([tmp_path])[0]] == [20, 9]


def test_scouts_beside_a_series_are_no_second_series(tmp_path):
    files = write_series(tmp_path / "ct", seed=1)
    write_series(tmp_path / "scout", grid((40, 40, 2)), seed=2)
    ct = read_ct([tmp_path])
    assert len(ct.slices) == len(files)
    assert codes(ct) == {"other-series"}


def test_progress_grows_to_one(series):
    told: list[float] = []
    read_ct([series.folder], progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
