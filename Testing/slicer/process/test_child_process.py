"""A process from its start to the word of its end: what other users see of it, and that the end is always told."""

import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest
from BladderAutoContourLib import host, streams
from BladderAutoContourLib.slicer.process.child_process import ChildProcess, Ended, Heard, OutputLine

PATIENCE_SECONDS = 60.0


def until_its_end(child: ChildProcess) -> list[Heard]:
    """What a child says; the last is its end."""
    heard, begun = [], time.monotonic()
    while not any(isinstance(one, Ended) for one in heard):
        assert time.monotonic() - begun < PATIENCE_SECONDS, "its end is not told"
        heard += child.heard(0.2)
    return heard


@pytest.mark.parametrize("name", ["DOE^JOHN", "Müller 膀胱"])
def test_the_command_line_names_no_file(ct_folder, tmp_path, name):
    folder = shutil.copytree(ct_folder, tmp_path / name)
    child = ChildProcess(Path(sys.executable), ["inspect", str(folder)])
    heard, seen = [], set()
    while not any(isinstance(one, Ended) for one in heard):
        heard += child.heard(0.05)
        line = Path(f"/proc/{child.pid}/cmdline")
        seen.add(line.read_bytes() if line.exists() else b"")
    assert heard[-1] == Ended(0)
    assert "64 x 64 x 40" in "".join(one.text for one in heard if isinstance(one, OutputLine))
    words = [line.split(b"\0") for line in seen if line]
    assert words or not Path("/proc/self").exists()
    assert all(line[-2:] == [b"inspect", b""] for line in words)


@pytest.mark.skipif(host.WINDOWS, reason="Windows says that a folder with too long a name is not there")
def test_the_end_is_told_where_the_place_of_the_output_cannot_be_looked_at(tmp_path):
    closed = tmp_path / ("x" * 300)
    with pytest.raises(OSError, match="long"):
        closed.is_dir()  # as a folder that is closed to the user, or on a share that is gone
    child = ChildProcess(Path(sys.executable), ["no-such-command"])
    child.writes_to = closed / "RTSTRUCT.dcm"
    assert until_its_end(child)[-1] == Ended(2)
    assert child.gone


def test_the_end_is_told_where_the_system_gives_no_threads(monkeypatch, tmp_path):
    def read_lines(*_arguments: object) -> threading.Thread:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(streams, "read_lines", read_lines)
    child = ChildProcess(Path(sys.executable), ["serve"])
    assert until_its_end(child) == [Ended(None, "can't start new thread")]
    assert child.gone
    if os.name == "posix":
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)
