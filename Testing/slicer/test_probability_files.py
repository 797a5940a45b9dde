"""The files of the network's probability: a run's own, written anew from the segment, and gone at the end."""

from pathlib import Path

import numpy as np
import pytest
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.imaging.files import read_volume, write_volume
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.slicer.probability_files import ProbabilityFiles
from BladderAutoContourLib.slicer.scene.kept_probability import keep_probability
from BladderAutoContourLib.slicer.scene.segmentation import Contour, as_it_stands, show_result
from BladderAutoContourLib.slicer.scene.voxels import VoxelBox
from ct_scene import OBLIQUE, Editor, add_ct, blob, drawn, texture


def likely(inside: float) -> np.ndarray:
    """So likely in the bladder, 0.1 outside."""
    return np.where(blob(OBLIQUE), inside, 0.1).astype(np.float32)


def remember(contour: Contour, probability: np.ndarray) -> None:
    """As after a run: in the segment's tag."""
    keep_probability(contour.segment, VoxelBox(probability, (0, 0, 0), as_it_stands(contour)[1].ijk_to_ras))


@pytest.fixture
def ours(scene, tmp_path) -> Contour:
    """A contour that remembers its probability."""
    contour = show_result(add_ct(texture(OBLIQUE)), drawn(blob(OBLIQUE), OBLIQUE, tmp_path / "result"))
    remember(contour, likely(0.9))
    return contour


@pytest.fixture
def run_file(tmp_path) -> Path:
    """What a run left."""
    write_volume(Volume(likely(0.9), OBLIQUE), tmp_path / "bladder_probability.nrrd")
    return tmp_path / "bladder_probability.nrrd"


@pytest.fixture
def places(tmp_path) -> tuple[Path, Path]:
    """A working folder, and the one that the user chooses later."""
    folders = (tmp_path / "Arbeit", tmp_path / "other")
    for folder in folders:
        folder.mkdir()
    return folders


def test_the_runs_own_file_is_moved_and_given_until_all_is_forgotten(ours, run_file, places):
    files, content = ProbabilityFiles(), run_file.read_bytes()
    files.take(ours, run_file, places[0])
    assert not run_file.exists()
    (kept,) = places[0].iterdir()
    assert kept.read_bytes() == content
    assert files.of(ours, places[1]) == kept, "another working folder moves no file"
    files.forget_all()
    assert [list(folder.iterdir()) for folder in places] == [[], []]


def test_without_a_file_it_is_written_once_from_what_the_segment_remembers(ours, places):
    files = ProbabilityFiles()
    written = files.of(ours, places[0])
    np.testing.assert_allclose(read_volume(written).array, likely(0.9), atol=0.02)
    assert files.of(ours, places[0]) == written
    written.unlink()
    again = files.of(ours, places[1])
    assert again.parent == places[1]
    files.forget_all()
    assert [list(folder.iterdir()) for folder in places] == [[], []]


def test_undo_of_a_run_brings_the_earlier_probability_back(ours, run_file, places):
    files = ProbabilityFiles()
    editor = Editor(ours.segmentation, ours.volume)
    editor.logic.SaveStateForUndo()
    remember(ours, likely(0.7))
    files.take(ours, run_file, places[0])
    editor.logic.Undo()
    earlier = files.of(ours, places[0])
    np.testing.assert_allclose(read_volume(earlier).array, likely(0.9), atol=0.02)
    assert list(places[0].iterdir()) == [earlier], "the later run's file is gone"


def test_a_contour_that_remembers_nothing_has_none_and_one_that_is_gone_is_told(ours, places):
    files = ProbabilityFiles()
    ours.segment.RemoveTag("BladderAutoContour.probability")
    assert files.of(ours, places[0]) is None
    files.take(ours, places[0] / "no such file", places[0])
    assert list(places[0].iterdir()) == []
    ours.volume.GetScene().RemoveNode(ours.segmentation)
    with pytest.raises(InputError, match="contour is no longer in the scene"):
        files.of(ours, places[0])
