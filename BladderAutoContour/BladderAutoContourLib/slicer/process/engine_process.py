"""The warm engine as Slicer sees it: a `serve` process that does one request after the other, and may die at any time.

No call here waits for that process. Whoever owns it calls `poll` from a timer, and the request's listener is told from
there. What `serve` cannot take is tried once by a command of its own.
"""

import json
import re
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import EnvironmentFault, WeightsError
from .child_process import ChildProcess, Ended, ErrorLine, OutputLine

if TYPE_CHECKING:
    from .messages import Failure

READY = {"event": "note", "message": "ready"}
POLL_PATIENCE_SECONDS = 0.002
CANCEL_GRACE_SECONDS = 0.85
"""How long a cancelled request may take to remove its files. Unless it hangs, the engine gives up before that."""
CLOSE_SECONDS = 5.0
"""How long `close` waits at most for a process that was told to end; as a rule it has gone at once."""
HOPELESS = (WeightsError.code, EnvironmentFault.code)
"""Exit codes of an engine that cannot contour, however it is started."""
COMMANDS = ("segment", "rtstruct", "refine")
"""The requests that there is a command for."""
TELLING_NAME = 6
"""A name of a file or folder of this many letters may tell who the patient is; shorter ones are words of a log."""
EVERYDAY_NAMES = {"slicer", "result"}
"""Longer ones that tell nothing: folders of Slicer and of this program, and words of a log."""


@dataclass(frozen=True)
class EngineChoice:
    """What is loaded; another choice ends the process and starts a new one. device: auto, cuda or cpu."""

    device: str = "auto"
    weights: Path | None = None

    @property
    def options(self) -> list[str]:
        """The choice as options of a command."""
        weights = [] if self.weights is None else [f"--weights={self.weights}"]
        return [f"--device={self.device}", *weights]


class Listener(Protocol):
    """Who hears of a request, from within `poll`. Exactly one call of `finished` or `failed` ends the request."""

    def progressed(self, step: str, fraction: float, seconds_left: float | None) -> None: ...

    def finished(self, folder: Path | None) -> None: ...

    def failed(self, failure: "Failure") -> None: ...


@dataclass
class Request:
    """A request on its way. fields: as `serve` takes them, all paths absolute and as text."""

    number: int
    fields: Mapping[str, Any]
    listener: Listener
    folder: Path | None = None  # where the engine says that the result lies
    answered: bool = False  # the engine has said something about it
    cancelled: bool = False

    @property
    def output(self) -> Path:
        """The result folder, or the structure set."""
        return Path(self.fields["output"])

    def as_line(self) -> str:
        """What a warm engine reads."""
        return json.dumps({"id": self.number, **self.fields})

    def as_command(self, choice: EngineChoice) -> list[str]:
        """The command that does the same in a process of its own."""
        options = []
        for key, value in self.fields.items():
            if key not in ("request", "ct") and value is not None and value is not False:  # 0 is a slice
                option = "--" + key.replace("_", "-")
                options.append(option if value is True else f"{option}={value}")
        ct = self.fields["ct"]
        folders = {str(Path(file).parent) for file in ct}
        if self.fields.get("series") and len(folders) == 1:
            ct = folders  # the series tells which files; Windows does not take hundreds of them in one command
        if self.fields["request"] == "segment":
            return ["segment", *ct, *options, *choice.options]
        devices = choice.options if self.fields["request"] == "refine" else []
        return [self.fields["request"], "--ct", *ct, *options, *devices]

    @property
    def telling_names(self) -> set[str]:
        """The names of the request's files and folders, which may tell who the patient is."""
        paths = {self.output, *map(Path, self.fields["ct"])}
        places = {place for path in paths for place in (path, path.parent) if place.name}
        whole = {text for place in places for text in (str(place), place.as_posix())}
        parts = {part for path in paths for part in path.parts if len(part) >= TELLING_NAME}
        names = whole | {part for part in parts if part.lower() not in EVERYDAY_NAMES}
        return names | {repr(name)[1:-1] for name in names}  # Python's own messages double the backslashes of Windows


@dataclass
class Engine:
    """A process and what it has said of itself. alone: it does one request and ends; otherwise it is a warm one."""

    child: ChildProcess
    choice: EngineChoice
    alone: bool = False
    ready: bool = False
    error: Mapping[str, Any] = field(default_factory=dict)


class EngineProcess:
    """Contours CTs and writes structure sets in a process that is kept warm.

    `log` gets the engine's notes and its standard error, line by line, without the names of the request's files.

    Usage::

        engine = EngineProcess(python, log=print)
        timer.timeout.connect(engine.poll)              # every 50 ms; listeners are called from there
        engine.warm(EngineChoice(device="cpu"))         # the process loads meanwhile
        engine.segment([folder], output, listener)
        engine.close()
    """

    def __init__(self, python: Path, log: Callable[[str], None]) -> None:
        self._python = python
        self._log = log
        self._choice = EngineChoice()
        self._engine: Engine | None = None
        self._request: Request | None = None
        self._requests = 0
        self._recent_names: deque[set[str]] = deque(maxlen=2)
        self._hidden_names: list[tuple[str, str]] = []  # in small letters and as they are; the longest first

    @property
    def busy(self) -> bool:
        """Whether a request is on its way; a cancelled one is until its listener has heard."""
        return self._request is not None

    @property
    def pid(self) -> int | None:
        """The number of the process, None where there is none."""
        return self._engine.child.pid if self._engine else None

    def warm(self, choice: EngineChoice) -> None:
        """Start the engine of this choice unless it is there already; returns at once.

        A request on its way keeps the engine that it began with; the next one gets the new one.
        """
        self._choice = choice
        engine = self._engine
        if not self.busy and (engine is None or engine.choice != choice or engine.child.gone):
            self._start(["serve", *choice.options])

    def segment(
        self,
        ct: Sequence[Path],
        output: Path,
        listener: Listener,
        *,
        series_uid: str | None = None,
        export_name: str = "Bladder",
    ) -> None:
        """Contour one CT, a folder, DICOM files or a volume file, into the folder `output`.

        Raises RuntimeError while another request is on its way.
        """
        fields = {"request": "segment", "ct": ct, "output": output, "series": series_uid, "export_name": export_name}
        self._submit(fields, listener)

    def write_structure_set(self, fields: Mapping[str, Any], listener: Listener) -> None:
        """Write a mask as a structure set. fields: those of the engine's request `rtstruct`; paths may be Path values.

        "ct" is a list. Raises RuntimeError while another request is on its way.
        """
        self._submit({**fields, "request": "rtstruct"}, listener)

    def correct(self, fields: Mapping[str, Any], listener: Listener) -> None:
        """Carry corrections on. fields: those of the engine's request `refine` or `copy-and-fit`, and which it is.

        Paths may be Path values, "ct" is a list. Raises RuntimeError while another request is on its way.
        """
        self._submit(fields, listener)

    def cancel(self) -> None:
        """Stop the request: within a second the process and all its children are gone, and the listener hears failed.

        The next request starts a new process.
        """
        request, engine = self._request, self._engine
        if request is None or engine is None or request.cancelled:
            return
        request.cancelled = True
        if engine.ready:
            engine.child.send(json.dumps({"id": request.number, "request": "cancel"}))
        # Without a request sent there is nothing to remove, and what is done alone leaves that to us.
        engine.child.end(after_seconds=CANCEL_GRACE_SECONDS if engine.ready else 0.0)

    def poll(self) -> None:
        """Take what the process has said, and tell the listener. Takes some milliseconds; may be called from itself."""
        engine = self._engine
        if engine is None:
            return
        for heard in engine.child.heard(POLL_PATIENCE_SECONDS):
            match heard:
                case OutputLine():
                    self._take_line(engine, heard)
                case ErrorLine(text):
                    self._write_log(text)
                case Ended():
                    self._take_end(engine, heard)
            if self._engine is not engine:  # the listener has started another one, or this one has ended
                return

    def close(self) -> None:
        """End everything, when the application ends: returns once the process is gone. No listener hears of it."""
        engine, self._engine, self._request = self._engine, None, None
        if engine is not None:
            engine.child.end()
            engine.child.wait_until_gone(CLOSE_SECONDS)

    def _start(self, arguments: list[str], alone: bool = False) -> None:
        """Start a process. It begins when the one before it has gone and given the graphics card's memory back."""
        before = self._engine.child if self._engine else None
        if before is not None:
            before.end()
        self._engine = Engine(ChildProcess(self._python, arguments, after=before), self._choice, alone)

    def _submit(self, fields: Mapping[str, Any], listener: Listener) -> None:
        if self.busy:
            raise RuntimeError("The engine does one request at a time.")
        self.warm(self._choice)
        self._requests += 1
        request = Request(self._requests, {key: _as_text(value) for key, value in fields.items()}, listener)
        # Standard error may be heard after the answer, and even after the next request was made.
        self._recent_names.append(request.telling_names)
        names = sorted(set().union(*self._recent_names), key=len, reverse=True)
        self._hidden_names = [(name.lower(), name) for name in names]
        self._request = request
        self._send()

    def _send(self) -> None:
        """Hand the request over, if the engine is ready; one that loads would not hear of its cancellation."""
        request, engine = self._request, self._engine
        if request is not None and not request.cancelled and engine.ready:
            engine.child.writes_to = request.output
            engine.child.send(request.as_line())

    def _take_line(self, engine: Engine, line: OutputLine) -> None:
        event, request = line.event, self._request
        if event is None:
            self._write_log(line.text)
        elif event == READY:
            engine.ready = True
            self._send()
        elif "error" in event and "id" not in event:
            engine.error = event["error"]  # its last words: the end follows
        elif request is not None and event.get("id", request.number) == request.number:
            self._take_event(engine, request, event)

    def _take_event(self, engine: Engine, request: Request, event: Mapping[str, Any]) -> None:
        kind = event.get("event", "error")
        request.answered |= "id" in event
        if request.cancelled:
            if kind in ("done", "error"):  # it has removed its files
                engine.child.end()
        elif kind == "progress":
            self._tell(request.listener.progressed, event["step"], event["fraction"], event["seconds_left"])
        elif kind == "note":
            self._write_log(event["message"])
        elif kind == "result":
            request.folder = Path(event["folder"])
        elif kind == "done":
            self._settle(engine, request.listener.finished, request.folder)
        elif kind == "error":
            failure = _messages().failure_told(event["error"], **_concerns(engine, request))
            self._settle(engine, request.listener.failed, failure)

    def _take_end(self, engine: Engine, ended: Ended) -> None:
        self._engine = None
        request = self._request
        if request is None:
            self._log(f"The engine ended by itself (code {ended.code}).")
        elif request.cancelled:
            self._settle(engine, request.listener.failed, _messages().failure_cancelled())
        elif engine.alone and ended.code == 0:
            self._settle(engine, request.listener.finished, request.folder)
        elif _is_worth_another_try(engine, request, ended):
            self._start(request.as_command(self._choice), alone=True)
            self._engine.child.writes_to = request.output
            self._write_log(_messages().slower_way())
        else:
            concerns = _concerns(engine, request)
            failure = _messages().failure_of_end(self._python, ended, engine.error, **concerns)
            self._settle(engine, request.listener.failed, failure)

    def _settle(self, engine: Engine, tell: Callable[..., None], *facts: Any) -> None:
        """End the request, then say so: the listener may bring the next one right away."""
        self._request = None
        engine.child.writes_to = None
        self._tell(tell, *facts)

    def _tell(self, tell: Callable[..., None], *facts: Any) -> None:
        try:
            tell(*facts)
        except Exception:  # noqa: BLE001 - what a listener does wrong must not stop the engine's work
            self._write_log(traceback.format_exc())

    def _write_log(self, text: str) -> None:
        """A line for the log, without the names of the last two requests' files and folders, however they are spelt."""
        small = text.lower()
        for lowered, name in self._hidden_names:
            if lowered in small:
                text = re.sub(re.escape(name), "(file)", text, flags=re.IGNORECASE)
        self._log(text)


def _is_worth_another_try(engine: Engine, request: Request, ended: Ended) -> bool:
    """Whether a command of its own may do what the warm engine never began. A structure set needs no networks."""
    if engine.alone or request.answered or ended.code is None or request.fields["request"] not in COMMANDS:
        return False
    return request.fields["request"] == "rtstruct" or engine.error.get("code") not in HOPELESS


def _concerns(engine: Engine, request: Request) -> dict[str, bool]:
    """What an advice about a failure of this request depends on, as `failure_told` takes it."""
    return {"exporting": request.fields["request"] == "rtstruct", "own_weights": engine.choice.weights is not None}


def _as_text(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.absolute())
    return [_as_text(one) for one in value] if isinstance(value, list | tuple) else value


def _messages() -> Any:
    """The words for failures, imported when there is something to say: they need Slicer's translations."""
    from . import messages

    return messages
