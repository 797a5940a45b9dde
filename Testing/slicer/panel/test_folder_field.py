"""The working folder: what is used is what the field names, and no folder that was only passed while it was typed."""

from pathlib import Path

import pytest
import slicer
from BladderAutoContourLib.slicer.panel import settings
from clinic import Clinician
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest


@pytest.fixture
def scratch(tmp_path) -> Path:
    """A folder, in folders that are there too."""
    folder = tmp_path / "home" / "me" / "scratch"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def moves(clinician, monkeypatch) -> list[Path]:
    """Every folder that has become the working folder."""
    clinician.open()
    moved, move = [], clinician.panel._advanced._folder_changed
    monkeypatch.setattr(clinician.panel._advanced, "_folder_changed", lambda: (move(), moved.append(used(clinician))))
    return moved


def type_text(clinician: Clinician, text: str) -> None:
    """Type into the field, one letter after the other, in place of what it held."""
    line = clinician.ui.workingFolderEdit.comboBox().lineEdit()
    line.selectAll()
    QTest.keyClicks(line, text)


def press_return(clinician: Clinician) -> None:
    """End what was typed."""
    QTest.keyClick(clinician.ui.workingFolderEdit.comboBox().lineEdit(), Qt.Key.Key_Return)


def used(clinician: Clinician) -> Path:
    """Where the logic works."""
    return clinician.panel.logic.working_folder


def test_no_folder_on_the_way_to_the_one_that_is_typed_is_used(clinician, moves, scratch):
    label = clinician.ui.workingFolderStateLabel
    type_text(clinician, str(scratch))
    press_return(clinician)
    assert moves == [scratch]
    assert settings.load().working_folder == scratch
    assert not label.isVisible()

    type_text(clinician, f"{scratch}h")
    press_return(clinician)
    assert label.text == f"There is no such folder; {scratch} is used."
    assert moves == [scratch]
    assert used(clinician) == settings.load().working_folder == scratch
    type_text(clinician, "")
    QTest.keyClick(clinician.ui.workingFolderEdit.comboBox().lineEdit(), Qt.Key.Key_Delete)
    press_return(clinician)
    assert label.text == ""
    assert used(clinician) == Path(slicer.app.temporaryPath)
    assert settings.load().working_folder is None


@pytest.mark.parametrize("rest", ["time passes", "the panel is closed"])
def test_a_folder_that_nobody_confirmed_is_used_once_the_text_rests(clinician, moves, scratch, rest):
    clinician.ui.workingFolderEdit.currentPath = str(scratch)  # as browsing does
    assert moves == []
    if rest == "time passes":
        clinician.wait_until(lambda: moves)
    else:
        clinician.panel.close()
    assert moves == [scratch]
    clinician.settle(1.0)
    assert moves == [scratch], "once"


def test_a_part_of_a_path_is_refused(clinician, moves, scratch, monkeypatch):
    monkeypatch.chdir(scratch.parent)
    type_text(clinician, "scratch")
    press_return(clinician)
    label, default = clinician.ui.workingFolderStateLabel, Path(slicer.app.temporaryPath)
    assert label.text == f"Write the whole path of a folder; {default} is used."
    assert moves == []
    assert used(clinician) == default
