"""A chart as pixels: axes with round ticks, points, lines. Dark, as the other pictures of a result."""

from collections.abc import Sequence

import numpy as np

from ..pipeline.lettering import Colour, blend, draw_text, text_opacity
from ..pipeline.preview import LETTERS, QUIET

WIDTH, HEIGHT = 900, 620
LEFT, RIGHT, TOP, BOTTOM = 90, 40, 92, 76
POINT_RADIUS_PX = 4.5
TICKS = 6
_GRID: Colour = (52, 52, 52)
_LETTER_PX = 17

Range = tuple[float, float]


class Chart:
    """An empty chart of two ranges, to be drawn on.

    Usage::

        chart = Chart("Volumes", "mean, mL", "difference, mL", (0, 600), (-50, 50))
        chart.points([120, 300], [4, -9], (255, 196, 0))
        chart.picture   # RGB uint8 (rows, columns, 3)
    """

    def __init__(self, title: str, x_title: str, y_title: str, x_range: Range, y_range: Range) -> None:
        self.picture = np.full((HEIGHT, WIDTH, 3), 18, dtype=np.uint8)
        self._x_range, self._y_range = x_range, y_range
        for value in ticks(x_range):
            column = round(self.column(value))
            self.picture[TOP : HEIGHT - BOTTOM, column] = _GRID
            self._text(f"{value:g}", HEIGHT - BOTTOM + 10, column, QUIET, centred=0.5)
        for value in ticks(y_range):
            row = round(self.row(value))
            self.picture[row, LEFT : WIDTH - RIGHT] = _GRID
            self._text(f"{value:g}", row - 7, LEFT - 10, QUIET, centred=1.0)
        draw_text(self.picture, title, 14, 20, 24, LETTERS)
        self._text(y_title, TOP - 30, 20, QUIET)
        self._text(x_title, HEIGHT - 34, (LEFT + WIDTH - RIGHT) // 2, QUIET, centred=0.5)

    def column(self, x: float) -> float:
        """Where a value of the x axis lies, in pixels."""
        low, high = self._x_range
        return LEFT + (x - low) / (high - low) * (WIDTH - LEFT - RIGHT - 1)

    def row(self, y: float) -> float:
        """Where a value of the y axis lies, in pixels."""
        low, high = self._y_range
        return HEIGHT - BOTTOM - 1 - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM - 1)

    def points(self, x: Sequence[float], y: Sequence[float], colour: Colour) -> None:
        """A disc at every point."""
        rows, columns = np.indices((HEIGHT, WIDTH))
        for one_x, one_y in zip(x, y, strict=True):
            away = np.hypot(rows - self.row(one_y), columns - self.column(one_x))
            blend(self.picture, np.clip(POINT_RADIUS_PX + 0.5 - away, 0, 1) * 0.85, colour)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: Colour) -> None:
        """A straight line between two points (x, y)."""
        steps = np.linspace(0, 1, 2 * WIDTH)
        (first_x, first_y), (last_x, last_y) = start, end
        columns = np.round([self.column(first_x + (last_x - first_x) * step) for step in steps]).astype(int)
        rows = np.round([self.row(first_y + (last_y - first_y) * step) for step in steps]).astype(int)
        self.picture[rows, columns] = colour

    def note(self, x: float, y: float, text: str, colour: Colour) -> None:
        """Text beside a point, on the side where there is room."""
        column = self.column(x)
        shift, centred = (-10, 1.0) if column > WIDTH / 2 else (10, 0.0)
        self._text(text, min(round(self.row(y)) + 8, HEIGHT - BOTTOM - 20), round(column) + shift, colour, centred)

    def _text(self, text: str, row: int, column: int, colour: Colour, centred: float = 0.0) -> None:
        """A line of text whose left end (0), middle (0.5) or right end (1) lies at `column`."""
        width = text_opacity(text, _LETTER_PX).shape[1]
        draw_text(self.picture, text, row, column - round(centred * width), _LETTER_PX, colour)


def ticks(span: Range) -> list[float]:
    """Round numbers within a range, at most TICKS and one more."""
    low, high = span
    rough = (high - low) / TICKS
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(round(number * step, 10)) for number in range(first, last + 1)]
