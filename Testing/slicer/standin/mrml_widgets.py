"""Slicer's widgets over the MRML scene: qMRMLWidget and the node selector."""

from typing import Any, ClassVar

import vtk
from PySide6.QtCore import Property, QObject, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from .stored import stored


class Observations:
    """Observers of VTK objects that end together, at the latest with the Qt object that they serve."""

    def __init__(self, owner: QObject) -> None:
        self._pairs: list[tuple[vtk.vtkObject, int]] = []
        owner.destroyed.connect(self.end)

    def add(self, thing: vtk.vtkObject, event: int, function: Any) -> None:
        """Call the function, without arguments, at an event."""
        self._pairs.append((thing, thing.AddObserver(event, lambda *_: function())))

    def end(self, *_: object) -> None:
        """Observe nothing any more."""
        for thing, tag in self._pairs:
            thing.RemoveObserver(tag)
        self._pairs.clear()


class qMRMLWidget(QWidget):
    """A widget that knows the scene: Libs/MRML/Widgets/qMRMLWidget.h."""

    _scene_changed = Signal(object)
    _signals: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "_scene_changed"}
    _scene = None

    def mrmlScene(self) -> Any:
        """The scene, None before there is one."""
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        """Know another scene."""
        if scene is not self._scene:
            self._scene = scene
            self._scene_changed.emit(scene)


class qMRMLNodeComboBox(QWidget):
    """Selects a node of the scene: Libs/MRML/Widgets/qMRMLNodeComboBox.h."""

    _node_changed = Signal(object)
    _validity_changed = Signal(bool)
    _id_changed = Signal(str)
    _node_added = Signal(object)
    _node_about_to_go = Signal(object)
    _signals: ClassVar = {
        "currentNodeChanged(vtkMRMLNode*)": "_node_changed",
        "currentNodeIDChanged(QString)": "_id_changed",
        "currentNodeChanged(bool)": "_validity_changed",
        "nodeAdded(vtkMRMLNode*)": "_node_added",
        "nodeAboutToBeRemoved(vtkMRMLNode*)": "_node_about_to_go",
    }
    baseName = stored(str, "")
    addEnabled = stored(bool, True)
    removeEnabled = stored(bool, True)
    editEnabled = stored(bool, False)
    renameEnabled = stored(bool, False)
    selectNodeUponCreation = stored(bool, True)
    interactionNodeSingletonTag = stored(str, "")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene, self._node, self._nodes = None, None, []
        self._types, self._hidden_types = [], []
        self._show_hidden, self._show_children, self._none = False, True, False
        self._none_text, self._attributes = "None", []
        self._observations = Observations(self)
        self._box = QComboBox(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box)
        self._box.activated.connect(lambda index: self._select(self._nodes[index]))

    def _setting(name: str, kind: type | str) -> Property:  # noqa: N805
        def change(self: QWidget, value: Any) -> None:
            setattr(self, name, value)
            self._refresh()

        return Property(kind, lambda self: getattr(self, name), change)

    nodeTypes = _setting("_types", "QStringList")
    hideChildNodeTypes = _setting("_hidden_types", "QStringList")
    showHidden = _setting("_show_hidden", bool)
    showChildNodeTypes = _setting("_show_children", bool)
    noneEnabled = _setting("_none", bool)
    noneDisplay = _setting("_none_text", str)
    del _setting

    def mrmlScene(self) -> Any:
        """The scene."""
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        """Offer the nodes of a scene."""
        if scene is self._scene:
            return
        self._observations.end()
        self._scene = scene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent) if scene else ()
        for event in events:
            self._observations.add(scene, event, self._refresh)
        self._refresh()

    def addAttribute(self, kind: str, attribute: str, value: Any = None) -> None:
        """Offer only those nodes of a kind that have an attribute."""
        self._attributes.append((kind, attribute, value))
        self._refresh()

    def removeAttribute(self, kind: str, attribute: str) -> None:
        """Undo `addAttribute`."""
        self._attributes = [item for item in self._attributes if item[:2] != (kind, attribute)]
        self._refresh()

    def nodeCount(self) -> int:
        """How many nodes are offered, "None" left out."""
        return len([node for node in self._nodes if node])

    def nodeFromIndex(self, index: int) -> Any:
        """One of the nodes offered."""
        nodes = [node for node in self._nodes if node]
        return nodes[index] if 0 <= index < len(nodes) else None

    def currentNode(self) -> Any:
        """The node selected."""
        return self._node

    def currentNodeId(self) -> str:
        """The ID of the node selected, "" if none is."""
        return self._node.GetID() if self._node else ""

    def setCurrentNode(self, node: Any) -> None:
        """Select a node, given itself or by its ID; one that is not offered selects none."""
        node = self._scene.GetNodeByID(node) if isinstance(node, str) and self._scene else node
        self._select(node if node in self._nodes else None)

    def setCurrentNodeID(self, node_id: str) -> None:
        """Select a node by its ID."""
        self.setCurrentNode(node_id)

    def setCurrentNodeIndex(self, index: int) -> None:
        """Select one of the nodes offered."""
        self._select(self.nodeFromIndex(index))

    def _select(self, node: Any) -> None:
        self._box.setCurrentIndex(self._nodes.index(node) if node in self._nodes else -1)
        if node is not self._node:
            self._node = node
            self._node_changed.emit(node)
            self._validity_changed.emit(node is not None)
            self._id_changed.emit(self.currentNodeId())

    def _fits(self, node: Any) -> bool:
        kinds = [kind for kind in self._types if node.IsA(kind)]
        exact = node.GetClassName() in self._types
        return (
            bool(kinds)
            and (self._show_hidden or not node.GetHideFromEditors())
            and (exact or self._show_children)
            and not any(node.IsA(kind) for kind in self._hidden_types)
            and all(
                node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))
                for kind, name, value in self._attributes
                if node.IsA(kind)
            )
        )

    def _refresh(self) -> None:
        scene = self._scene
        if scene and scene.IsBatchProcessing():
            return
        before = self._nodes
        count = scene.GetNumberOfNodes() if scene else 0
        found = [node for node in map(scene.GetNthNode, range(count)) if self._fits(node)] if scene else []
        self._nodes = ([None] if self._none else []) + found
        self._box.clear()
        self._box.addItems([node.GetName() if node else self._none_text for node in self._nodes])
        if self._node in self._nodes:
            self._select(self._node)
        else:
            # Where the selected row went, Qt selects the one in its place; a first row is selected by itself.
            row = before.index(self._node) if self._node in before else 0
            self._select(self._nodes[min(row, len(self._nodes) - 1)] if self._nodes else None)


WIDGETS: dict[str, type[QWidget]] = {kind.__name__: kind for kind in (qMRMLWidget, qMRMLNodeComboBox)}
"""By the name that C++ gives them; `slicer` has them under it too."""
