"""Programs that are measured as processes of their own, and the environment in which the peers' programs run.

Such a program says "ready", and then answers every number on its standard input, of the problem that it shall solve,
with the seconds that this took and the MiB by which the process has grown beyond its input.

Nothing here needs more than the standard library: it is imported in the peers' environment as well.
"""

import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ... import host
from ...errors import EnvironmentFault
from ..speed.measured_process import ask, end, ended

Result = TypeVar("Result")


def peer_python(folder: Path, *packages: str, alone: bool = False) -> Path:
    """The interpreter of the peers' environment in `folder`, with these packages; made where there is none.

    alone: without the packages that these ask for. Raises EnvironmentFault, which names the last of the packages.
    """
    python = folder / ("Scripts/python.exe" if host.WINDOWS else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
    words = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    if alone:
        words.append("--no-deps")
    installed = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if installed.returncode != 0:
        last = (installed.stderr.strip().splitlines() or ["no word of it"])[-1]
        raise EnvironmentFault(
            f"The peer {packages[-1]} could not be installed: {last}. Connect to the package index, or leave out "
            "--peers."
        )
    return python


class MeasuredProgram:
    """The process of a measured program, a module of this room, seen from the one that measures."""

    def __init__(self, interpreter: Path, module: str, *arguments: str | Path) -> None:
        words = [interpreter, "-m", f"{__package__}.{module}", *arguments]
        package = Path(__file__).resolve().parents[3]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
        self._process = host.popen_group(words, **pipes, cwd=package)

    def __enter__(self) -> "MeasuredProgram":
        self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def solve(self, number: int) -> tuple[float, float]:
        """Seconds of this run, and MiB that the process has grown beyond its input."""
        ask(self._process, str(number))
        seconds, peak_mb = map(float, self._answer().split())
        return seconds, peak_mb

    def _answer(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            raise EnvironmentFault(ended(self._process))
        return line


def answer(solve: Callable[[int], Result], keep: Callable[[int, Result], object] = lambda number, result: None) -> None:
    """The measured program's side: solve the problems as standard input asks; what `keep` does is not measured."""
    before_mb = host.peak_memory_mb()
    print("ready", flush=True)
    for line in sys.stdin:
        number = int(line)
        begun = time.perf_counter()
        result = solve(number)
        seconds = time.perf_counter() - begun
        keep(number, result)
        print(seconds, host.peak_memory_mb() - before_mb, flush=True)
