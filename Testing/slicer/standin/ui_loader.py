"""Qt Designer's files: loaded by Qt's own loader, with the stand-in's classes for Slicer's widgets.

Stricter than Qt, which only warns: an unknown class, property, signal or slot raises ValueError.
"""

import xml.etree.ElementTree as ElementTree

from PySide6.QtCore import QBuffer, QFile, QIODevice, QObject
from PySide6.QtUiTools import QUiLoader as PlainLoader
from PySide6.QtWidgets import QWidget

from . import python_qt

CLASSES: dict[str, type[QWidget]] = {}
"""The stand-in's classes by the name that a .ui file calls them; `install` fills it."""


class QUiLoader(PlainLoader):
    """Qt's loader, as PythonQt shows it."""

    def createWidget(self, class_name: str, parent: QWidget | None = None, name: str = "") -> QWidget:
        """A widget of Qt's or of the stand-in's."""
        if class_name not in CLASSES:
            return super().createWidget(class_name, parent, name)
        widget = CLASSES[class_name](parent)
        widget.setObjectName(name)
        return widget

    def load(self, file: QFile, parent: QWidget | None = None) -> QWidget:
        """Build the widgets of a file, set the properties and make the connections that it tells of."""
        root = ElementTree.fromstring(bytes(file.readAll().data()))
        custom = {node.findtext("class") for node in root.iterfind("customwidgets/customwidget")}
        if unknown := custom - CLASSES.keys():
            raise ValueError(f"{file.fileName()} uses {sorted(unknown)}, for which the stand-in has no class")
        declared = _custom_properties(root)
        later = _take_enumerations(root)
        connections = root.find("connections")
        if connections is not None:
            root.remove(connections)
        buffer = QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QIODevice.OpenModeFlag.ReadOnly)
        with python_qt.loading():
            widget = super().load(buffer, parent)
        for name, attribute in declared:
            custom = _named(widget, name)
            if not python_qt.has_property(custom, attribute):
                raise ValueError(f"{custom.className()} has no property '{attribute}'")
        for name, attribute, value in later:
            setattr(_named(widget, name), attribute, value)
        for connection in () if connections is None else connections:
            _connect(widget, *(connection.findtext(part, "") for part in ("sender", "signal", "receiver", "slot")))
        return widget


def _custom_properties(root: ElementTree.Element) -> list[tuple[str, str]]:
    """The properties that the file sets on the stand-in's widgets, but those declared as dynamic."""
    return [
        (element.get("name", ""), declared.get("name", ""))
        for element in root.iter("widget")
        if element.get("class", "") in CLASSES
        for declared in element.findall("property")
        if declared.get("stdset") != "0"
    ]


def _take_enumerations(root: ElementTree.Element) -> list[tuple[str, str, int]]:
    """Properties of the stand-in's widgets that name an enumeration of theirs, taken out to be set afterwards."""
    taken = []
    for element in root.iter("widget"):
        kind = CLASSES.get(element.get("class", ""))
        for declared in element.findall("property") if kind else ():
            words = (declared.findtext("set") or declared.findtext("enum") or "").split("|")
            values = [getattr(kind, word.rpartition("::")[2], None) for word in words if word]
            if values and all(isinstance(value, int) for value in values):
                taken.append((element.get("name", ""), declared.get("name", ""), sum(values)))
                element.remove(declared)
    return taken


def _named(widget: QWidget, name: str) -> QObject:
    if widget.objectName == name:
        return widget
    found = widget.findChild(QObject, name)
    if found is None:
        raise ValueError(f"a connection names '{name}', which is not there")
    return found


def _connect(widget: QWidget, sender_name: str, signal: str, receiver_name: str, slot: str) -> None:
    sender, receiver = _named(widget, sender_name), _named(widget, receiver_name)
    name, _, kinds = python_qt.normalized(slot).partition("(")
    count = len(kinds.rstrip(")").split(",")) if kinds != ")" else 0
    target = getattr(receiver, name)
    if not isinstance(target, python_qt.Member):
        raise ValueError(f"{receiver.className()} has no slot '{slot}'")
    if not python_qt.connect(sender, signal, lambda *values: target(*values[:count])):
        raise ValueError(f"{sender.className()} has no signal '{signal}'")
