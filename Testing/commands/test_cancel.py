"""Stopping a run from outside: gone within a second, code 130, nothing left in the output folder, no child left."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows stops by `cancel` on standard input")


def processes_of_group(group: int) -> list[int]:
    """Processes that live in the session that the run was started in."""
    listing = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return [int(pid) for pid, pgid, state in rows if int(pgid) == group and not state.startswith("Z")]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("step", ["load", "read", "segment"])
def test_signal_ends_the_run_within_a_second(start, long_ct_folder, slow_weights, tmp_path, name, step, one_second):
    output = tmp_path / "out put"
    session = start("segment", long_ct_folder, "--output", output, "--weights", slow_weights)
    session.wait_for(event="progress", step=step)
    asked = time.monotonic()
    os.kill(session.process.pid, getattr(signal, name))
    code = session.end(10)
    seconds = time.monotonic() - asked
    assert code == 130
    assert session.events[-1]["error"]["kind"] == "cancelled"
    assert seconds <= one_second()
    assert list(tmp_path.iterdir()) == []
    assert processes_of_group(session.process.pid) == []


def test_a_finished_result_survives_a_cancelled_second_run(start, run, ct_folder, weights, slow_weights, tmp_path):
    output = tmp_path / "out"
    assert run("segment", ct_folder, "--output", output, "--weights", weights).code == 0
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    session = start("segment", ct_folder, "--output", output, "--weights", slow_weights)
    session.wait_for(event="progress", step="segment")
    session.process.terminate()
    assert session.end(10) == 130
    assert session.events[-1]["error"]["message"] == "Cancelled. What was finished before stays."
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    assert list(tmp_path.iterdir()) == [output]


def test_a_signal_before_anything_ran(tmp_path):
    words = [sys.executable, "-m", "BladderAutoContourLib", "serve"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    # Before the first line of this program Python itself ends: with SIGINT's own code, or 1 while it starts.
    assert process.returncode in (130, -signal.SIGINT) or (process.returncode == 1 and b"KeyboardInterrupt" in said)
