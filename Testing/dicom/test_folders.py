"""Folders as they are on disks and sticks: closed to the user, linked to, linked in circles."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.pipeline.reading import Reader
from links import link
from scenes import grid, texture, write_series

OPENS_ALL = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of Linux: what makes root open any folder."""


def as_any_user() -> None:
    """Take from the process to be started what opens closed folders to root."""
    for right in OPENS_ALL:
        assert ctypes.CDLL(None).prctl(24, right, 0, 0, 0) == 0  # PR_CAPBSET_DROP


def inspect(folder: Path) -> tuple[int, list[str], str]:
    """Exit code, lines and standard error of the command, by a user to whom folders can be closed."""
    done = subprocess.run(
        [sys.executable, "-m", "BladderAutoContourLib", "inspect", str(folder)],
        capture_output=True, text=True, encoding="utf-8", check=False,
        preexec_fn=as_any_user if os.geteuid() == 0 else None,
    )  # fmt: skip
    return done.returncode, [line for line in done.stdout.splitlines() if not line.startswith("{")], done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows closes a folder by other means than its mode")
def test_a_closed_folder_is_passed_by_unless_there_is_nothing_else(tmp_path):
    write_series(tmp_path / "stick" / "ct")
    lost = tmp_path / "stick" / "lost+found"
    lost.mkdir(mode=0)
    empty = tmp_path / "empty" / "closed"
    empty.parent.mkdir()
    empty.mkdir(mode=0)
    try:
        code, lines, _ = inspect(tmp_path / "stick")
        assert (code, lines[0].startswith("series: "), len(lines)) == (1, True, 2)
        assert lines[1] == f"warning: closed-folder: 1 folder skipped: it cannot be opened [{lost}]"
        for folder in (lost, empty.parent):
            code, lines, told = inspect(folder)
            assert (code, lines) == (3, [])
            assert f"The folder {folder if folder == lost else empty} cannot be opened" in told
        (tmp_path / "empty" / "note.txt").write_text("hello", encoding="ascii")
        assert inspect(tmp_path / "empty")[1][-2:] == [
            f"warning: closed-folder: 1 folder skipped: it cannot be opened [{empty}]", "There is no CT series here.",
        ]  # fmt: skip
    finally:
        lost.chmod(0o700)
        empty.chmod(0o700)


def test_a_linked_folder_is_looked_into(tmp_path):
    write_series(tmp_path / "archive" / "17")
    (tmp_path / "patient").mkdir()
    link(tmp_path / "patient" / "ct", tmp_path / "archive" / "17", to_folder=True)
    ct = read_ct([tmp_path / "patient"])
    assert np.array_equal(ct.volume.array, texture(grid()).array)
    assert {image.path.parent for image in ct.slices} == {tmp_path / "patient" / "ct"}


def test_links_in_circles_and_out_of_the_folder_end(tmp_path):
    """A link to a folder around the given one would bring in other patients."""
    write_series(tmp_path / "other", seed=2)
    files = write_series(tmp_path / "patient" / "ct")
    link(tmp_path / "patient" / "again", tmp_path / "patient" / "ct", to_folder=True)
    link(tmp_path / "patient" / "ct" / "up", tmp_path / "patient", to_folder=True)
    link(tmp_path / "patient" / "out", tmp_path, to_folder=True)
    ct = read_ct([tmp_path / "patient"])
    assert (len(ct.slices), ct.findings) == (len(files), ())


def test_a_kept_ct_is_read_again_when_a_linked_folder_changes(tmp_path):
    files = write_series(tmp_path / "archive")
    (tmp_path / "patient").mkdir()
    link(tmp_path / "patient" / "ct", tmp_path / "archive", to_folder=True)
    reader = Reader()
    before = reader.ct((tmp_path / "patient",), None, lambda share: None)
    assert reader.ct((tmp_path / "patient",), None, lambda share: None) is before
    for file in files:
        dataset = pydicom.dcmread(file)
        dataset.RescaleIntercept = "-1000"
        dataset.save_as(file)
        os.utime(file, (0, 0))
    assert not np.array_equal(reader.ct((tmp_path / "patient",), None, lambda share: None).volume.array,
                              before.volume.array)  # fmt: skip
