"""Watching an engine process from outside: what its listener heard, what its log says, which processes live."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from BladderAutoContourLib.slicer.process.engine_process import EngineProcess
from BladderAutoContourLib.slicer.process.messages import Failure


@dataclass
class Witness:
    """A listener that remembers. `ends` holds how the request ended: a folder, None, or a failure."""

    steps: list[str] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)
    ends: list[Path | Failure | None] = field(default_factory=list)

    def progressed(self, step: str, fraction: float, seconds_left: float | None) -> None:
        """Remember a step once."""
        assert seconds_left is None or seconds_left >= 0
        self.fractions.append(fraction)
        if step not in self.steps[-1:]:
            self.steps.append(step)

    def finished(self, folder: Path | None) -> None:
        """Remember a good end."""
        self.ends.append(folder)

    def failed(self, failure: Failure) -> None:
        """Remember a bad end."""
        self.ends.append(failure)

    @property
    def failure(self) -> Failure:
        """How the request failed: once."""
        (end,) = self.ends
        assert isinstance(end, Failure), end
        return end


def poll_until(engine: EngineProcess, reached: Callable[[], object], seconds: float = 120.0) -> float:
    """Poll as Slicer's timer does until something is so; how long that took."""
    begun = time.monotonic()
    while not reached():
        assert time.monotonic() - begun < seconds, "it did not happen"
        engine.poll()
    return time.monotonic() - begun


def living(group: int) -> list[int]:
    """The processes that live in the group of a process. Windows has no such groups: there the test is skipped."""
    if os.name == "nt":
        pytest.skip("Windows has no process groups to look into")
    listing = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return [int(pid) for pid, pgid, state in rows if int(pgid) == group and not state.startswith("Z")]
