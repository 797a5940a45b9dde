"""`slicer.ScriptedLoadableModule` and `slicer.i18n`: what a module written in Python is made of."""

import importlib.util
import types
import unittest
from pathlib import Path
from typing import Any

import slicer
from PySide6.QtCore import Property, QObject
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QVBoxLayout, QWidget

from .mrml_widgets import qMRMLWidget
from .stored import stored


class qSlicerScriptedLoadableModule(QObject):
    """What Slicer hands a module to describe itself with: Base/QTGUI/qSlicerScriptedLoadableModule.h."""

    title = stored(str, "")
    categories = stored("QStringList", [])
    contributors = stored("QStringList", [])
    dependencies = stored("QStringList", [])
    associatedNodeTypes = stored("QStringList", [])
    helpText = stored(str, "")
    acknowledgementText = stored(str, "")
    icon = stored(QIcon, QIcon())
    hidden = stored(bool, False)
    index = stored(int, -1)

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)
        self._representation: qSlicerScriptedLoadableModuleWidget | None = None
        self._code = _imported(path)
        self._module = getattr(self._code, path.stem)(self)

    path = Property(str, lambda self: self._path)

    def widgetRepresentation(self) -> "qSlicerScriptedLoadableModuleWidget":
        """The module's panel, made when it is first asked for."""
        if self._representation is None:
            self._representation = qSlicerScriptedLoadableModuleWidget()
            kind = getattr(self._code, f"{Path(self._path).stem}Widget")
            self._representation._widget = kind(self._representation)
            self._representation._widget.setup()
        return self._representation


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The frame that a module's panel is built in: Base/QTGUI/qSlicerScriptedLoadableModuleWidget.h."""

    _widget: "ScriptedLoadableModuleWidget"

    def __init__(self) -> None:
        super().__init__()
        QVBoxLayout(self)
        self.setMRMLScene(slicer.mrmlScene)

    def self(self) -> "ScriptedLoadableModuleWidget":
        """The panel in Python."""
        return self._widget

    def enter(self) -> None:
        """The user opens the module."""
        self._widget.enter()

    def exit(self) -> None:
        """The user opens another."""
        self._widget.exit()


def load_module(path: Path) -> qSlicerScriptedLoadableModule:
    """A module as Slicer has it after start-up: in `slicer.modules`, told that the start is over."""
    entry = qSlicerScriptedLoadableModule(path)
    setattr(slicer.modules, path.stem.lower(), entry)
    slicer.app.startupCompleted.emit()
    return entry


def _imported(path: Path) -> types.ModuleType:
    """The module's file, imported anew."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    code = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(code)
    return code


class ScriptedLoadableModule:
    """A module as the list of modules shows it."""

    def __init__(self, parent: qSlicerScriptedLoadableModule) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        icon = Path(parent.path).parent / "Resources" / "Icons" / f"{self.moduleName}.png"
        if icon.is_file():
            parent.icon = QIcon(str(icon))

    def resourcePath(self, name: str) -> str:
        """A file of the module's resources."""
        return str(Path(self.parent.path).parent / "Resources" / name)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        """A sentence with a link to the module's page."""
        return f"<p>{docPage or self.moduleName}</p>"


class ScriptedLoadableModuleWidget:
    """A module's panel."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        if parent is None:
            self.parent = slicer.qMRMLWidget()
            self.parent.setLayout(QVBoxLayout())
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._unload)
        if parent is None:
            self.setup()
            self.parent.show()

    def resourcePath(self, name: str) -> str:
        """A file of the module's resources."""
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / name)

    def setup(self) -> None:
        """Build the panel."""

    def enter(self) -> None:
        """The user opens the module."""

    def exit(self) -> None:
        """The user opens another module."""

    def cleanup(self) -> None:
        """The module goes away."""

    def _unload(self, name: str) -> None:
        if name == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._unload)


class ScriptedLoadableModuleLogic:
    """A module's work, without its panel."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        """The node that keeps the module's parameters in the scene; made if there is none."""
        for node in self.getAllParameterNodes():
            return node
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list[Any]:
        """Every such node."""
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self) -> Any:
        """Such a node, not yet in the scene."""
        node = slicer.vtkMRMLScriptedModuleNode()
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """A module's own test; `runTest` runs every method whose name has "test" in it."""

    messageDelay = 0

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        """Say what is going on; nobody reads it here."""
        slicer.app.processEvents()

    def runTest(self) -> None:
        """Run them all."""
        for name in [name for name in dir(self) if name.startswith("test")]:
            self.setUp()
            getattr(self, name)()
            self.tearDown()


def scripted_module_package() -> types.ModuleType:
    """The module `slicer.ScriptedLoadableModule`."""
    package = types.ModuleType("slicer.ScriptedLoadableModule")
    package.__all__ = [kind.__name__ for kind in KINDS]
    for kind in KINDS:
        setattr(package, kind.__name__, kind)
    return package


def i18n_package() -> types.ModuleType:
    """The module `slicer.i18n`: texts stay as they were written."""
    package = types.ModuleType("slicer.i18n")
    package.tr = lambda text: text
    package.translate = lambda _context, text: text
    return package


KINDS = (ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest)
