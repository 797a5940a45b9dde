"""Hears of changes of some nodes of the scene, and lets go of those that are not asked for any more."""

from collections.abc import Callable, Iterable

import slicer
import vtk

EVENTS = (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)


class NodeWatch:
    """Calls `changed` after every change of the nodes that are watched.

    Usage::

        watch = NodeWatch(panel.refresh)
        watch.watch([volume, view])
        watch.watch([])      # nothing keeps the nodes of a closed scene alive
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._tags: dict[slicer.vtkMRMLNode, list[int]] = {}

    def watch(self, nodes: Iterable[slicer.vtkMRMLNode]) -> None:
        """Watch these nodes and no others."""
        wanted = set(nodes)
        for node in set(self._tags) - wanted:
            for tag in self._tags.pop(node):
                node.RemoveObserver(tag)
        for node in wanted - set(self._tags):
            self._tags[node] = [node.AddObserver(event, lambda *_: self._changed()) for event in EVENTS]
