"""An installed Slicer starts its Python by a launcher, which keeps to itself how that Python died."""

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from BladderAutoContourLib.slicer.process.engine_process import EngineChoice, EngineProcess
from BladderAutoContourLib.slicer.process.messages import Failure
from BladderAutoContourLib.slicer.process.weights_check import WeightsCheck
from watching import Witness, poll_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a script is no program on Windows")

START = """\
#!/bin/sh
exec "{python}" -S "{launcher}" "$@"
"""
LAUNCHER = """\
import subprocess, sys
child = subprocess.Popen([sys.executable, "-S", {play!r}, *sys.argv[1:]])
if child.wait() >= 0:
    sys.exit(child.returncode)
print("error: [/opt/Slicer/bin/./python-real] exit abnormally - Report the problem.", file=sys.stderr)
sys.exit(1)
"""
"""What CTK's launcher does: the pipes are its child's, and of a child that died by a signal it tells in its own way."""
PLAY = """\
import json, os, sys
def say(**event):
    print(json.dumps(event), flush=True)
def begun():
    say(event="note", message="ready")
    say(event="progress", step="read", fraction=0.0, seconds_left=None, id=json.loads(sys.stdin.readline())["id"])
{play}
"""


@pytest.fixture
def launcher(tmp_path: Path) -> Callable[[str], Path]:
    """A program that launches a Python with the given lines."""

    def write(play: str) -> Path:
        program, lines, child = (tmp_path / name for name in ("PythonSlicer", "launcher.py", "play.py"))
        program.write_text(START.format(python=sys.executable, launcher=lines))
        program.chmod(0o755)
        lines.write_text(LAUNCHER.format(play=str(child)))
        child.write_text(PLAY.format(play=textwrap.dedent(play)))
        return program

    return write


def failure_of_run(program: Path, output: Path) -> Failure:
    """How a contour fails."""
    engine, witness = EngineProcess(program, print), Witness()
    engine.segment([output / "ct.nrrd"], output, witness)
    poll_until(engine, lambda: witness.ends)
    engine.close()
    return witness.failure


@pytest.mark.parametrize("signal", [6, 9, 11])
def test_what_died_behind_the_launcher_most_likely_had_no_memory(launcher, tmp_path, signal):
    failure = failure_of_run(launcher(f"begun(); os.kill(os.getpid(), {signal})"), tmp_path / "out")
    assert (failure.code, failure.kind) == (1, "engine-killed")
    assert failure.message == "The system ended the contouring, most likely because the computer ran out of memory."
    assert failure.advice.startswith("Close other programs, then try again.")
    assert "If it ends again, choose Processor (CPU) under Advanced" in failure.advice
    assert "Log" in failure.advice, "it may have been a crash"


@pytest.mark.parametrize(
    ("play", "kind", "word"),
    [
        ("begun(); sys.exit(1)", "engine-crashed", "(code 1)"),
        ("begun(); print('exit abnormally', file=sys.stderr); sys.exit(139)", "engine-crashed", "(code 139)"),
        (
            "begun(); say(error={'code': 5, 'kind': 'memory', 'message': 'Too little.'}); os.kill(os.getpid(), 9)",
            "memory",
            "Too little.",
        ),
    ],
)
def test_what_ended_by_itself_behind_the_launcher_keeps_its_reason(launcher, tmp_path, play, kind, word):
    failure = failure_of_run(launcher(play), tmp_path / "out")
    assert failure.kind == kind
    assert word in failure.message


def test_weights_that_are_too_large_to_be_looked_at(launcher, tmp_path):
    answers: list[Failure | None] = []
    program = launcher("os.kill(os.getpid(), 9)")
    check = WeightsCheck(program, EngineChoice("cpu", tmp_path / "huge.pt"), answers.append)
    poll_until(check, lambda: answers)
    assert "ran out of memory" in answers[0].message
