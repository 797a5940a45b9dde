"""CTK's widgets: as much of them as the module's panel uses, with the names and the access that CTK gives them.

CTK's classes show to Python their properties, public slots and invokable methods, and nothing else.
"""

from typing import Any, ClassVar

from PySide6.QtCore import Property, QRect, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QMessageBox,
    QStyle,
    QStyleOptionButton,
    QToolButton,
    QWidget,
)

from .stored import stored


class ctkCollapsibleButton(QAbstractButton):
    """A headed section that folds: libs/Widgets/ctkCollapsibleButton.h."""

    _folded = Signal(bool)
    _signals: ClassVar = {"contentsCollapsed(bool)": "_folded"}
    collapsedHeight = stored(int, 10)
    flat = stored(bool, False)
    contentsLineWidth = stored(int, 1)
    contentsFrameShape = stored(int, 0)
    contentsFrameShadow = stored(int, 0)

    def __init__(self, text: Any = "", parent: QWidget | None = None) -> None:
        text, parent = ("", text) if text is None or isinstance(text, QWidget) else (text, parent)
        super().__init__(parent)
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, self._header_height(), 0, 0)
        self.toggled.connect(lambda checked: self._fold(not checked))

    def _header_height(self) -> int:
        return self.fontMetrics().height() + 8

    def _fold(self, folded: bool) -> None:
        # What is folded away is cut off, not hidden: so each child keeps saying whether the panel shows it.
        self.setMaximumHeight(self._header_height() if folded else 16777215)
        self.updateGeometry()
        self._folded.emit(folded)

    def _set_collapsed(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)

    collapsed = Property(bool, lambda self: not self.checked, _set_collapsed)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """A button across the top, with an arrow that says whether it is folded."""
        option = QStyleOptionButton()
        option.initFrom(self)
        option.rect = QRect(0, 0, self.width, self._header_height())
        option.state |= QStyle.StateFlag.State_Raised
        painter = QPainter(self)
        self.style().drawControl(QStyle.ControlElement.CE_PushButtonBevel, option, painter, self)
        arrow = (
            QStyle.PrimitiveElement.PE_IndicatorArrowDown
            if self.checked
            else QStyle.PrimitiveElement.PE_IndicatorArrowRight
        )
        side = option.rect.height() - 10
        text = QRect(option.rect.adjusted(side + 12, 0, -4, 0))
        option.rect = QRect(6, 5, side, side)
        self.style().drawPrimitive(arrow, option, painter, self)
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.text)
        painter.end()

    def sizeHint(self) -> QSize:
        """What the contents ask for, with the header above."""
        layout = self.layout()
        return layout.sizeHint() if layout else QSize(80, self._header_height())


class ctkPathLineEdit(QWidget):
    """A path that can be typed or browsed for: Libs/Widgets/ctkPathLineEdit.h."""

    Dirs, Files, Drives, NoSymLinks = 0x1, 0x2, 0x4, 0x8
    Readable, Writable, Executable = 0x10, 0x20, 0x40
    Hidden, NoDotAndDotDot, NoDot, NoDotDot = 0x100, 0x1000, 0x2000, 0x4000
    ShowDirsOnly = 0x1
    AdjustToContents, AdjustToContentsOnFirstShow, AdjustToMinimumContentsLength = range(3)

    _path_changed = Signal(str)
    _validity_changed = Signal(bool)
    _signals: ClassVar = {
        "validInputChanged(bool)": "_validity_changed",
        "currentPathChanged(QString)": "_path_changed",
    }
    label = stored(str, "")
    filters = stored(int, Dirs | Files | Drives)
    options = stored(int, 0)
    settingKey = stored(str, "")
    showHistoryButton = stored(bool, True)
    nameFilters = stored("QStringList", [])
    sizeAdjustPolicy = stored(int, AdjustToContentsOnFirstShow)
    minimumContentsLength = stored(int, 0)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._line = QComboBox(self)
        self._line.setEditable(True)
        self._line.setMinimumContentsLength(10)
        self._browse_button = QToolButton(self)
        self._browse_button.setText("...")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._line, 1)
        row.addWidget(self._browse_button)
        self._line.editTextChanged.connect(self._edited)
        self._browse_button.clicked.connect(self.browse)

    def _edited(self, path: str) -> None:
        """`updateHasValidInput`: a path that the field does not accept is not told; an empty one never is."""
        if path:
            self._path_changed.emit(path)

    def _set_browse(self, visible: bool) -> None:
        self._browse_button.setVisible(visible)

    @Slot(str)
    def setCurrentPath(self, path: str) -> None:
        """Show a path; the signal is sent if it is another."""
        self._line.setEditText(path)

    currentPath = Property(str, lambda self: self._line.currentText, lambda self, path: self.setCurrentPath(path))
    showBrowseButton = Property(bool, lambda self: not self._browse_button.isHidden(), _set_browse)

    def comboBox(self) -> QComboBox:
        """The field itself."""
        return self._line

    def browse(self) -> None:
        """Ask for a path; cancelled, the path stays."""
        ask = QFileDialog.getOpenFileName if self.filters & self.Files else QFileDialog.getExistingDirectory
        path = ask(self, self.label or "Select a path to open", self.currentPath)
        if path:
            self.setCurrentPath(path)

    def addCurrentPathToHistory(self) -> None:
        """Keep the path among those offered."""
        if self.currentPath and self._line.findText(self.currentPath) < 0:
            self._line.addItem(self.currentPath)

    def retrieveHistory(self) -> None:
        """Offer the paths kept in the settings; the stand-in keeps none there."""


class ctkMessageBox(QMessageBox):
    """A message box with "Don't show again": Libs/Widgets/ctkMessageBox.h."""

    dontShowAgain = stored(bool, False)
    dontShowAgainSettingsKey = stored(str, "")
    dontShowAgainVisible = stored(bool, False)


WIDGETS: dict[str, type[QWidget]] = {
    kind.__name__: kind for kind in (ctkCollapsibleButton, ctkPathLineEdit, ctkMessageBox)
}
