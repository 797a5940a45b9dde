"""A warm engine measured: `serve` as a process of its own, and the seconds from a request to its last event."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ... import host
from ...errors import EnvironmentFault
from ...events import Events
from .measured_process import ask, end


@dataclass(frozen=True)
class WarmCost:
    """ready_seconds: from the process's start until it takes requests. seconds: of each request, in their order.
    steps: name and seconds of the last one's. peak_mb (MiB): the most that the process held."""

    ready_seconds: float
    seconds: tuple[float, ...]
    steps: dict[str, float]
    peak_mb: float

    def as_data(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def as_text(self) -> str:
        """A line for people."""
        each = ", ".join(f"{seconds:.2f}" for seconds in self.seconds)
        return f"warm: ready after {self.ready_seconds:.2f} s, then {each} s a CT, {self.peak_mb:.0f} MiB at most"


def measure_warm(ct: Path, folder: Path, options: Sequence[str | Path], runs: int, events: Events) -> WarmCost:
    """Have one `serve` contour `ct` and a copy of it in turn, `runs` times. Raises EnvironmentFault where it does not.

    A warm engine keeps the last CT in memory: a second click is on another patient's.
    """
    copy = folder / f"copy of {ct.name}"
    (shutil.copytree if ct.is_dir() else shutil.copy)(ct, copy)
    words = [sys.executable, "-m", __package__.partition(".")[0], "serve", *options]
    begun = time.perf_counter()
    process = host.popen_group(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    )
    seconds: list[float] = []
    try:
        with events.cancellation.cleaning(lambda: host.end_process_tree(process)):
            _await(process, events, "message", "ready")
            ready_seconds = time.perf_counter() - begun
            for number in range(runs):
                request = {
                    "id": number,
                    "request": "segment",
                    "ct": [str((ct, copy)[number % 2])],
                    "output": str(folder / "warm"),
                }
                begun = time.perf_counter()
                ask(process, json.dumps(request))
                _await(process, events, "event", "done")
                seconds.append(time.perf_counter() - begun)
            peak_mb = host.peak_memory_mb(process.pid)
    finally:
        end(process)
    report = json.loads((folder / "warm" / "report.json").read_text(encoding="utf-8"))
    steps = {step["name"]: step["seconds"] for step in report["steps"]}
    return WarmCost(ready_seconds, tuple(seconds), steps, peak_mb)


def _await(process: subprocess.Popen, events: Events, key: str, value: str) -> None:
    for line in process.stdout:
        events.cancellation.check()
        event = json.loads(line)
        if event.get(key) == value:
            return
        if "error" in event:
            raise EnvironmentFault(f"The measured engine failed: {event['error']['message']}")
    raise EnvironmentFault("The measured engine ended without a word.")
