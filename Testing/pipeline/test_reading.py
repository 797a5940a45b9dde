"""What a warm engine keeps of the files that it has read."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.imaging.files import write_volume
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.pipeline.reading import Reader
from links import link


def silent(fraction: float) -> None:
    pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    size = (8, 7, 6)
    write_ct_series(Volume(np.zeros(size[::-1], np.int16), Geometry(size, (2.0, 2.0, 3.0))), tmp_path / "ct")
    return tmp_path / "ct"


def test_a_ct_is_kept_until_a_file_of_it_changes(folder: Path) -> None:
    reader = Reader()
    first = reader.ct([folder], None, silent)
    (folder / "empty folder").mkdir()
    assert reader.ct([folder], None, silent) is first
    (folder / "note.txt").write_text("hello", encoding="ascii")
    assert reader.ct([folder], None, silent) is not first


def test_a_link_to_a_file_that_is_gone_is_no_hindrance(folder: Path) -> None:
    link(folder / ".#ct_0001.dcm", folder / "gone")
    assert len(Reader().ct([folder], None, silent).series.slices) == 6


def test_a_probability_is_kept_wherever_its_file_is_moved_until_it_changes(tmp_path: Path) -> None:
    reader, volume = Reader(), Volume(np.full((6, 7, 8), 0.25, np.float32), Geometry((8, 7, 6), (2.0, 2.0, 3.0)))
    written, kept = tmp_path / "bladder_probability.nrrd", tmp_path / "elsewhere" / "17.nrrd"
    write_volume(volume, written)
    reader.keep_volume(written, volume)
    kept.parent.mkdir()
    written.rename(kept)
    assert reader.kept_volume(kept) is volume
    kept.unlink()
    write_volume(Volume(volume.array + 0.5, volume.geometry), kept)
    assert reader.kept_volume(kept).array.min() == 0.75


def test_a_volume_whose_data_stand_in_another_file_is_read_anew(tmp_path: Path) -> None:
    """Its header stays as it was when the data change."""
    image = sitk.GetImageFromArray(np.zeros((6, 7, 8), np.int16))
    sitk.WriteImage(image, str(tmp_path / "ct.mhd"))
    reader = Reader()
    assert reader.ct([tmp_path / "ct.mhd"], None, silent).volume.array.max() == 0
    (tmp_path / "ct.raw").write_bytes(np.full((6, 7, 8), 40, np.int16).tobytes())
    assert reader.ct([tmp_path / "ct.mhd"], None, silent).volume.array.min() == 40
    assert reader.kept_volume(tmp_path / "ct.mhd").array.min() == 40
    (tmp_path / "ct.raw").write_bytes(np.full((6, 7, 8), 41, np.int16).tobytes())
    assert reader.kept_volume(tmp_path / "ct.mhd").array.min() == 41
