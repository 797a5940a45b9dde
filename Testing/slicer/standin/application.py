"""`slicer.app`: the Qt application with what Slicer's adds to it, over real slice logics of the scene."""

import tempfile
from pathlib import Path
from typing import Any, ClassVar

import slicer
from PySide6.QtCore import Property, QObject, QSettings, Signal
from PySide6.QtWidgets import QApplication, QMainWindow, QWidget

from . import python_qt
from .dicom import ctkDICOMDatabase
from .stored import stored

SLICE_VIEWS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}


class qMRMLSliceWidget(QWidget):
    """A slice view's logic and nodes; what it shows is drawn by `views`."""

    def __init__(self, name: str, application_logic: Any) -> None:
        super().__init__()
        self.setObjectName(f"qMRMLSliceWidget{name}")
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        self._logic.SetMRMLScene(application_logic.GetMRMLScene())
        self._logic.AddSliceNode(name)
        self.mrmlSliceNode().SetDefaultOrientation(SLICE_VIEWS[name])
        self.mrmlSliceNode().SetOrientationToDefault()
        application_logic.GetSliceLogics().AddItem(self._logic)

    def sliceLogic(self) -> Any:
        """The view's logic."""
        return self._logic

    def mrmlSliceNode(self) -> Any:
        """Where the view looks."""
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        """What the view shows."""
        return self._logic.GetSliceCompositeNode()


class qMRMLThreeDView(QWidget):
    """The 3-D view's face; `views` draws it."""

    def __init__(self) -> None:
        super().__init__()
        self._resets = 0

    def resetFocalPoint(self) -> None:
        """Turn about the middle of what is shown."""
        self._resets += 1

    def resetCamera(self, *_parts: bool) -> None:
        """Look at all that is shown."""
        self._resets += 1


class qMRMLThreeDWidget(QWidget):
    """The 3-D view and its node."""

    def __init__(self, scene: Any) -> None:
        super().__init__()
        self._node = slicer.vtkMRMLViewNode()
        self._node.SetLayoutName("1")
        scene.AddNode(self._node)
        self._view = qMRMLThreeDView()

    def threeDView(self) -> qMRMLThreeDView:
        """The view."""
        return self._view

    def mrmlViewNode(self) -> Any:
        """How the view shows the scene."""
        return self._node


class qSlicerLayoutManager(QObject):
    """The views of the main window: Libs/MRML/Widgets/qMRMLLayoutManager.h."""

    _layout_changed = Signal(int)
    _signals: ClassVar = {"layoutChanged(int)": "_layout_changed"}

    def __init__(self, application_logic: Any) -> None:
        super().__init__()
        self._layout = 2
        self._application_logic = application_logic
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(application_logic.GetMRMLScene())
        self._slices = {name: qMRMLSliceWidget(name, application_logic) for name in SLICE_VIEWS}
        self._three_d = qMRMLThreeDWidget(application_logic.GetMRMLScene())

    def sliceViewNames(self) -> list[str]:
        """The slice views there are."""
        return list(self._slices)

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        """A slice view by name."""
        return self._slices.get(name)

    def threeDWidget(self, view: int | str) -> qMRMLThreeDWidget | None:
        """The 3-D view, by number or name."""
        return self._three_d if view in (0, "1") else None

    def mrmlSliceLogics(self) -> Any:
        """The slice views' logics."""
        return self._application_logic.GetSliceLogics()

    def setLayout(self, layout: int) -> None:
        """Arrange the views otherwise."""
        if layout != self._layout:
            self._layout = layout
            self._layout_changed.emit(layout)

    layout = Property(int, lambda self: self._layout, setLayout)
    threeDViewCount = Property(int, lambda _self: 1)

    def resetSliceViews(self) -> None:
        """Fit each slice view to what it shows."""
        for widget in self._slices.values():
            widget._logic.FitSliceToBackground()

    def resetThreeDViews(self) -> None:
        """Look at all that is shown."""
        self._three_d._view.resetFocalPoint()


class qSlicerModuleManager(QObject):
    """The modules: Base/QTCore/qSlicerModuleManager.h."""

    _loaded = Signal(str)
    _about_to_go = Signal(str)
    _signals: ClassVar = {"moduleLoaded(QString)": "_loaded", "moduleAboutToBeUnloaded(QString)": "_about_to_go"}

    def modulesNames(self) -> list[str]:
        """The names of the modules."""
        return [name for name in vars(slicer.modules) if not name.startswith("_")]


class qSlicerApplication(QApplication):
    """Slicer's application: Base/QTCore/qSlicerCoreApplication.h and Base/QTGUI/qSlicerApplication.h."""

    _startup_completed = Signal()
    _signals: ClassVar = {"startupCompleted()": "_startup_completed"}
    majorVersion = Property(int, lambda _self: 5)
    minorVersion = Property(int, lambda _self: 12)
    revision = Property(str, lambda _self: "stand-in")
    slicerHome = stored(str, "")
    temporaryPath = stored(str, "")

    def __init__(self) -> None:
        super().__init__([])
        self.setApplicationName("Slicer")
        self.setOrganizationName("slicer.org")
        self.setStyle("fusion")
        self._home, self._logic, self._layout, self._modules = None, None, None, None

    def _begin(self, application_logic: Any) -> None:
        """A new session: views over a fresh scene, empty settings, an empty temporary folder, a main window."""
        self._home = tempfile.TemporaryDirectory(prefix="Slicer ü ")
        home = Path(self._home.name)
        for folder in ("temporary", "home"):
            (home / folder).mkdir()
        QSettings.setDefaultFormat(QSettings.Format.IniFormat)
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(home / "settings"))
        self.temporaryPath, self.slicerHome = str(home / "temporary"), str(home / "home")
        self._window = QMainWindow()
        self._window.setObjectName("qSlicerMainWindow")
        self._user_settings = QSettings()
        self._logic = application_logic
        self._layout = qSlicerLayoutManager(application_logic)
        self._modules = qSlicerModuleManager()
        slicer.dicomDatabase = ctkDICOMDatabase(home / "DICOM database")

    def _end(self) -> None:
        """The session's windows go, and its folders; nobody listens to the application any more."""
        python_qt.forget(self)
        self.restoreOverrideCursor()
        for window in self.topLevelWidgets():
            window.deleteLater()
        self.sendPostedEvents(None, 52)  # QEvent.DeferredDelete
        self.processEvents()
        slicer.dicomDatabase = None
        self._logic = self._layout = self._modules = self._window = self._user_settings = None
        self._home.cleanup()

    def mrmlScene(self) -> Any:
        """The scene."""
        return self._logic.GetMRMLScene()

    def applicationLogic(self) -> Any:
        """The application's logic."""
        return self._logic

    def layoutManager(self) -> qSlicerLayoutManager:
        """The views."""
        return self._layout

    def moduleManager(self) -> qSlicerModuleManager:
        """The modules."""
        return self._modules

    def dicomDatabase(self) -> ctkDICOMDatabase:
        """The DICOM database."""
        return slicer.dicomDatabase

    def moduleLogic(self, name: str) -> Any:
        """A module's logic."""
        return self._logic.GetModuleLogic(name)

    def userSettings(self) -> QSettings:
        """What the user has set."""
        return self._user_settings

    def settings(self) -> QSettings:
        """What the user has set for this version; here there is one version."""
        return self._user_settings

    def revisionUserSettings(self) -> QSettings:
        """What the user has set for this version; here there is one version."""
        return self._user_settings

    def testingEnabled(self) -> bool:
        """Whether dialogs are skipped: no, they are answered."""
        return False

    def pauseRender(self) -> None:
        """Draw nothing for a while."""

    def resumeRender(self) -> None:
        """Draw again."""

    def pythonConsole(self) -> None:
        """There is none."""
