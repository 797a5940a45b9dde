"""Series that must not become a volume: each is refused with a sentence that names the file and the reason."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.pydicom_versions import save
from BladderAutoContourLib.errors import InputError
from scenes import edit, grid, set_in, write_series

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"


def gap(files: list[Path]) -> None:
    files[9].unlink()


def mixed_spacing(files: list[Path]) -> None:
    for file in files[11::2]:
        file.unlink()


def two_at_one_position(files: list[Path]) -> None:
    position = pydicom.dcmread(files[4]).ImagePositionPatient
    set_in(files[5], ImagePositionPatient=position)


def tilt(files: list[Path]) -> None:
    for z, file in enumerate(files):
        x, y, height = pydicom.dcmread(file).ImagePositionPatient
        set_in(file, ImagePositionPatient=[x, f"{float(y) + 0.7 * z:.4f}", height])


def shifted_half(files: list[Path]) -> None:
    for file in files[10:]:
        x, y, height = pydicom.dcmread(file).ImagePositionPatient
        set_in(file, ImagePositionPatient=[f"{float(x) + 8:.4f}", y, height])


def no_position(files: list[Path]) -> None:
    set_in(files[3], ImagePositionPatient=None)


def no_orientation(files: list[Path]) -> None:
    set_in(files[3], ImageOrientationPatient=None)


def impossible_orientation(files: list[Path]) -> None:
    set_in(files[3], ImageOrientationPatient=["1", "0", "0", "1", "0", "0"])


def mixed_pixel_spacing(files: list[Path]) -> None:
    for file in files[11:]:
        set_in(file, PixelSpacing=["0.9", "0.9"])


def half_of_another_size(files: list[Path]) -> None:
    for file in files[10:]:
        edit(file, lambda dataset: setattr(dataset, "PixelData", dataset.PixelData[: 64 * 40 * 2]))
        set_in(file, Rows=40)


def cut_header(files: list[Path]) -> None:
    files[6].write_bytes(files[6].read_bytes()[:700])


def cut_pixels(files: list[Path]) -> None:
    files[6].write_bytes(files[6].read_bytes()[:-1000])


def three_slices(files: list[Path]) -> None:
    for file in files[3:]:
        file.unlink()


def only_scouts(files: list[Path]) -> None:
    for file in files:
        set_in(file, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])


def no_frame(files: list[Path]) -> None:
    for file in files:
        set_in(file, FrameOfReferenceUID=None)


def magnetic_resonance(files: list[Path]) -> None:
    for file in files:
        set_in(file, SOPClassUID=MR_IMAGE, Modality="MR")


def enhanced(files: list[Path]) -> None:
    for file in files:
        set_in(file, SOPClassUID=ENHANCED_CT)


def interleaved_acquisitions(files: list[Path]) -> None:
    for number, file in enumerate(files):
        set_in(file, AcquisitionNumber=1 + number % 2)


def electron_densities(files: list[Path]) -> None:
    for file in files:
        set_in(file, RescaleType="EDW")


def iodine_map(files: list[Path]) -> None:
    for file in files:
        set_in(file, ImageType=["DERIVED", "PRIMARY", "AXIAL", "MAT_SPECIFIC"])


def unknown_compression(files: list[Path]) -> None:
    for file in files:
        dataset = pydicom.dcmread(file)
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
        pixels = pydicom.encaps.encapsulate([b"\0" * 100])
        dataset.PixelData = pixels
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        save(dataset, file)


REFUSALS: dict[Callable[[list[Path]], None], tuple[str, str]] = {
    gap: ("gap: 1 slice is missing", "ct_0009.dcm"),
    mixed_spacing: ("not evenly spaced", "ct_0011.dcm"),
    two_at_one_position: ("different images lie at one position", "ct_0006.dcm"),
    tilt: ("tilted gantry", ""),
    shifted_half: ("shifted sideways", ""),
    no_position: ("position, orientation or pixel spacing is missing", "ct_0004.dcm"),
    no_orientation: ("position, orientation or pixel spacing is missing", "ct_0004.dcm"),
    impossible_orientation: ("impossible", "ct_0004.dcm"),
    mixed_pixel_spacing: ("different pixel spacings", "ct_0012.dcm"),
    half_of_another_size: ("different orientation, size", "ct_0011.dcm"),
    cut_header: ("gap", "ct_0007.dcm"),
    cut_pixels: ("gap", "ct_0007.dcm"),
    three_slices: ("too few slices (3)", "ct_0001.dcm"),
    only_scouts: ("localiser images only", ""),
    no_frame: ("no frame of reference", "ct_0001.dcm"),
    magnetic_resonance: ("no CT image in", "ct_0001.dcm"),
    enhanced: ("enhanced CT that does not describe each of its frames", "ct_0001.dcm"),
    interleaved_acquisitions: ("alternate between several acquisitions (numbers 1, 2)", "ct_0001.dcm"),
    electron_densities: ("no Hounsfield units, but EDW", "ct_0001.dcm"),
    iodine_map: ("no Hounsfield units, but MAT_SPECIFIC", "ct_0001.dcm"),
    unknown_compression: ("cannot be read (MPEG-4", "ct_0001.dcm"),
}


@pytest.mark.parametrize("spoil", REFUSALS, ids=lambda spoil: spoil.__name__)
def test_refused_with_a_sentence(tmp_path, spoil):
    spoil(write_series(tmp_path))
    words, name = REFUSALS[spoil]
    with pytest.raises(InputError) as caught:
        read_ct([tmp_path])
    error = caught.value
    assert words in error.message
    assert name == "" or name in {Path(file).name for file in error.files}
    assert error.code == 3
    assert "PHANTOM" not in error.message


def test_a_gap_counts_its_slices(tmp_path):
    files = write_series(tmp_path)
    for file in files[8:11]:
        file.unlink()
    with pytest.raises(InputError, match=r"3 slices are missing between ct_0008\.dcm and ct_0012\.dcm"):
        read_ct([tmp_path])


def test_empty_and_missing_folder(tmp_path):
    with pytest.raises(InputError, match="no file"):
        read_ct([tmp_path])
    with pytest.raises(InputError, match="does not exist"):
        read_ct([tmp_path / "nowhere"])


def test_text_file_named_dcm(tmp_path):
    path = tmp_path / "image.dcm"
    path.write_text("hello " * 100, encoding="ascii")
    with pytest.raises(InputError, match="not DICOM"):
        read_ct([path])


def test_several_series_are_listed(tmp_path):
    write_series(tmp_path / "a", seed=1)
    write_series(tmp_path / "b", grid((40, 40, 9)), seed=2)
    uids = {pydicom.dcmread(tmp_path / name / "ct_0001.dcm").SeriesInstanceUID for name in "ab"}
    with pytest.raises(InputError, match="several CT series") as caught:
        read_ct([tmp_path])
    assert all(uid in caught.value.message for uid in uids)
    with pytest.raises(InputError, match=r"no CT series 1\.2\.3"):
        read_ct([tmp_path], "1.2.3")


def test_fields_of_two_scans_in_one_series(tmp_path):
    files = write_series(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "again")
    for file in (tmp_path / "again").iterdir():
        edit(file, lambda dataset: setattr(dataset, "PixelData", np.flip(dataset.pixel_array).tobytes()))
    with pytest.raises(InputError, match="different images lie at one position") as caught:
        read_ct([tmp_path])
    assert str(files[0]) in caught.value.files
