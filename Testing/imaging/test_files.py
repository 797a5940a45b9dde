"""Volume files keep voxels and their place in the patient, and say in a sentence what they cannot be."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from BladderAutoContourLib import host
from BladderAutoContourLib.errors import InputError, OutputError
from BladderAutoContourLib.imaging.files import (
    from_sitk,
    is_volume_file,
    read_volume,
    says_orientation,
    to_sitk,
    write_volume,
)
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from links import link

ANGLE = np.deg2rad(12)
OBLIQUE = ((np.cos(ANGLE), -np.sin(ANGLE), 0.0), (np.sin(ANGLE), np.cos(ANGLE), 0.0), (0.0, 0.0, 1.0))
FLIPPED = ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))


def volume_of(dtype: str, direction=OBLIQUE) -> Volume:
    array = np.random.default_rng(3).integers(0, 200, (4, 5, 6)).astype(dtype)
    return Volume(array, Geometry((6, 5, 4), (0.7, 0.9, 2.5), (-12.5, 40.25, 1000.0), direction))


def write(volume: Volume, path: Path) -> None:
    """As the program writes, and in the formats that it only reads as ITK does."""
    if path.suffix == ".nrrd":
        write_volume(volume, path)
    else:
        sitk.WriteImage(to_sitk(volume), str(path))


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".nii", ".mha"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_written_volume_comes_back_whole(tmp_path: Path, suffix: str, dtype: str) -> None:
    path = tmp_path / f"Blase groß {dtype}{suffix}"
    volume = volume_of(dtype)
    write(volume, path)
    back = read_volume(path)
    assert back.array.dtype == volume.array.dtype
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.geometry.same_as(volume.geometry, tolerance_mm=1e-3)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_itk_is_given_a_short_folder_name_on_windows(tmp_path: Path, monkeypatch, suffix: str) -> None:
    """Windows is made up here, with a kernel that knows one short name; the files and ITK are real."""
    long, short = tmp_path / "Müller", tmp_path / "MLLER~1"
    long.mkdir()
    opened = []

    class Kernel:
        class GetShortPathNameW:
            def __new__(cls, name, buffer, _characters):
                opened.append(name)
                if buffer is not None:
                    buffer.value = str(short)
                return len(str(short))

    link(short, long, to_folder=True)
    monkeypatch.setattr(host, "WINDOWS", True)
    monkeypatch.setattr(host.ctypes, "WinDLL", lambda _name, **_options: Kernel, raising=False)
    volume = volume_of("int16")
    write(volume, long / f"ct{suffix}")
    assert host.path_for_libraries(long / f"ct{suffix}") == str(short / f"ct{suffix}")
    opened.clear()
    np.testing.assert_array_equal(read_volume(long / f"ct{suffix}").array, volume.array)
    assert set(opened) == {str(long)}
    assert host.path_for_libraries(tmp_path / "ct.nrrd") == str(tmp_path / "ct.nrrd")
    short = long  # a disk that keeps no short names
    (long / f"cut{suffix}").write_bytes(b"no volume")
    with pytest.raises(InputError, match="in a folder of plain letters"):
        read_volume(long / f"cut{suffix}")


@pytest.mark.parametrize("direction", [OBLIQUE, FLIPPED])
def test_own_nrrd_says_the_same_to_itk(tmp_path: Path, direction) -> None:
    volume = volume_of("int16", direction)
    write_volume(volume, tmp_path / "ct.nrrd")
    image = sitk.ReadImage(str(tmp_path / "ct.nrrd"))
    assert image.GetPixelID() == sitk.sitkInt16
    for index in [(0, 0, 0), (5, 0, 3), (2, 4, 1)]:
        assert image[index] == volume.array[index[::-1]]
        place = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(place, volume.geometry.to_patient(index), atol=1e-6)


@given(
    st.tuples(*[st.floats(0.3, 8.0) for _ in range(3)]),
    st.tuples(*[st.floats(-2000, 2000) for _ in range(3)]),
    st.floats(-180, 180),
)
@settings(max_examples=25, deadline=None)
def test_sitk_and_volume_agree_on_every_voxels_place(spacing, origin, degrees) -> None:
    turn = np.deg2rad(degrees)
    rows = ((1.0, 0.0, 0.0), (0.0, np.cos(turn), -np.sin(turn)), (0.0, np.sin(turn), np.cos(turn)))
    volume = Volume(np.zeros((3, 4, 5), np.uint8), Geometry((5, 4, 3), spacing, origin, rows))
    image = to_sitk(volume)
    np.testing.assert_allclose(
        image.TransformIndexToPhysicalPoint((4, 1, 2)), volume.geometry.to_patient((4, 1, 2)), atol=1e-6
    )
    assert from_sitk(image).geometry.same_as(volume.geometry)


@pytest.mark.parametrize(
    ("stored", "kept"), [("uint16", "int16"), ("int32", "int16"), ("float64", "float32"), ("int8", "int16")]
)
def test_wide_types_become_economical_ones(tmp_path: Path, stored: str, kept: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.full((4, 4, 4), 90, stored)), str(tmp_path / "a.nrrd"))
    back = read_volume(tmp_path / "a.nrrd")
    assert back.array.dtype == kept
    assert (back.array == 90).all()


def test_whole_numbers_too_large_for_int16_become_float32(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.full((4, 4, 4), 60000, np.uint16)), str(tmp_path / "a.nrrd"))
    assert read_volume(tmp_path / "a.nrrd").array.dtype == np.float32


def test_time_axis_of_one_is_dropped(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.zeros((1, 4, 5, 6), np.int16), isVector=False)
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    assert read_volume(tmp_path / "a.nii.gz").array.shape == (4, 5, 6)


def write_text(path: Path) -> None:
    path.write_text("this is a letter, not a volume\n", encoding="utf-8")


def write_truncated(path: Path) -> None:
    write_volume(volume_of("int16"), path)
    path.write_bytes(path.read_bytes()[:-40])


def write_colour(path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 4, 4, 3), np.uint8), isVector=True), str(path))


def write_flat(path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((8, 8), np.int16)), str(path))


def write_without_number(path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.full((4, 4, 4), np.nan, np.float32)), str(path))


@pytest.mark.parametrize("write", [write_text, write_truncated, write_colour, write_flat, write_without_number])
def test_what_is_no_volume_is_said_with_the_files_name(tmp_path: Path, write) -> None:
    path = tmp_path / "scan.nrrd"
    write(path)
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert "scan.nrrd" in caught.value.message
    assert caught.value.files == (str(path),)


@pytest.mark.parametrize(
    ("space", "told"), [("space: left-posterior-superior\nspace directions: (2,0,0) (0,2,0) (0,0,3)", True),
                        ("spacings: 2 2 3", False)],
)  # fmt: skip
def test_a_nrrd_need_not_say_how_the_patient_lies(tmp_path: Path, space: str, told: bool) -> None:
    path = tmp_path / "ct.nrrd"
    path.write_bytes(_nrrd(space))
    assert says_orientation(path) is told


@pytest.mark.parametrize(("code", "told"), [(1, True), (0, False)])
def test_nor_need_a_nifti(tmp_path: Path, code: int, told: bool) -> None:
    path = tmp_path / "ct.nii"
    sitk.WriteImage(sitk.Image(4, 5, 6, sitk.sitkInt16), str(path))
    content = bytearray(path.read_bytes())
    struct.pack_into("<hh", content, 252, code, code)  # qform_code, sform_code
    path.write_bytes(content)
    assert says_orientation(path) is told


@pytest.mark.parametrize(("line", "told"), [("TransformMatrix = 1 0 0 0 1 0 0 0 1\n", True), ("", False)])
def test_nor_need_a_metaimage(tmp_path: Path, line: str, told: bool) -> None:
    path = tmp_path / "ct.mha"
    head = f"ObjectType = Image\nNDims = 3\n{line}ElementSpacing = 2 2 3\nDimSize = 4 5 6\nElementType = MET_SHORT\n"
    path.write_bytes(f"{head}ElementDataFile = LOCAL\n".encode() + bytes(2 * 4 * 5 * 6))
    assert read_volume(path).array.shape == (6, 5, 4)
    assert says_orientation(path) is told


def test_a_nifti_whose_axes_are_not_at_right_angles_is_no_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "ct.nii"
    sitk.WriteImage(sitk.Image(4, 5, 6, sitk.sitkInt16), str(path))
    content = bytearray(path.read_bytes())
    struct.pack_into("<hh", content, 252, 0, 1)  # qform_code, sform_code
    struct.pack_into("<12f", content, 280, 2, 0, 0, 0, 0, 2, 0.6, 0, 0, 0, 2, 0)  # srow_x, srow_y, srow_z
    struct.pack_into("<3f", content, 80, 2, 2, 2)  # pixdim
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"axes of ct\.nii are not at right angles .* rounded header"):
        read_volume(path)


def test_axes_that_are_not_at_right_angles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tilted.nrrd"
    path.write_bytes(_nrrd("space: left-posterior-superior\nspace directions: (2,0,0) (0,2,0) (0,0.728,2)"))
    with pytest.raises(InputError, match=r"axes of tilted\.nrrd are not at right angles"):
        read_volume(path)


def _nrrd(space: str) -> bytes:
    """A NRRD of 4 x 5 x 6 voxels that says this of its place."""
    head = f"NRRD0004\ntype: int16\ndimension: 3\nsizes: 4 5 6\n{space}\nendian: little\nencoding: raw\n\n"
    return head.encode() + bytes(2 * 4 * 5 * 6)


def test_missing_file_and_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_volume(tmp_path / "nothing.nrrd")
    with pytest.raises(InputError, match="folder"):
        read_volume(tmp_path)


def test_path_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_volume(volume_of("uint8"), tmp_path / "missing" / "a.nrrd")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_an_error_and_leaves_no_half_file(full_disk: Path) -> None:
    noise = np.random.default_rng(0).integers(-1000, 3000, (60, 200, 200)).astype(np.int16)
    volume = Volume(noise, Geometry((200, 200, 60), (1.0, 1.0, 1.0)))
    with pytest.raises(OutputError):
        write_volume(volume, full_disk / "a.nrrd")
    assert list(full_disk.iterdir()) == []
    (full_disk / "a.nrrd").write_bytes(b"an older file")
    with pytest.raises(OutputError):
        write_volume(volume, full_disk / "a.nrrd")
    assert [file.read_bytes() for file in full_disk.iterdir()] == [b"an older file"]


def test_names_of_volume_files() -> None:
    assert is_volume_file(Path("CT.NII.GZ"))
    assert is_volume_file(Path("a.b.nrrd"))
    assert not is_volume_file(Path("slice001.dcm"))


def test_compressed_file_is_a_gzip_stream_and_small(tmp_path: Path) -> None:
    volume = Volume(np.zeros((40, 64, 64), np.float32), Geometry((64, 64, 40), (1.0, 1.0, 1.0)))
    write_volume(volume, tmp_path / "zeros.nrrd")
    content = (tmp_path / "zeros.nrrd").read_bytes()
    assert len(content) < 10_000
    assert len(gzip.decompress(content[content.index(b"\n\n") + 2 :])) == volume.array.nbytes


@given(st.lists(st.sampled_from([0, 1, 7]), min_size=1, max_size=6), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_stretches_of_zeros_come_back_like_all_else(tmp_path_factory, fillings: list[int], rows: int) -> None:
    """Slices of more and of less than what is packed at a time, some empty, some not."""
    array = np.zeros((len(fillings), 97 * rows, 1301), np.float32)
    random = np.random.default_rng(5)
    for layer, filling in zip(array, fillings, strict=True):
        layer[-filling:, :filling] = random.normal(size=layer[-filling:, :filling].shape)
    path = tmp_path_factory.mktemp("zeros") / "a.nrrd"
    write_volume(Volume(array, Geometry(array.shape[::-1], (1.0, 1.0, 1.0))), path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), array)
    assert gzip.decompress(path.read_bytes().split(b"\n\n", 1)[1]) == array.tobytes()  # checks length and checksum
