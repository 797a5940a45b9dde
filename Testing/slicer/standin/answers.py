"""Modal dialogs answered by a script: a test says beforehand what the user will do, and nothing ever waits.

A dialog that no answer was given for is dismissed and remembered; the fixture then fails the test.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QMenu, QMessageBox, QWidget

Answer = QMessageBox.StandardButton | str | Path | bool | Callable[[QWidget], Any]


@dataclass(frozen=True)
class Shown:
    """A dialog that was shown: its class, its title and what it said."""

    kind: str
    title: str
    text: str


class Answers:
    """What the user will do, dialog by dialog, and what was shown.

    An answer is a button of a message box, a path for a file dialog ("" cancels), True or False for any other dialog,
    or a function that is handed the shown dialog and uses it as a user does, until it is accepted or rejected.
    """

    def __init__(self) -> None:
        self.shown: list[Shown] = []
        self.surprises: list[str] = []
        self._waiting: deque[Answer] = deque()

    def give(self, *answers: Answer) -> None:
        """Answer the next dialogs so, in this order."""
        self._waiting.extend(answers)

    def clear(self) -> None:
        """Forget everything."""
        self.shown.clear()
        self.surprises.clear()
        self._waiting.clear()

    def problems(self) -> list[str]:
        """What a test did not foresee: dialogs without an answer, answers without a dialog, wrong answers."""
        unused = [f"the answer {answer} was never asked for" for answer in self._waiting]
        return self.surprises + unused

    def run_dialog(self, dialog: QDialog) -> int:
        """Stands for `exec` of a dialog of the module's own."""
        answer = self._next(dialog, type(dialog).__name__, dialog.windowTitle, "")
        if callable(answer):
            return self._use(dialog, answer)
        return int(bool(answer))

    def run_message_box(self, box: QMessageBox) -> QMessageBox.StandardButton | int:
        """Stands for `exec` of a message box: the button pressed."""
        answer = self._next(box, "QMessageBox", box.windowTitle, box.text)
        if callable(answer):
            self._use(box, answer)
            return box.standardButton(box.clickedButton())
        if answer is None:
            return QMessageBox.StandardButton.Cancel
        button = box.button(answer)
        if button is None:
            self.surprises.append(f"the message box '{box.text}' has no button {answer}")
            return QMessageBox.StandardButton.Cancel
        self._use(box, lambda _box: button.click())
        return answer

    def choose_path(self, kind: str, title: str) -> str:
        """Stands for the file dialogs: the path chosen, "" if none."""
        answer = self._next(None, kind, title, "")
        return "" if answer is None else str(answer)

    def _next(self, dialog: QWidget | None, kind: str, title: str, text: str) -> Answer | None:
        self.shown.append(Shown(kind, title, text))
        if self._waiting:
            return self._waiting.popleft()
        self.surprises.append(f"nobody answers the {kind} '{title}': {text}")
        return None

    def _use(self, dialog: QDialog, user: Callable[[QWidget], Any]) -> int:
        ended: list[int] = []
        dialog.finished.connect(ended.append)
        dialog.show()
        QApplication.processEvents()
        user(dialog)
        if not ended:
            self.surprises.append(f"the dialog '{dialog.windowTitle}' was left open")
            dialog.reject()
        return ended[0]


ANSWERS = Answers()


def _ask(icon: QMessageBox.Icon) -> Callable[..., Any]:
    def show(
        parent: QWidget | None,
        title: str,
        text: str,
        buttons: QMessageBox.StandardButton = QMessageBox.StandardButton.Ok,
        _default: QMessageBox.StandardButton = QMessageBox.StandardButton.NoButton,
    ) -> QMessageBox.StandardButton | int:
        return ANSWERS.run_message_box(QMessageBox(icon, title, text, buttons, parent))

    return show


def _choose(kind: str) -> Callable[..., str]:
    def show(_parent: QWidget | None = None, title: str = "", *_rest: Any) -> str:
        return ANSWERS.choose_path(kind, title)

    return show


def _menu(_menu: QMenu, *_position: Any) -> None:
    ANSWERS.surprises.append("a menu was opened, which no script can answer")


Icon = QMessageBox.Icon
REPLACED: dict[type, dict[str, Any]] = {
    QDialog: dict.fromkeys(("exec", "exec_"), lambda dialog: ANSWERS.run_dialog(dialog)),
    QMessageBox: {
        **dict.fromkeys(("exec", "exec_"), lambda box: ANSWERS.run_message_box(box)),
        "question": staticmethod(_ask(Icon.Question)),
        "information": staticmethod(_ask(Icon.Information)),
        "warning": staticmethod(_ask(Icon.Warning)),
        "critical": staticmethod(_ask(Icon.Critical)),
    },
    QFileDialog: {
        name: staticmethod(_choose(name)) for name in ("getExistingDirectory", "getOpenFileName", "getSaveFileName")
    },
    QMenu: {"exec": _menu, "exec_": _menu},
}
"""What of Qt would wait for a user, and what stands in its place."""
