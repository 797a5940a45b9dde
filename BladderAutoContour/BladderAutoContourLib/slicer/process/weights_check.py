"""Whether the engine takes the weights that a user has chosen: it loads them once, in a process of its own."""

import json
from collections.abc import Callable
from pathlib import Path

from .child_process import ChildProcess, Ended, OutputLine
from .engine_process import POLL_PATIENCE_SECONDS, EngineChoice
from .messages import Failure, failure_of_end

Answer = Callable[[Failure | None], None]


class WeightsCheck:
    """`answer` hears None where the engine loads, else why it does not; only from within `poll`.

    Usage::

        check = WeightsCheck(python, EngineChoice(weights=Path("own.pt")), answer)
        timer.timeout.connect(check.poll)
    """

    def __init__(self, python: Path, choice: EngineChoice, answer: Answer) -> None:
        self._python = python
        self._answer: Answer | None = answer
        self._error: dict[str, object] = {}
        self._child = ChildProcess(python, ["serve", *choice.options])
        self._child.send(json.dumps({"request": "quit"}))  # as soon as it is loaded

    def poll(self) -> None:
        """Call every 50 ms or so."""
        for heard in self._child.heard(POLL_PATIENCE_SECONDS):
            if isinstance(heard, OutputLine):
                self._error = (heard.event or {}).get("error", self._error)
            elif isinstance(heard, Ended) and self._answer is not None:
                answer, self._answer = self._answer, None
                answer(self._why(heard))

    def close(self) -> None:
        """End the process; nobody hears any more."""
        self._answer = None
        self._child.end()

    def _why(self, ended: Ended) -> Failure | None:
        return None if ended.code == 0 else failure_of_end(self._python, ended, self._error)
