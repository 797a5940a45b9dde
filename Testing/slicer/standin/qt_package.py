"""The packages `qt` and `ctk` as Slicer's Python has them."""

import types

from PySide6 import QtCore, QtGui, QtNetwork, QtWidgets

from . import ctk_widgets
from .ui_loader import QUiLoader

# What PySide6 adds, and what would wait for a user without being scripted.
LEFT_OUT = frozenset({"QEnum", "QFlag", "QInputDialog", "QColorDialog", "QFontDialog", "QtMsgType"})


def qt_package() -> types.ModuleType:
    """Every class of Qt in one package; a name that is not there raises AttributeError."""
    package = types.ModuleType("qt", "Qt for Slicer's Python: a stand-in over PySide6.")
    for library in (QtCore, QtGui, QtWidgets, QtNetwork):
        for name in dir(library):
            if name.startswith("Q") and name not in LEFT_OUT:
                setattr(package, name, getattr(library, name))
    package.QUiLoader = QUiLoader
    return package


def ctk_package() -> types.ModuleType:
    """The widgets of CTK that stand in `ctk_widgets`."""
    package = types.ModuleType("ctk", "CTK for Slicer's Python: a stand-in over PySide6.")
    for name, kind in ctk_widgets.WIDGETS.items():
        setattr(package, name, kind)
    return package
