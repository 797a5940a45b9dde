"""Somebody in front of the panel: opens the shipped module, looks, clicks, waits."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import qt
import slicer
from BladderAutoContourLib.slicer.panel import settings
from PySide6.QtCore import QEventLoop, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem
from standin.application import qSlicerApplication
from standin.dicom import import_dicom, load_series
from standin.scripted_module import load_module
from watching import living

MODULE_FILE = Path(__file__).resolve().parents[2] / "BladderAutoContour" / "BladderAutoContour.py"
WAKE_MILLISECONDS = 20


class Clinician:
    """One user of one session.

    Usage::

        clinician = Clinician()
        clinician.open()
        clinician.ui.contourButton.click()
        clinician.wait_for_result()
    """

    def __init__(self) -> None:
        self.window = load_module(MODULE_FILE).widgetRepresentation()
        self.window.show()
        self.widget = self.window.self()
        self.panel = self.widget.panel
        self.ui = self.panel.ui
        self._wake = qt.QTimer()  # so that the event loop comes back although nothing happens
        self._wake.start(WAKE_MILLISECONDS)

    def open(self) -> None:
        """Choose the module."""
        self.window.enter()
        self.settle()

    def contoured(self, folder: Path) -> Any:
        """Choose the module, load a DICOM series and contour it; its volume."""
        self.open()
        ct = load_ct(folder)
        self.settle()
        self.contour()
        return ct

    def open_scene(self, path: str) -> Any:
        """Load a saved scene with one CT into the one that is empty, and show it; its volume."""
        remote = slicer.vtkMRMLRemoteIOLogic()
        remote.SetMRMLScene(slicer.mrmlScene)
        remote.AddDataIOToScene()
        assert slicer.mrmlScene.ReadFromMRB(path)
        ct = show(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[0])
        self.settle()
        return ct

    def leave(self) -> None:
        """Choose another module."""
        self.window.exit()
        self.settle()

    def close(self) -> None:
        """End Slicer."""
        self._wake.stop()
        self.widget.cleanup()

    def wait_until(self, reached: Callable[[], object], seconds: float = 120.0) -> float:
        """Let the application live until something is so; how long that took."""
        begun, loop = time.monotonic(), QEventLoop()
        while not reached():
            assert time.monotonic() - begun < seconds, self.sight()
            loop.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        return time.monotonic() - begun

    def settle(self, seconds: float = 0.4) -> None:
        """Let the application live for a moment: longer than the panel waits before it looks at the scene again."""
        end = time.monotonic() + seconds
        self.wait_until(lambda: time.monotonic() > end)

    def contour(self) -> None:
        """Press the button and wait until all CTs have had their turn."""
        self.ui.contourButton.click()
        self.wait_for_result()

    def wait_for_result(self) -> None:
        """Wait until nothing is contoured any more."""
        self.wait_until(lambda: not self.panel.logic.contouring)
        self.settle()

    def wait_for_step(self, words: str) -> None:
        """Wait until the panel names a step."""
        self.wait_until(lambda: words in self.ui.stepLabel.text)

    def cell(self, table: str, row: int, column: int) -> Any:
        """A cell of one of the panel's tables."""
        return getattr(self.ui, table).item(row, column)

    def click_cell(self, table: str, row: int, column: int) -> None:
        """Click into a table with the mouse."""
        view = getattr(self.ui, table)
        place = view.visualItemRect(view.item(row, column)).center()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)

    def click_box(self, table: str, row: int) -> None:
        """Click into the box with which a row of one of the panel's tables is ticked."""
        view = getattr(self.ui, table)
        option = QStyleOptionViewItem()
        view.initViewItemOption(option)
        option.index = view.model().index(row, 0)
        option.rect = view.visualRect(option.index)
        option.features |= QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator
        place = view.style().subElementRect(QStyle.SubElement.SE_ItemViewItemCheckIndicator, option, view).center()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)

    def tick_all(self) -> None:
        """Tick every CT."""
        for row in range(self.ui.ctTable.rowCount):
            self.cell("ctTable", row, 0).setCheckState(qt.Qt.Checked)

    def open_dialog(self) -> Any:
        """The widgets of the dialog that is open."""
        (dialog,) = (one for one in slicer.app.topLevelWidgets() if one.inherits("QDialog") and one.isVisible())
        return slicer.util.childWidgetVariables(dialog)

    def sight(self) -> str:
        """What the panel says, for a test that waits in vain."""
        labels = ("messageLabel", "stepLabel", "volumeLabel", "exportOutcomeLabel", "weightsStateLabel")
        said = {name: getattr(self.ui, name).text for name in labels}
        return f"{said}\n{self.ui.logText.toPlainText()}"


def load_ct(folder: Path) -> Any:
    """Import a DICOM series into Slicer's database, load it, show it."""
    import_dicom(str(folder))
    first = next(path for path in sorted(folder.rglob("*")) if path.is_file())
    return show(load_series(pydicom.dcmread(first, stop_before_pixels=True).SeriesInstanceUID))


def show(volume: Any) -> Any:
    """Show a volume in the slice views."""
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return volume


def add_volume(array: np.ndarray, name: str) -> Any:
    """A volume that came from no file, 3 mm voxels; not shown."""
    return slicer.util.addVolumeFromArray(array, ijkToRAS=np.diag([-3.0, -3.0, 3.0, 1.0]), name=name)


def is_alive(pid: int) -> bool:
    """Whether a process or one of its children lives."""
    return bool(living(pid))


@pytest.fixture
def clinician(app: qSlicerApplication) -> Iterator[Clinician]:
    """A user of the shipped module and its shipped weights."""
    yield from _use_module()


@pytest.fixture
def quick_clinician(app: qSlicerApplication, weights: Path) -> Iterator[Clinician]:
    """A user whose settings name small weights, which know the analytic CT alone."""
    settings.save(settings.Settings("cpu", weights))
    yield from _use_module()


def _use_module() -> Iterator[Clinician]:
    user = Clinician()
    yield user
    user.close()


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python that runs the engine."""
    return Path(sys.executable)


@pytest.fixture(scope="session")
def pelvis_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated pelvis, coarse, as a DICOM series."""
    folder = tmp_path_factory.mktemp("pelvis")
    options = ["--seed", "7", "--spacing", "4", "4", "6", "--dicom", "--output", folder]
    command = [sys.executable, "-m", "BladderAutoContourLib", "phantom", *map(str, options)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "case_0007" / "ct"
