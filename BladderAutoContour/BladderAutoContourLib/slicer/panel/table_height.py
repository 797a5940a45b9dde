"""A table as high as its lines: a panel of the module is narrow, and empty space in it means nothing."""

import qt


class TableHeight:
    """Keeps a table exactly as high as its rows, up to `most` pixels; more rows scroll.

    Usage::

        height = TableHeight(table, most=240)
        height.fit()      # after the table was filled
    """

    def __init__(self, table: "qt.QTableWidget", most: int) -> None:
        self._table = table
        self._most = most
        # lines wrap anew, and rows grow, when the panel becomes narrower
        table.verticalHeader().sectionResized.connect(self._row_resized)

    def fit(self) -> None:
        """Give the table its height."""
        self._table.resizeRowsToContents()
        rows = sum(self._table.rowHeight(number) for number in range(self._table.rowCount))
        self._table.setFixedHeight(min(rows + 2 * self._table.frameWidth, self._most))

    def _row_resized(self, _row: int, _old: int, _new: int) -> None:
        self.fit()
