"""A run of the program's own command line; threads start, read, write and end it, so that nobody waits for it."""

import contextlib
import json
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ... import ARGUMENTS_VARIABLE, TEMPORARY_PREFIX, host, streams

PACKAGE_FOLDER = Path(__file__).resolve().parents[3]
MODULE = __package__.partition(".")[0]
MOST_AT_ONCE = 200
"""How many lines are handed out in one go: a process that floods its pipe must not hold the window."""
LAUNCHER_DIED, LAUNCHER_WORDS = 1, "exit abnormally"
"""How Slicer's launcher ends, and what it says on standard error, when the Python that it started has crashed or was
killed: PythonSlicer is such a launcher (CTK's) in an installed Slicer, and the signal stays with its child."""
_PATIENCE_SECONDS = 5.0  # how long a thread waits for what should have happened at once


@dataclass(frozen=True)
class OutputLine:
    """A line of standard output."""

    text: str

    @property
    def event(self) -> dict[str, Any] | None:
        """What the engine says; None where somebody else, such as a library that is being loaded, has printed it."""
        try:
            event = json.loads(self.text)
        except ValueError:
            return None
        return event if isinstance(event, dict) else None


@dataclass(frozen=True)
class ErrorLine:
    """A line of standard error."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The process and all its children are gone, and what they left half-written is removed; nothing comes after it.

    code: None for one that could not be started, or was ended before; `reason` is then the system's word for it.
    behind_launcher: the code is only the launcher's, which says that the process itself has crashed or was killed.
    """

    code: int | None
    reason: str = ""
    behind_launcher: bool = False


Heard = OutputLine | ErrorLine | Ended


class ChildProcess:
    """One `python -m BladderAutoContourLib ARGUMENTS`.

    `after`: a child that has to be gone before this one starts, so that the memory of a graphics card is free.

    Usage::

        child = ChildProcess(python, ["serve"])
        child.send('{"request": "quit"}')
        for heard in child.heard(0.002):      # again and again, until it hands out Ended
            ...
    """

    def __init__(self, python: Path, arguments: Sequence[str], after: "ChildProcess | None" = None) -> None:
        self.writes_to: Path | None = None
        """The file or folder in which it may leave something half-written."""
        command, *rest = [str(argument) for argument in arguments]
        # A command line is seen by every user of the computer, and a CT's folder may be called as its patient is.
        self._command, self._variables = [python, "-m", MODULE, command], {ARGUMENTS_VARIABLE: json.dumps(rest)}
        self._after = after
        self._process: subprocess.Popen | None = None
        self._to_write: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._launcher_spoke = threading.Event()
        self._must_end = threading.Event()
        self._gone = threading.Event()
        _on_a_thread(self._live)

    @property
    def pid(self) -> int | None:
        """The process's number, None before it has one."""
        return self._process.pid if self._process else None

    @property
    def gone(self) -> bool:
        """Whether it has ended, heard of or not."""
        return self._gone.is_set()

    def send(self, line: str) -> None:
        """Write a line to its standard input."""
        self._to_write.put(line)

    def heard(self, patience_seconds: float) -> Iterator[Heard]:
        """What it has said since the last call; waits that long for the first word.

        The wait lets this module's threads run: in Slicer they stand still while the window does nothing in Python.
        """
        with contextlib.suppress(queue.Empty):
            yield self._heard.get(timeout=patience_seconds)
            for _ in range(MOST_AT_ONCE):
                yield self._heard.get_nowait()

    def end(self, after_seconds: float = 0.0) -> None:
        """End it with all its children, unless it has ended by itself before that time is over."""
        _on_a_thread(self._end, after_seconds)

    def wait_until_gone(self, seconds: float) -> bool:
        """Wait that long at most; whether it is gone."""
        return self._gone.wait(seconds)

    def _live(self) -> None:
        if self._after is not None:
            self._after.wait_until_gone(_PATIENCE_SECONDS)
            self._after = None
        ended = Ended(None)
        try:
            if not self._must_end.is_set():
                ended = self._run()
        except OSError as error:
            ended = Ended(None, error.strerror or type(error).__name__)
        except RuntimeError as error:  # the system gives no more threads
            ended = Ended(None, str(error))
        finally:
            self._leave(ended)

    def _leave(self, ended: Ended) -> None:
        try:
            _remove_unfinished(self.writes_to)
        finally:  # somebody waits for the end, whatever went wrong here
            self._gone.set()
            self._heard.put(ended)

    def _run(self) -> Ended:
        """Start the process and stay until it has ended. Raises OSError, RuntimeError where it cannot be started."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self._process = process = host.popen_group(self._command, env=_environment() | self._variables, **pipes)
        try:
            if self._must_end.is_set():  # `end` came before there was anything to end
                host.end_process_tree(process)
            readers = [self._listen(process.stdout, OutputLine), self._listen(process.stderr, ErrorLine)]
            _on_a_thread(self._write)
            process.wait()
        finally:
            host.end_process_tree(process)  # what it started may outlive it
        self._to_write.put(None)
        for reader in readers:
            host.join_in_turns(reader, _PATIENCE_SECONDS)
        code = process.returncode
        return Ended(code, behind_launcher=code == LAUNCHER_DIED and self._launcher_spoke.is_set())

    def _listen(self, stream: IO[bytes], kind: type[OutputLine | ErrorLine]) -> threading.Thread:
        def take(line: str | None) -> None:
            if line is None:
                stream.close()
                return
            if kind is ErrorLine and LAUNCHER_WORDS in line:
                self._launcher_spoke.set()
            self._heard.put(kind(line.rstrip("\r")))

        return streams.read_lines(stream.fileno(), take)

    def _write(self) -> None:
        # One that has ended reads nothing any more: its end tells.
        with contextlib.suppress(OSError), self._process.stdin as stream:
            while (line := self._to_write.get()) is not None:
                stream.write(line.encode("utf-8") + b"\n")
                stream.flush()

    def _end(self, after_seconds: float) -> None:
        self._gone.wait(after_seconds)
        self._must_end.set()
        if self._process is not None and not self.gone:
            host.end_process_tree(self._process)


def _on_a_thread(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, name="engine process", daemon=True).start()


def _environment() -> dict[str, str]:
    """This process's variables, with which the child's Python finds the package wherever the extension lies."""
    paths = [str(PACKAGE_FOLDER), os.environ.get("PYTHONPATH", "")]
    # safe path: not the folder that Slicer happens to work in, where any file could pass for a package
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}


def _remove_unfinished(target: Path | None) -> None:
    """Remove what a process that was killed while it wrote to `target`, a result folder or a file, has left."""
    if target is None:
        return
    # A place that cannot be looked at, such as a share that is gone, keeps what lies in it.
    with contextlib.suppress(OSError):
        for left in target.glob(f"{TEMPORARY_PREFIX}*"):
            host.remove_folder(left)
    with contextlib.suppress(OSError):
        host.unfinished(target).unlink(missing_ok=True)
