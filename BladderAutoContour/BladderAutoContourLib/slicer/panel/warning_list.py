"""The panel's list of warnings: a line each; a click opens it and jumps to its slices, one after the other."""

from collections.abc import Callable, Collection, Sequence

import qt

from ..process.result import SliceWarning
from .table_height import TableHeight
from .words import severity_words, slices_words

SEVERITY, SENTENCE, SLICES = 0, 1, 2
MOST_PIXELS = 240


class WarningList:
    """Shows warnings; those not opened yet stand in bold.

    `opened` hears the sentence of a warning when it is clicked, `jump` the slice to go to.

    Usage::

        warnings = WarningList(ui.warningTable, opened=remember, jump=go_to_slice)
        warnings.show(told.warnings, told.opened)
    """

    def __init__(self, table: "qt.QTableWidget", opened: Callable[[str], None], jump: Callable[[int], None]) -> None:
        self._table = table
        self._tell_opened, self._jump = opened, jump
        self._warnings: list[SliceWarning] = []
        self._visited: dict[int, int] = {}
        self._height = TableHeight(table, MOST_PIXELS)
        header = table.horizontalHeader()
        header.setSectionResizeMode(SEVERITY, qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(SENTENCE, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(SLICES, qt.QHeaderView.ResizeToContents)
        table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.cellClicked.connect(self._cell_clicked)

    def show(self, warnings: Sequence[SliceWarning], opened: Collection[str]) -> None:
        """Show these warnings; `opened`: the sentences of those that somebody has clicked before."""
        if list(warnings) != self._warnings:
            self._warnings, self._visited = list(warnings), {}
        self._table.setVisible(bool(self._warnings))
        self._table.setRowCount(len(self._warnings))
        for number, warning in enumerate(self._warnings):
            texts = (severity_words(warning.severity), warning.sentence, self._slices_text(number))
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                font = item.font()
                font.setBold(warning.sentence not in opened)
                item.setFont(font)
                item.setToolTip(self._table.toolTip)
                self._table.setItem(number, column, item)
            self._table.item(number, SEVERITY).setIcon(self._icon(warning.severity))
        self._height.fit()

    def _slices_text(self, number: int) -> str:
        return slices_words(len(self._warnings[number].slices), self._visited.get(number))

    def _icon(self, severity: str) -> "qt.QIcon":
        kind = qt.QStyle.SP_MessageBoxWarning if severity == "warning" else qt.QStyle.SP_MessageBoxInformation
        return self._table.style().standardIcon(kind)

    def _cell_clicked(self, number: int, _column: int) -> None:
        slices = self._warnings[number].slices
        if slices:
            place = self._visited.get(number, -1) + 1
            self._visited[number] = place % len(slices)
            self._jump(slices[self._visited[number]])
        self._tell_opened(self._warnings[number].sentence)
