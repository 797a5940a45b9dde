"""A whole `segment` run as users start it, measured: seconds from the process's start to its end, and peak memory."""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ... import host
from ...errors import BladderError, EnvironmentFault
from ...events import Events
from ...pipeline.steps import StepCost


@dataclass(frozen=True)
class Measurement:
    """One run. `seconds` includes the process's start and end; `other_seconds` is what no step accounts for.

    peak_mb (MiB): the most memory that the process held, seen from outside.
    """

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    device: str
    model: str
    seconds: float
    peak_mb: float
    steps: tuple[StepCost, ...]

    @property
    def other_seconds(self) -> float:
        """Start of the interpreter, imports, loading of the networks, end."""
        return self.seconds - sum(step.seconds for step in self.steps)

    def as_data(self) -> dict[str, Any]:
        """Plain data, the machine's facts included."""
        return {
            "size": list(self.size),
            "spacing_mm": list(self.spacing_mm),
            "device": self.device,
            "model": self.model,
            "cores": host.available_cores(),
            "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            "seconds": round(self.seconds, 2),
            "peak_mb": round(self.peak_mb, 1),
            "other_seconds": round(self.other_seconds, 2),
            "steps": [asdict(step) for step in self.steps],
        }

    def as_text(self) -> str:
        """A table for the person at the screen."""
        size, spacing = (" x ".join(f"{value:g}" for value in triple) for triple in (self.size, self.spacing_mm))
        rows = [(step.name, step.seconds, f"{step.peak_mb:10.0f}") for step in self.steps]
        rows += [("start, load, end", self.other_seconds, ""), ("whole run", self.seconds, f"{self.peak_mb:10.0f}")]
        return "\n".join(
            [
                f"{size} voxels, {spacing} mm, on {self.device}, {host.available_cores()} cores, model {self.model}",
                f"{'step':<18}{'seconds':>9}{'peak MiB':>10}",
                *(f"{name:<18}{seconds:9.2f}{peak}" for name, seconds, peak in rows),
            ]
        )


def measure(ct: Path, output: Path, options: Sequence[str | Path], events: Events) -> Measurement:
    """Run `segment` on `ct` into `output` as a process of its own, and read what it cost from its report.

    Raises the error that the run ended with, of the same code.
    """
    words = [sys.executable, "-m", __package__.partition(".")[0], "segment", ct, "--output", output, *options]
    begun = time.perf_counter()
    process = host.popen_group(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8")
    last, peak_mb = "", 0.0
    try:
        with events.cancellation.cleaning(lambda: host.end_process_tree(process)):
            for line in process.stdout:
                events.cancellation.check()
                last, peak_mb = line, max(peak_mb, host.peak_memory_mb(process.pid))
            code = process.wait()
    finally:
        if process.poll() is None:
            host.end_process_tree(process)
        process.stdout.close()
    seconds = time.perf_counter() - begun
    if code != 0:
        raise _error_of(code, last)
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    return Measurement(
        size=tuple(report["input"]["size"]),
        spacing_mm=tuple(report["input"]["spacing"]),
        device=report["device"],
        model=report["model"]["name"],
        seconds=seconds,
        peak_mb=peak_mb,
        steps=tuple(StepCost(**step) for step in report["steps"]),
    )


def _error_of(code: int, last_line: str) -> BladderError:
    """The family's error for a run that failed, in the run's own words."""
    try:
        message = str(json.loads(last_line)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        message = f"The measured run ended with code {code} and without a word."
    kind = next((kind for kind in BladderError.__subclasses__() if kind.code == code), EnvironmentFault)
    return kind(message)
