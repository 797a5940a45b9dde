"""Runs fuzz cases in a process of their own, and sees when it hangs or dies."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzzing import PATIENT

LONGEST_SECONDS = 10.0
STARTING_SECONDS = 120.0
WORKER = Path(__file__).with_name("fuzzing.py")


def study(samples: Path, seed: int, first: int, end: int) -> Iterator[dict[str, Any]]:
    """The outcome of each case from `first` to `end`, as `fuzzing.py` prints it.

    A case that takes more than LONGEST_SECONDS (of an idle machine) comes out as "hang", one that ends its process as
    "crash"; the next process goes on behind it. Whatever the processes print about the patient comes out as "leak",
    without a case.
    """
    log = samples / "standard error.txt"
    log.unlink(missing_ok=True)
    while first < end:
        done, outcome = first, None
        for outcome in _one_process(samples, seed, first, end, log):
            done = outcome["case"]
            yield outcome
        if outcome is None:
            raise RuntimeError(f"No case was begun: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
        first = done + 1
    said = log.read_bytes()
    if PATIENT.encode() in said:
        at = said.index(PATIENT.encode())
        yield {"case": None, "what": "standard error", "damage": "", "kind": "leak", "seconds": 0.0,
               "detail": said[max(at - 150, 0) : at + 50].decode("ascii", "replace")}  # fmt: skip


def _one_process(samples: Path, seed: int, first: int, end: int, log: Path) -> Iterator[dict[str, Any]]:
    command = [sys.executable, str(WORKER), str(samples), str(seed), str(first), str(end)]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}  # what we import, it imports
    with (
        log.open("ab") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=found) as worker,
    ):
        lines: queue.Queue[str] = queue.Queue()

        def listen() -> None:
            for line in worker.stdout:
                lines.put(line)
            lines.put("")

        threading.Thread(target=listen, daemon=True).start()
        begun: dict[str, Any] | None = None
        while True:
            try:
                line = _next(lines, LONGEST_SECONDS if begun else STARTING_SECONDS)
            except queue.Empty:
                worker.kill()
                if begun:
                    yield _cut_short(begun, "hang", f"more than {LONGEST_SECONDS:.0f} s")
                return
            if not line:
                if begun:
                    yield _cut_short(begun, "crash", f"the process ended with code {worker.wait()}")
                return
            told = json.loads(line)
            begun = told if "begun" in told else None
            if begun is None:
                yield told


def _next(lines: "queue.Queue[str]", seconds: float) -> str:
    """The next line, waited for as long as takes what an idle machine does in `seconds`. Raises queue.Empty."""
    try:
        return lines.get(timeout=seconds)
    except queue.Empty:
        # Others may keep the machine busy: then ten of its seconds are more than ten.
        return lines.get(timeout=seconds * (_slowness() - 1))


def _slowness() -> float:
    """How many seconds now take what an idle machine does in one."""
    begun, worked = time.monotonic(), time.process_time()
    while time.process_time() - worked < 0.2:
        sum(range(1000))
    return max((time.monotonic() - begun) / 0.2, 1.0) + 0.1


def _cut_short(begun: dict[str, Any], kind: str, detail: str) -> dict[str, Any]:
    return {"case": begun["case"], "what": begun["what"], "damage": begun["begun"], "kind": kind, "detail": detail,
            "seconds": LONGEST_SECONDS}  # fmt: skip
