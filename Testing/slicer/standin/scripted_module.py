"""`slicer.ScriptedLoadableModule` and `slicer.i18n`: what a module written in Python is made of."""

import types
import unittest
from pathlib import Path
from typing import Any

import slicer
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QVBoxLayout, QWidget


class ModuleEntry:
    """What Slicer hands a module to describe itself with: Base/QTGUI/qSlicerScriptedLoadableModule.h."""

    __slots__ = (
        *("acknowledgementText", "associatedNodeTypes", "categories", "contributors", "dependencies", "helpText"),
        *("hidden", "icon", "index", "path", "title"),
    )

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.icon = QIcon()
        self.hidden = False


class ScriptedLoadableModule:
    """A module as the list of modules shows it."""

    def __init__(self, parent: ModuleEntry) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories, parent.dependencies, parent.contributors = [], [], []
        parent.helpText = parent.acknowledgementText = ""
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


KINDS = (
    ScriptedLoadableModule,
    ScriptedLoadableModuleWidget,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)
