"""The program from outside: real processes, real CT files, the small engine's weights."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from BladderAutoContourLib import host
from BladderAutoContourLib.imaging.volume import Volume
from small_engine import save_water_weights, water_scene

PROGRAM = [sys.executable, "-m", "BladderAutoContourLib"]


@dataclass(frozen=True)
class Outcome:
    """What a finished process left: exit code, standard output and error."""

    code: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.startswith("{")]

    def failed_with(self, code: int, kind: str, *words: str) -> dict[str, Any]:
        """Check that the command failed as its users are promised; returns the error object."""
        assert self.code == code, (self.code, self.stdout, self.stderr)
        assert "Traceback" not in self.stderr, self.stderr
        error = json.loads(self.stdout.splitlines()[-1])["error"]
        assert (error["code"], error["kind"]) == (code, kind)
        assert error["message"] in self.stderr
        assert error["message"].rstrip().endswith((".", "`")), error["message"]
        for word in words:
            assert word in error["message"], (word, error["message"])
        return error


@dataclass
class Session:
    """A running process whose lines are read as they come."""

    process: subprocess.Popen

    def __post_init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, **request: Any) -> None:
        """Write one request."""
        self.send_line(json.dumps(request))

    def send_line(self, line: str) -> None:
        """Write one line, whatever it holds."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait_for(self, seconds: float = 300.0, **fields: Any) -> dict[str, Any]:
        """The first event that has these fields (name="error" matches any error object)."""
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                for event in self.events:
                    if all(key in event and value in (event[key], ...) for key, value in fields.items()):
                        return event
                left = deadline - time.monotonic()
                assert left > 0, (fields, self.events)
                assert self.process.poll() is None or self._reader.is_alive(), (fields, self.events)
                self._news.wait(min(left, 0.1))

    def end(self, seconds: float = 30.0) -> int:
        """Wait for the process; its exit code."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self.events.append(json.loads(line))
                self._news.notify_all()


@pytest.fixture(scope="session")
def run() -> Callable[..., Outcome]:
    """Run a command to its end."""

    def run_command(*arguments: str | Path, **options: Any) -> Outcome:
        words = [*PROGRAM, *map(str, arguments)]
        done = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=600, check=False, **options)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run_command


@pytest.fixture
def start() -> Iterator[Callable[..., Session]]:
    """Start a command and talk with it; what still runs at the end of the test is ended."""
    sessions: list[Session] = []

    def start_command(*arguments: str | Path) -> Session:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        process = host.popen_group([*PROGRAM, *arguments], encoding="utf-8", **pipes)
        sessions.append(Session(process))
        return sessions[-1]

    yield start_command
    for session in sessions:
        host.end_process_tree(session.process)


Scene = Callable[..., Volume]


@pytest.fixture(scope="session")
def scene() -> Scene:
    """Makes the analytic CT: `scene(slices=40, bladder=True)`."""
    return lambda slices=40, bladder=True: water_scene(slices, bladder)[0]


@pytest.fixture(scope="session")
def huge_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same on a grid that takes gigabytes."""
    return save_water_weights(tmp_path_factory.mktemp("huge weights") / "huge.pt", crop=640, spacing_mm=0.2)
