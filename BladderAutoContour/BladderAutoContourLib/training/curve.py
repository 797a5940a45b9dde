"""The curve of a stage: curve.csv, a row a step, and TensorBoard's event files where tensorboard is installed."""

import csv
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from .. import host

NAME = "curve.csv"
EVENTS = "events"
COLUMNS = ("step", "loss", "rate", "gradient")


class Curve:
    """Appends to the curve of a stage's folder. Rows past `step` are dropped: these steps are trained once more.

    Usage::

        with Curve(folder, step=200) as curve:
            curve.add(201, loss=0.31, rate=2e-3, gradient=0.8)
            curve.flush()
    """

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / NAME
        _trim(path, step)
        self._file = path.open("a", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        if self._file.tell() == 0:
            self._rows.writerow(COLUMNS)
        self._board = None
        if importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / EVENTS), purge_step=step + 1)

    def __enter__(self) -> "Curve":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board:
            self._board.close()

    def add(self, step: int, loss: float, rate: float, gradient: float) -> None:
        """Record a step."""
        self._rows.writerow([step, f"{loss:.5f}", f"{rate:.3g}", f"{gradient:.3g}"])
        if self._board:
            for name, value in zip(COLUMNS[1:], (loss, rate, gradient), strict=True):
                self._board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write out what is recorded: a kill from here on cannot take it."""
        self._file.flush()
        if self._board:
            self._board.flush()


def read_losses(folder: Path) -> Sequence[float]:
    """The loss of every step of a stage, so far."""
    with (folder / NAME).open(newline="", encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def _trim(path: Path, step: int) -> None:
    if not path.exists():
        return
    rows = path.read_text(encoding="utf-8").splitlines()
    kept = "".join(f"{row}\n" for row in rows[: step + 1 if step else 0])
    host.put_text(path, kept)
