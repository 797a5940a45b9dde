"""Generated CT series as files: what the standard asks for, and the same every time."""

import pydicom
import pytest
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.errors import OutputError
from scenes import OBLIQUE, grid, texture, write_series


def test_judges_find_no_error(tmp_path, dciodvfy_errors, dcentvfy_says):
    files = write_series(tmp_path, grid(direction=OBLIQUE), seed=7, patient_position="FFP")
    assert dciodvfy_errors(files[0]) == []
    assert dciodvfy_errors(files[-1]) == []
    assert dcentvfy_says(files) == ""


def test_same_seed_same_files(tmp_path):
    one = write_series(tmp_path / "one", seed=12)
    two = write_series(tmp_path / "two", seed=12)
    other = write_series(tmp_path / "other", seed=13)
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in (*one, *other)]
    assert len(set(uids)) == len(uids)
    assert pydicom.dcmread(other[0]).PatientName == "PHANTOM^SEED0013"
    assert pydicom.dcmread(one[0]).StudyInstanceUID != pydicom.dcmread(other[0]).StudyInstanceUID


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    with pytest.raises(OutputError):
        write_ct_series(texture(grid()), tmp_path / "file" / "ct")


def test_full_disk(full_disk):
    with pytest.raises(OutputError):
        write_ct_series(texture(grid((1024, 1024, 4))), full_disk)
