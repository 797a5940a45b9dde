"""The panel's Segment Editor: corrections by hand to one contour, neighbours left alone, undo and restore."""

from collections.abc import Callable

import qt
import slicer
import vtk

from ..scene.kept_contour import is_begun_by_hand
from ..scene.segmentation import Contour, is_edited, restore_automatic

EFFECTS = ("Paint", "Erase", "Draw", "Scissors", "Islands", "Smoothing", "Threshold")
PARAMETER_TAG = "BladderAutoContour"
UNDO_STATES = 10
SETTLE_MILLISECONDS = 200
"""A stroke changes the segment many times; the volume is measured once it has come to rest."""


class EditorSection:
    """The embedded editor and the button that brings the automatic contour back.

    `edited` is called after every change of the contour that is shown, `taken_up` when the user takes up another
    segment of the same segmentation, with a click in the editor's list or by its keys.

    Usage::

        section = EditorSection(ui, edited=panel.contour_edited, taken_up=panel.choose)
        section.show(contour)
        section.leave()
    """

    def __init__(self, ui: object, edited: Callable[[], None], taken_up: Callable[[Contour], None]) -> None:
        self._section, self._editor, self._restore = ui.correctSection, ui.segmentEditor, ui.restoreButton
        self._taken_up = taken_up
        self._contour: Contour | None = None
        self._node: slicer.vtkMRMLSegmentEditorNode | None = None
        self._node_observation = 0
        self._observations: list[tuple[slicer.vtkSegmentation, int]] = []
        self._editor.setMaximumNumberOfUndoStates(UNDO_STATES)
        self._editor.setEffectNameOrder(list(EFFECTS))
        self._editor.unorderedEffectsVisible = False
        self._editor.setSegmentationNodeSelectorVisible(False)
        self._editor.setSourceVolumeNodeSelectorVisible(False)
        self._editor.setAddRemoveSegmentButtonsVisible(False)
        self._editor.setSwitchToSegmentationsButtonVisible(False)
        self._editor.setAutoShowSourceVolumeNode(False)  # what the views show is the clinician's, here and elsewhere
        self._entered = self._showing = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MILLISECONDS)
        self._timer.timeout.connect(edited)
        self._restore.clicked.connect(lambda: self._restore_automatic())
        self._section.contentsCollapsed.connect(lambda *_: self._give_keys())
        self._prepare()

    def enter(self) -> None:
        """The module is shown, or a new scene has come."""
        self._entered = True
        self._prepare()
        self._show_in_editor()

    def scene_imported(self) -> None:
        """Another scene was added to this one: with it came its editor's settings, in the place of ours."""
        if self._entered:
            self.enter()

    @property
    def is_in_use(self) -> bool:
        """Whether the mouse in the slice views draws."""
        return self._entered and self._editor.activeEffect() is not None

    def leave(self) -> None:
        """The module is left: the mouse in the slice views and the keys belong to others."""
        if self._entered and self._contour is not None:
            self._editor.saveStateForUndo()  # what others change meanwhile is a step of its own
        self._entered = False
        self._editor.setActiveEffect(None)
        self._editor.uninstallKeyboardShortcuts()
        self._editor.removeViewObservations()

    def show(self, contour: Contour | None) -> None:
        """Edit this contour; None: there is nothing to edit."""
        if contour != self._contour:
            self._forget()
            self._contour = contour
            if contour is not None:
                self._observe(contour.segmentation.GetSegmentation())
            if self._entered or contour is None:  # the editor clears label layers from views: not from others'
                self._show_in_editor()
        elif self._entered and contour is not None and not self._is_in_editor(contour):
            self._show_in_editor()
        self._section.setEnabled(contour is not None)
        # What was begun by hand has an empty automatic contour: to restore it would throw the drawing away.
        self._restore.setEnabled(contour is not None and is_edited(contour) and not is_begun_by_hand(contour.segment))

    def save_state(self) -> None:
        """Keep the contour as it is now for undo: somebody else is about to change it."""
        if self._contour is not None:
            if not self._entered:
                self._show_in_editor()
            self._editor.saveStateForUndo()

    def close(self) -> None:
        """Forget the contour and observe nothing any more, nor have the editor do so."""
        self._timer.stop()
        self.leave()
        self.show(None)
        self._observe_node(None)
        self._editor.setMRMLSegmentEditorNode(None)

    def _prepare(self) -> None:
        # The parameter node comes first: what the editor chooses when it gets the scene is kept there.
        node = _parameter_node()
        self._showing = True
        self._editor.setMRMLSegmentEditorNode(node)
        self._editor.setMRMLScene(slicer.mrmlScene)
        self._showing = False
        self._observe_node(node)

    def _observe_node(self, node: slicer.vtkMRMLSegmentEditorNode | None) -> None:
        if self._node is not None:
            self._node.RemoveObserver(self._node_observation)
        self._node = node
        if node is not None:
            # The editor has a signal for a click in its list, and none for its keys.
            self._node_observation = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._follow())

    def _follow(self) -> None:
        """What the brush paints is what the panel measures, carries on and exports."""
        if slicer.mrmlScene.IsBatchProcessing():
            return  # nobody took anything up: another scene's settings come in the place of ours
        contour, segment_id = self._contour, self._node.GetSelectedSegmentID()
        if self._showing or not self._entered or contour is None or not segment_id:
            return
        taken_up = Contour(contour.segmentation, segment_id)
        if self._node.GetSegmentationNode() is contour.segmentation and taken_up != contour:
            self._contour = taken_up
            self._taken_up(taken_up)

    def _observe(self, segments: slicer.vtkSegmentation) -> None:
        for event in (segments.SourceRepresentationModified, segments.SegmentModified, segments.SegmentRemoved):
            self._observations.append((segments, segments.AddObserver(event, lambda *_: self._timer.start())))

    def _forget(self) -> None:
        for segments, tag in self._observations:
            segments.RemoveObserver(tag)
        self._observations.clear()

    def _show_in_editor(self) -> None:
        contour, self._showing = self._contour, True
        self._editor.uninstallKeyboardShortcuts()
        self._editor.setActiveEffect(None)
        self._editor.setSegmentationNode(contour.segmentation if contour else None)
        if contour is not None:
            self._editor.setSourceVolumeNode(contour.volume)
            self._editor.setCurrentSegmentID(contour.segment_id)
        self._showing = False
        self._give_keys()

    def _is_in_editor(self, contour: Contour) -> bool:
        node = self._node
        return node.GetSegmentationNode() is contour.segmentation and node.GetSourceVolumeNode() is contour.volume

    def _give_keys(self) -> None:
        """A brush that nobody sees paints nothing, and no key takes one up.

        Nor where there is nothing to paint on: Slicer 5.10 ends when an effect is taken up without a segmentation.
        """
        self._editor.uninstallKeyboardShortcuts()
        if self._section.collapsed:
            self._editor.setActiveEffect(None)
        elif self._entered and self._contour is not None:
            self._editor.installKeyboardShortcuts()

    def _restore_automatic(self) -> None:
        contour = self._contour
        if contour is not None:
            restore_automatic(contour, self._editor.saveStateForUndo)


def _parameter_node() -> slicer.vtkMRMLSegmentEditorNode:
    """The editor's settings in the scene: ours, so that those of the module Segment Editor stay as they are."""
    scene = slicer.mrmlScene
    node = scene.GetSingletonNode(PARAMETER_TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = slicer.vtkMRMLSegmentEditorNode()
        node.SetSingletonTag(PARAMETER_TAG)
        node = scene.AddNode(node)
    # Painting over a neighbouring structure leaves the neighbour whole. Closing a scene resets the node: set it anew.
    node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
    # A scene that brings its brush along would take it up before it has a contour, which Slicer 5.10 does not survive.
    node.SetSaveWithScene(False)
    return node
