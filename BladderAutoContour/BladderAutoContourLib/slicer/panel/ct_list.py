"""The panel's list of CTs: which are to be contoured, which one is looked at, and how each of them stands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from .table_height import TableHeight

NAME, STATE = 0, 1
MOST_PIXELS = 160
"""More CTs than fit scroll."""


@dataclass(frozen=True)
class Row:
    """One CT. refusal: why it cannot be contoured, None where it can. state, reason: how it stands, in words."""

    volume_id: str
    name: str
    refusal: str | None = None
    state: str = ""
    reason: str = ""


class CtList:
    """Shows the CTs of the scene. The one that the slice views show is ticked until the user ticks by hand.

    Ticks by hand stay as they are, whichever CT is looked at, for as long as the list holds the same CTs.

    Usage::

        cts = CtList(ui.ctTable, ticked=panel.refresh_buttons, chosen=panel.show_result_of)
        cts.show([Row("vtkMRMLScalarVolumeNode1", "Pelvis")], shown="vtkMRMLScalarVolumeNode1")
        cts.ticked_ids, cts.current_id
    """

    def __init__(self, table: "qt.QTableWidget", ticked: Callable[[], None], chosen: Callable[[str], None]) -> None:
        self._table = table
        self._tell_ticked, self._tell_chosen = ticked, chosen
        self._rows: list[Row] = []
        self._ticked_by_hand: dict[str, bool] = {}
        self._shown: str | None = None
        self._filling = self._just_ticked = False
        self._height = TableHeight(table, MOST_PIXELS)
        header = table.horizontalHeader()
        header.setSectionResizeMode(NAME, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(STATE, qt.QHeaderView.ResizeToContents)
        table.itemChanged.connect(self._item_changed)
        table.cellPressed.connect(self._cell_pressed)
        table.cellClicked.connect(self._cell_clicked)

    @property
    def ticked_ids(self) -> list[str]:
        """The CTs to contour, from top to bottom."""
        return [row.volume_id for row in self._rows if self._is_ticked(row)]

    @property
    def why_none(self) -> str | None:
        """Why nothing can be contoured, where that is not for lack of a tick."""
        if not self._rows:
            return _("Load a CT first.")
        shown = [row for row in self._rows if len(self._rows) == 1 or row.volume_id == self._shown]
        return shown[0].refusal if shown else None

    def show(self, rows: Sequence[Row], shown: str | None) -> None:
        """Show these CTs. `shown`: the one in the slice views."""
        if {row.volume_id for row in rows} != {row.volume_id for row in self._rows}:
            self._ticked_by_hand = {}  # what was ticked was chosen among other CTs
        self._rows, self._shown = list(rows), shown
        self._fill()

    def show_state(self, volume_id: str, state: str, reason: str) -> None:
        """Show how one of the CTs stands."""
        for number, row in enumerate(self._rows):
            if row.volume_id == volume_id:
                self._filling = True
                self._table.setItem(number, STATE, _item(state, reason))
                self._filling = False

    def _is_ticked(self, row: Row) -> bool:
        if row.refusal is not None:
            return False
        only = len(self._rows) == 1
        return only or self._ticked_by_hand.get(row.volume_id, row.volume_id == self._shown)

    def _fill(self) -> None:
        self._filling = True
        self._table.setVisible(bool(self._rows))
        self._table.setRowCount(len(self._rows))
        for number, row in enumerate(self._rows):
            self._table.setItem(number, NAME, self._name_item(row))
            self._table.setItem(number, STATE, _item(row.state, row.reason or row.refusal or ""))
        self._select_shown()
        self._height.fit()
        self._filling = False

    def _select_shown(self) -> None:
        for number, row in enumerate(self._rows):
            if row.volume_id == self._shown:
                self._table.selectRow(number)

    def _name_item(self, row: Row) -> "qt.QTableWidgetItem":
        item = _item(row.name, row.refusal or "")
        if len(self._rows) > 1:
            item.setCheckState(qt.Qt.Checked if self._is_ticked(row) else qt.Qt.Unchecked)
        if row.refusal is not None:
            item.setFlags(qt.Qt.ItemIsSelectable)
        return item

    def _item_changed(self, _item: "qt.QTableWidgetItem") -> None:
        if self._filling or len(self._rows) < 2:
            return
        for number, row in enumerate(self._rows):
            if row.refusal is None:
                self._ticked_by_hand[row.volume_id] = self._table.item(number, NAME).checkState() == qt.Qt.Checked
        self._just_ticked = True
        self._tell_ticked()

    def _cell_pressed(self, _number: int, _column: int) -> None:
        self._just_ticked = False

    def _cell_clicked(self, number: int, _column: int) -> None:
        """The user wants to see a CT; who clicks into its box wants to tick it, and no more."""
        if self._just_ticked:
            self._select_shown()
        else:
            self._tell_chosen(self._rows[number].volume_id)


def _item(text: str, tool_tip: str) -> "qt.QTableWidgetItem":
    item = qt.QTableWidgetItem(text)
    item.setToolTip(tool_tip)
    return item
