"""Enhanced (multi-frame) CT: frames by their own positions, whatever their order; incomplete files are refused."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from BladderAutoContourLib.dicom.check import check_rtstruct
from BladderAutoContourLib.dicom.ct_series import CtSeries, read_ct, survey
from BladderAutoContourLib.dicom.rasterise import roi_mask
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest
from BladderAutoContourLib.dicom.structure_merge import MergeRequest, merge_rtstruct
from BladderAutoContourLib.dicom.structure_reader import read_structure_set
from BladderAutoContourLib.dicom.structure_set import write_rtstruct
from BladderAutoContourLib.errors import InputError
from multi_frame import ENHANCED_CT, write_enhanced
from scenes import OBLIQUE, SHAPES, edit, grid, mask_volume, set_in, texture, write_series

GEOMETRY = grid((24, 20, 9), direction=OBLIQUE)
SHUFFLED = (4, 0, 7, 2, 8, 1, 6, 3, 5)
COMPRESSED = {
    "RLE": ["dcmcrle"],
    "JPEG lossless": ["dcmcjpeg", "+e1"],
    "JPEG-LS": ["dcmcjpls"],
    "JPEG 2000": ["gdcmconv", "--j2k"],
    "deflated": ["dcmconv", "+td"],
    "big endian": ["dcmconv", "+tb"],
    "explicit": ["dcmconv", "+te"],
}


@pytest.fixture
def enhanced(tmp_path: Path) -> Path:
    """A folder of one enhanced CT, its frames shuffled, two of them rescaled in other ways than the rest."""
    files = write_series(tmp_path / "single", GEOMETRY)
    set_in(files[3], RescaleSlope="0.5", RescaleIntercept="-1024")
    set_in(files[7], RescaleIntercept="-1000.25")
    (tmp_path / "enhanced").mkdir()
    write_enhanced(tmp_path / "enhanced" / "ct.dcm", files, SHUFFLED)
    return tmp_path / "enhanced"


def expected_hu() -> np.ndarray:
    expected = texture(GEOMETRY).array.astype(float)
    expected[3] = (expected[3] + 1024) * 0.5 - 1024
    expected[7] += 23.75
    return expected


def assert_read(ct: CtSeries) -> None:
    assert np.allclose(ct.volume.array, expected_hu())
    assert ct.volume.geometry.same_as(GEOMETRY, 1e-3)
    assert [one.frame_number for one in ct.slices] == [SHUFFLED.index(z) + 1 for z in range(9)]
    assert {(finding.code, finding.severity) for finding in ct.findings} == {("multi-frame", "note")}


def test_shuffled_frames_are_put_in_place(enhanced):
    ct = read_ct([enhanced])
    assert_read(ct)
    assert {one.sop_class_uid for one in ct.slices} == {ENHANCED_CT}
    assert [str(summary) for summary in survey([enhanced])[0]] == [f"{ct.series_uid}: 24 x 20 x 9, 1.2 x 1.1 x 3 mm"]


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_compressed_frames(enhanced, tmp_path, judge, syntax):
    program, *options = COMPRESSED[syntax]
    plain, folder = enhanced / "ct.dcm", tmp_path / "compressed"
    folder.mkdir()
    subprocess.run([judge(program), *options, str(plain), str(folder / "ct.dcm")], check=True)
    uids = [pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
            for path in (plain, folder / "ct.dcm")]  # fmt: skip
    assert uids[0] != uids[1]
    assert_read(read_ct([folder]))


def test_contours_name_the_right_frame(enhanced, tmp_path):
    ct = read_ct([enhanced])
    mask = mask_volume(SHAPES["ellipsoid"](GEOMETRY), ct.volume.geometry)
    path = tmp_path / "rs.dcm"
    assert write_rtstruct(ct, mask, path, StructureRequest()).agreement == 1.0
    source, written = pydicom.dcmread(enhanced / "ct.dcm"), pydicom.dcmread(path)
    normal = np.cross(*np.array(GEOMETRY.direction).T[:2])
    contours = written.ROIContourSequence[0].ContourSequence
    assert len(contours) >= 9
    for contour in contours:
        (reference,) = contour.ContourImageSequence
        assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
        frame = source.PerFrameFunctionalGroupsSequence[reference.ReferencedFrameNumber - 1]
        position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        assert np.abs((points - position) @ normal).max() < 1e-3
    listed = written.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert [item.ReferencedSOPInstanceUID for item in listed.ContourImageSequence] == [source.SOPInstanceUID]
    assert check_rtstruct(path, ct) == []
    roi = read_structure_set(path).roi("Bladder")
    assert np.array_equal(roi_mask(roi, ct.volume.geometry)[0].array, mask.array)


def test_structure_sets_are_judged_as_those_of_single_frames(enhanced, tmp_path, dciodvfy_errors):
    ct = read_ct([enhanced])
    mask = mask_volume(SHAPES["small ball"](GEOMETRY), ct.volume.geometry)
    path, merged = tmp_path / "rs.dcm", tmp_path / "merged.dcm"
    write_rtstruct(ct, mask, path, StructureRequest())
    assert dciodvfy_errors(path) == []
    merge_rtstruct(ct, mask, merged, StructureRequest(roi_name="Second"), MergeRequest(path))
    assert check_rtstruct(merged, ct) == []

    def first_image(dataset: pydicom.Dataset) -> pydicom.Dataset:
        return dataset.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0]

    edit(merged, lambda dataset: setattr(first_image(dataset), "ReferencedFrameNumber", 1))
    assert [finding.code for finding in check_rtstruct(merged, ct)] == ["off-plane"]
    edit(merged, lambda dataset: setattr(first_image(dataset), "ReferencedFrameNumber", 10))
    assert "wrong-image" in [finding.code for finding in check_rtstruct(merged, ct)]
    edit(merged, lambda dataset: delattr(first_image(dataset), "ReferencedFrameNumber"))
    assert [finding.code for finding in check_rtstruct(merged, ct)] == ["no-frame"]


def missing_frame(dataset: pydicom.Dataset) -> None:
    """The frame of slice 3 is left out, description and pixels."""
    place = SHUFFLED.index(3)
    del dataset.PerFrameFunctionalGroupsSequence[place]
    size = dataset.Rows * dataset.Columns * 2
    dataset.PixelData = dataset.PixelData[: place * size] + dataset.PixelData[(place + 1) * size :]
    dataset.NumberOfFrames = 8


def undescribed_frame(dataset: pydicom.Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[-1]


def cut_pixels(dataset: pydicom.Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:-100]


def no_position(dataset: pydicom.Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence


def no_groups(dataset: pydicom.Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence, dataset.SharedFunctionalGroupsSequence


def two_at_one_position(dataset: pydicom.Dataset) -> None:
    frames = dataset.PerFrameFunctionalGroupsSequence
    frames[1].PlanePositionSequence = frames[0].PlanePositionSequence


INCOMPLETE: dict[Callable[[pydicom.Dataset], None], str] = {
    missing_frame: r"gap: 1 slice is missing between frame 4 of ct\.dcm and frame 1 of ct\.dcm",
    undescribed_frame: r"does not describe each of its frames",
    cut_pixels: r"cut off within its pixels",
    no_position: r"missing in frame 3 of ct\.dcm",
    no_groups: r"does not describe each of its frames",
    two_at_one_position: r"lie at one position \(frame 1 of ct\.dcm and frame 2 of ct\.dcm\)",
}


@pytest.mark.parametrize("spoil", INCOMPLETE, ids=lambda spoil: spoil.__name__)
def test_incomplete_files_are_refused(enhanced, spoil):
    edit(enhanced / "ct.dcm", spoil)
    with pytest.raises(InputError, match=INCOMPLETE[spoil]) as caught:
        read_ct([enhanced])
    assert caught.value.files == (str(enhanced / "ct.dcm"),)


def test_a_localizer_frame_is_left_out(enhanced):
    def add_scout(dataset: pydicom.Dataset) -> None:
        frame = dataset.PerFrameFunctionalGroupsSequence[SHUFFLED.index(8)]
        frame.CTImageFrameTypeSequence = [pydicom.Dataset()]
        frame.CTImageFrameTypeSequence[0].FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]

    edit(enhanced / "ct.dcm", add_scout)
    ct = read_ct([enhanced])
    assert np.allclose(ct.volume.array, expected_hu()[:8])
    assert {finding.code for finding in ct.findings} == {"multi-frame", "localizer"}


def test_a_series_in_several_parts(tmp_path):
    files = write_series(tmp_path / "single", GEOMETRY)
    folder = tmp_path / "enhanced"
    folder.mkdir()
    write_enhanced(folder / "a.dcm", files[:4], (2, 0, 3, 1))
    write_enhanced(folder / "b.dcm", files[4:])
    ct = read_ct([folder])
    assert np.array_equal(ct.volume.array, texture(GEOMETRY).array)
    mask = mask_volume(SHAPES["ellipsoid"](GEOMETRY), ct.volume.geometry)
    write_rtstruct(ct, mask, tmp_path / "rs.dcm", StructureRequest())
    assert check_rtstruct(tmp_path / "rs.dcm", ct) == []
