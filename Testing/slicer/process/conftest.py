"""A stage for the engine: small programs that play its part on cue."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from BladderAutoContourLib import ARGUMENTS_VARIABLE
from BladderAutoContourLib.slicer.process.engine_process import EngineProcess

# A path with a space in it stands in no "#!" line: the shell starts Python.
START = """\
#!/bin/sh
exec "{python}" -S "{play}" "$@"
"""
PLAY = """\
import json, os, subprocess, sys, time
command, *options = sys.argv[3:] + json.loads(os.environ.get({variable!r}, "[]"))
def say(**event):
    print(json.dumps(event), flush=True)
def asked():
    return json.loads(sys.stdin.readline())
def ready():
    say(event="note", message="ready")
def real():
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with open({played!r}, "a") as played:
    print(" ".join([command, *options]), file=played)
{play}
"""


@pytest.fixture
def log() -> list[str]:
    """What the engine's log was told."""
    return []


@pytest.fixture
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Which commands were started, one a line."""
    path = tmp_path_factory.mktemp("played") / "commands"
    path.touch()
    return path


@pytest.fixture
def stage(log: list[str], played: Path) -> Iterator[Callable[[str], EngineProcess]]:
    """An engine process whose Python is a small program with the given lines."""
    engines: list[EngineProcess] = []

    def put_on(play: str) -> EngineProcess:
        script = played.with_name("python")
        lines = script.with_suffix(".py")
        names = {"variable": ARGUMENTS_VARIABLE, "python": sys.executable, "played": str(played)}
        lines.write_text(PLAY.format(**names, play=textwrap.dedent(play)))
        script.write_text(START.format(python=sys.executable, play=lines))
        script.chmod(0o755)
        engines.append(EngineProcess(script, log.append))
        return engines[-1]

    yield put_on
    for engine in engines:
        engine.close()
