"""qMRMLSegmentEditorWidget: real node and real logic behind a plain face; the effects themselves are Slicer's own.

`paint` does what an effect does with the mouse, for tests.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import slicer
import vtk
from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QListWidget, QListWidgetItem, QPushButton, QVBoxLayout, QWidget

from .mrml_widgets import Observations, qMRMLWidget
from .stored import stored

EFFECTS = ("Threshold", "Paint", "Draw", "Erase", "Level tracing", "Grow from seeds", "Fill between slices", "Margin")
MORE_EFFECTS = ("Hollow", "Smoothing", "Scissors", "Islands", "Logical operators", "Mask volume")
BUTTONS_IN_A_ROW = 4


def with_slots(*names: str) -> Callable[[type], type]:
    """For each of these properties a slot that sets it: `readOnly` gets `setReadOnly`."""

    def add(kind: type) -> type:
        for name in names:
            setattr(kind, f"set{name[0].upper()}{name[1:]}", lambda self, value, name=name: setattr(self, name, value))
        return kind

    return add


@with_slots(
    *("segmentationNodeSelectorVisible", "sourceVolumeNodeSelectorVisible", "autoShowSourceVolumeNode"),
    *("maskingSectionVisible", "specifyGeometryButtonVisible", "show3DButtonVisible"),
    *("addRemoveSegmentButtonsVisible", "switchToSegmentationsButtonVisible", "undoEnabled", "readOnly"),
    *("maximumNumberOfUndoStates", "jumpToSelectedSegmentEnabled", "effectColumnCount"),
)
class qMRMLSegmentEditorWidget(qMRMLWidget):
    """The Segment Editor: Modules/Loadable/Segmentations/Widgets/qMRMLSegmentEditorWidget.h."""

    _segment_changed = Signal(str)
    _source_changed = Signal(object)
    _segmentation_changed = Signal(object)
    _signals: ClassVar = {
        "currentSegmentIDChanged(QString)": "_segment_changed",
        "sourceVolumeNodeChanged(vtkMRMLVolumeNode*)": "_source_changed",
        "segmentationNodeChanged(vtkMRMLSegmentationNode*)": "_segmentation_changed",
    }
    segmentationNodeSelectorVisible = stored(bool, True)
    sourceVolumeNodeSelectorVisible = stored(bool, True)
    maskingSectionVisible = stored(bool, True)
    specifyGeometryButtonVisible = stored(bool, True)
    show3DButtonVisible = stored(bool, True)
    addRemoveSegmentButtonsVisible = stored(bool, True)
    autoShowSourceVolumeNode = stored(bool, True)
    switchToSegmentationsButtonVisible = stored(bool, True)
    undoEnabled = stored(bool, True)
    readOnly = stored(bool, False)
    jumpToSelectedSegmentEnabled = stored(bool, False)
    effectColumnCount = stored(int, 2)
    defaultTerminologyEntrySettingsKey = stored(str, "")
    defaultTerminologyEntry = stored(str, "")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._node, self._seen, self._order, self._unordered = None, (None, None, ""), (), True
        self._shortcuts = False
        self._observations = Observations(self)
        self._segments = QListWidget(self)
        self._segments.setMaximumHeight(64)
        self._segments.itemClicked.connect(lambda item: self._take_up(self._segments.row(item)))
        self._effects = QGridLayout()
        self._undo, self._redo = QPushButton("Undo", self), QPushButton("Redo", self)
        self._undo.clicked.connect(self.undo)
        self._redo.clicked.connect(self.redo)
        self._logic.AddObserver(self._logic.SegmentationHistoryChangedEvent, lambda *_: self._show_history())
        history = QHBoxLayout()
        history.addWidget(self._undo)
        history.addWidget(self._redo)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._segments)
        column.addLayout(self._effects)
        column.addLayout(history)
        self.updateEffectList()
        self._show_history()

    # The nodes

    def mrmlSegmentEditorNode(self) -> Any:
        """The node that holds the editor's settings."""
        return self._node

    def setMRMLScene(self, scene: Any) -> None:
        """Edit in another scene."""
        self._logic.SetMRMLScene(scene)
        super().setMRMLScene(scene)
        self.updateWidgetFromMRML()

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        """Keep the settings in this node."""
        self._observations.end()
        self._node = node
        self._logic.SetSegmentEditorNode(node)
        if node:
            self._observations.add(node, vtk.vtkCommand.ModifiedEvent, self.updateWidgetFromMRML)
        self.updateWidgetFromMRML()

    def segmentationNode(self) -> Any:
        """The segmentation that is edited."""
        return self._node.GetSegmentationNode() if self._node else None

    def sourceVolumeNode(self) -> Any:
        """The volume that effects look at."""
        return self._node.GetSourceVolumeNode() if self._node else None

    def segmentationNodeID(self) -> str:
        """Its ID, "" for none."""
        return _id_of(self.segmentationNode())

    def sourceVolumeNodeID(self) -> str:
        """Its ID, "" for none."""
        return _id_of(self.sourceVolumeNode())

    def currentSegmentID(self) -> str:
        """The segment that is edited."""
        return (self._node.GetSelectedSegmentID() or "") if self._node else ""

    def setSegmentationNode(self, node: Any) -> None:
        """Edit a segmentation; its first segment, if another segmentation's was selected."""
        self._need_node()
        self._node.SetAndObserveSegmentationNode(node)
        ids = list(node.GetSegmentation().GetSegmentIDs()) if node else []
        if self.currentSegmentID() not in ids:
            self._node.SetSelectedSegmentID(ids[0] if ids else "")
        self.updateWidgetFromMRML()

    def setSegmentationNodeID(self, node_id: str) -> None:
        """Edit a segmentation, by its ID."""
        self.setSegmentationNode(self._scene.GetNodeByID(node_id))

    def setSourceVolumeNode(self, node: Any) -> None:
        """Look at a volume; a segmentation without a grid gets the volume's."""
        self._need_node()
        segmentation = self.segmentationNode()
        if node and segmentation and not segmentation.GetNodeReference("referenceImageGeometryRef"):
            segmentation.SetReferenceImageGeometryParameterFromVolumeNode(node)
        self._node.SetAndObserveSourceVolumeNode(node)
        self.updateWidgetFromMRML()

    def setSourceVolumeNodeID(self, node_id: str) -> None:
        """Look at a volume, by its ID."""
        self.setSourceVolumeNode(self._scene.GetNodeByID(node_id))

    def setCurrentSegmentID(self, segment_id: str) -> None:
        """Edit a segment."""
        self._need_node()
        self._node.SetSelectedSegmentID(segment_id)

    def updateWidgetFromMRML(self) -> None:
        """Show what the nodes say."""
        now = (self.segmentationNode(), self.sourceVolumeNode(), self.currentSegmentID())
        before, self._seen = self._seen, now
        self._show_segments()
        for new, old, signal in zip(
            now, before, (self._segmentation_changed, self._source_changed, self._segment_changed), strict=True
        ):
            if new != old:
                signal.emit(new)

    def _take_up(self, row: int) -> None:
        """The user clicks into the list of segments."""
        self._node.SetSelectedSegmentID(self.segmentationNode().GetSegmentation().GetNthSegmentID(row))

    def _need_node(self) -> None:
        # The C++ class prints a line and does nothing; here a test shall see it.
        if not self._node or not self._scene:
            raise AssertionError("qMRMLSegmentEditorWidget has no segment editor node or no scene yet")

    def _show_segments(self) -> None:
        self._segments.clear()
        node = self.segmentationNode()
        for segment_id in node.GetSegmentation().GetSegmentIDs() if node else ():
            segment = node.GetSegmentation().GetSegment(segment_id)
            colour = QPixmap(16, 16)
            colour.fill(QColor.fromRgbF(*segment.GetColor()))
            item = QListWidgetItem(QIcon(colour), segment.GetName(), self._segments)
            item.setSelected(segment_id == self.currentSegmentID())

    # Effects

    def availableEffectNames(self) -> list[str]:
        """The effects that Slicer brings."""
        return [*EFFECTS, *MORE_EFFECTS]

    def effectNameOrder(self) -> list[str]:
        """The effects that come first, in order."""
        return list(self._order)

    def setEffectNameOrder(self, names: Any) -> None:
        """Show these effects first; an unknown one is passed over."""
        self._order = tuple(names)
        self.updateEffectList()

    def _set_unordered_visible(self, visible: bool) -> None:
        self._unordered = visible
        self.updateEffectList()

    unorderedEffectsVisible = Property(bool, lambda self: self._unordered, _set_unordered_visible)

    def updateEffectList(self) -> None:
        """Show the buttons of the effects."""
        while self._effects.count():
            button = self._effects.takeAt(0).widget()
            button.hide()
            button.deleteLater()
        known = self.availableEffectNames()
        names = [name for name in self._order if name in known]
        names += [name for name in known if name not in names] if self._unordered else []
        for index, name in enumerate(names):
            button = QPushButton(name, self)
            button.setCheckable(True)
            button.setAutoExclusive(True)
            button.clicked.connect(lambda _checked, name=name: self.setActiveEffectByName(name))
            self._effects.addWidget(button, *divmod(index, BUTTONS_IN_A_ROW))

    def setActiveEffectByName(self, name: str) -> None:
        """Take an effect in hand; "" lays it aside."""
        self._need_node()
        if name and name not in self.availableEffectNames():
            raise AssertionError(f"Slicer has no effect '{name}'")
        self._node.SetActiveEffectName(name)

    def setActiveEffect(self, effect: None) -> None:
        """Lay the effect aside; effects themselves are not here to be taken."""
        if effect is not None:
            raise AssertionError("the stand-in has no effects")
        if self._node:
            self._node.SetActiveEffectName("")

    def activeEffect(self) -> str | None:
        """The effect in hand, here by its name: the stand-in has none themselves."""
        return (self._node.GetActiveEffectName() or None) if self._node else None

    def setupViewObservations(self) -> None:
        """The mouse in the views is not played here."""

    def removeViewObservations(self) -> None:
        """The mouse in the views is not played here."""

    def installKeyboardShortcuts(self, _parent: QWidget | None = None) -> None:
        """Listen to the editor's keys; without a segmentation, Slicer 5.10 ends when one of them is pressed."""
        if self.segmentationNode() is None:
            raise RuntimeError("keys without a segmentation")
        self._shortcuts = True

    def uninstallKeyboardShortcuts(self) -> None:
        """Leave the keys to others."""
        self._shortcuts = False

    # Undo

    def _set_maximum(self, states: int) -> None:
        self._logic.SetMaximumNumberOfUndoStates(states)

    maximumNumberOfUndoStates = Property(int, lambda self: self._logic.GetMaximumNumberOfUndoStates(), _set_maximum)

    def saveStateForUndo(self) -> None:
        """Make what comes next one step that can be undone."""
        self._logic.SaveStateForUndo()

    def undo(self) -> None:
        """Take the last step back."""
        self._logic.Undo()

    def redo(self) -> None:
        """Do again what was undone."""
        self._logic.Redo()

    def _show_history(self) -> None:
        self._undo.setEnabled(self._logic.CanUndo())
        self._redo.setEnabled(self._logic.CanRedo())


def _id_of(node: Any) -> str:
    return node.GetID() if node else ""


def listens_to_keys(editor: QWidget) -> bool:
    """Whether the editor's keys are taken up, wherever the mouse is."""
    return editor._shortcuts


def click_segment(editor: QWidget, row: int) -> None:
    """A click of the mouse into the editor's own list."""
    segments = editor._segments
    segments.scrollToItem(segments.item(row))
    place = segments.visualItemRect(segments.item(row)).center()
    QTest.mouseClick(segments.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)


def paint(editor: QWidget, mask: np.ndarray, erase: bool = False) -> None:
    """What a stroke of Paint or Erase does: the mask (k, j, i, on the source volume's grid) is added or taken away."""
    logic, volume = editor._logic, editor.sourceVolumeNode()
    stroke = slicer.vtkOrientedImageData()
    stroke.DeepCopy(slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(volume))
    values = vtk.util.numpy_support.numpy_to_vtk(np.ascontiguousarray(mask, np.uint8).ravel(), deep=True)
    stroke.GetPointData().SetScalars(values)
    mode = logic.ModificationModeRemove if erase else logic.ModificationModeAdd
    logic.SaveStateForUndo()
    segmentation, segment_id = editor.segmentationNode(), editor.currentSegmentID()
    # For one segment and not for all, and with the editor's masking, as Slicer's effects have it.
    logic.ModifySegmentByLabelmap(segmentation, segment_id, stroke, mode, False, False)


WIDGETS: dict[str, type[QWidget]] = {"qMRMLSegmentEditorWidget": qMRMLSegmentEditorWidget}
