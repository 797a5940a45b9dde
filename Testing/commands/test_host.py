"""Platform calls, each tried on real processes."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from BladderAutoContourLib import host, streams
from BladderAutoContourLib.errors import OutputError
from BladderAutoContourLib.failures import as_bladder_error
from BladderAutoContourLib.output_files import check_output


@pytest.mark.parametrize(
    ("code", "kind"),
    [(126, "package-missing"), (1114, "package-missing"), (1455, "memory"), (39, "output"), (64, "output"), (99, None)],
)
def test_what_windows_has_no_number_for_is_no_closed_pipe(monkeypatch, code, kind):
    """DLL not found, page file too small, disk full, network name gone, unknown: to Python all of them are EINVAL."""
    monkeypatch.setattr(host, "WINDOWS", True)
    error = OSError(errno.EINVAL, "as Windows says it")
    error.winerror = code
    known = as_bladder_error(error)
    assert (known.kind if known else None) == kind


HUNG = """
    import sys, threading, time
    from pathlib import Path
    from BladderAutoContourLib import host
    from BladderAutoContourLib.errors import Cancelled
    from BladderAutoContourLib.events import Events
    events = Events(sys.stdout)
    host.install_stop_signals(events.cancellation)
    def last_words():
        events.cancellation.clean_up()
        events.error(Cancelled("Cancelled."))
        {after}
    events.cancellation.on_cancel(lambda: host.end_soon(130, 0.5, last_words))
    with events.cancellation.cleaning(Path(sys.argv[1]).unlink):
        events.note("hung")
        time.sleep(60)  # one native call: no Python line runs in this thread before it returns
"""
TREE = """
    import subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid, flush=True)
    time.sleep(60)
"""


def start_script(text: str, *arguments: str) -> subprocess.Popen:
    """Start a Python program in a group of its own."""
    words = [sys.executable, "-c", textwrap.dedent(text), *arguments]
    return host.popen_group(words, stdout=subprocess.PIPE, encoding="utf-8")


def is_running(pid: int) -> bool:
    """Whether a process lives (POSIX)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that has ended and waits for its parent to ask is not running.
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


@pytest.mark.skipif(host.WINDOWS, reason="sends a POSIX signal")
@pytest.mark.parametrize("after", ["pass", "time.sleep(60)"])
def test_a_hung_native_call_ends_within_a_second(tmp_path, after, one_second):
    temporary = tmp_path / "temporary"
    temporary.write_text("half a result")
    process = start_script(HUNG.format(after=after), str(temporary))
    assert "hung" in process.stdout.readline()
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    rest = process.stdout.read()
    assert process.wait(5) == 130
    assert time.monotonic() - asked <= one_second()
    assert '"kind": "cancelled"' in rest
    assert not temporary.exists()
    process.stdout.close()


@pytest.mark.skipif(host.WINDOWS, reason="sends a POSIX signal")
def test_a_signal_that_is_ignored_stays_so(tmp_path):
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process = start_script(ignoring + textwrap.dedent(HUNG.format(after="pass")), str(tmp_path / "temporary"))
    assert "hung" in process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    host.end_process_tree(process)
    process.stdout.close()


@pytest.mark.skipif(host.WINDOWS, reason="looks at POSIX processes")
def test_a_process_tree_ends_whole():
    process = start_script(TREE)
    child = int(process.stdout.readline())
    assert is_running(child)
    host.end_process_tree(process)
    assert process.returncode is not None
    deadline = time.monotonic() + 2
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(child)
    process.stdout.close()


@pytest.mark.skipif(host.WINDOWS, reason="looks at POSIX processes")
def test_children_of_a_process_that_is_gone_end_too():
    process = start_script(TREE)
    child = int(process.stdout.readline())
    process.kill()
    process.wait(5)
    assert is_running(child)
    host.end_process_tree(process)
    deadline = time.monotonic() + 2
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(child)
    process.stdout.close()


@pytest.mark.skipif(host.WINDOWS, reason="plays a Windows that has no taskkill")
def test_a_process_ends_where_windows_has_no_taskkill(monkeypatch):
    process = start_script("import time; time.sleep(60)")
    monkeypatch.setattr(host, "WINDOWS", True)
    monkeypatch.setattr(host, "_without_window", lambda: None)
    host.end_process_tree(process)
    assert process.returncode == -signal.SIGKILL
    process.stdout.close()


def test_peak_memory_grows_with_what_is_held():
    text = """
        from BladderAutoContourLib import host
        before, held = host.peak_memory_mb(), b"x" * (200 << 20)
        print(before, host.peak_memory_mb())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert 5 < before < 100
    assert 190 < after - before < 260


def test_cores_are_counted():
    assert 1 <= host.available_cores() <= (os.cpu_count() or 1)


def test_a_file_takes_anothers_place(tmp_path):
    new, old = tmp_path / "new ü", tmp_path / "old ü"
    new.write_text("new")
    old.write_text("old")
    host.replace_file(new, old)
    assert old.read_text() == "new"
    assert not new.exists()


def test_a_folder_that_refuses_is_asked_once(tmp_path, monkeypatch):
    """tempfile, until Python 3.13, takes a refusal on Windows for a name that is taken, and asks for hours."""
    asked = []

    def refuse(path: Path, *_options: int) -> int:
        asked.append(path)
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(OutputError, match=r"Nothing can be written to .* \(Permission denied\)"):
        check_output(tmp_path)
    assert len(asked) == 1
    monkeypatch.undo()
    check_output(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "full"), [(errno.ENOSPC, True), (errno.EACCES, False), (errno.EIO, False)])
def test_a_full_disk_is_told_from_other_failures(number, full):
    assert host.is_disk_full(OSError(number, os.strerror(number))) is full


def test_a_drive_that_fails_is_no_bug():
    known = as_bladder_error(OSError(errno.EIO, os.strerror(errno.EIO), "/mnt/share/preview.png"))
    assert (known.kind, known.code) == ("output", 6)
    assert known.message.startswith(f"A drive failed while it was read or written ({os.strerror(errno.EIO)})")
    assert known.files == ("/mnt/share/preview.png",)


def test_what_the_system_does_not_say_of_a_path(tmp_path):
    (tmp_path / "file").write_text("")
    assert host.is_there(tmp_path)
    assert host.is_there(tmp_path, Path.is_dir)
    assert not host.is_there(tmp_path / "file" / "below")
    too_long = tmp_path / ("a" * 300)
    assert not host.is_there(too_long)
    assert host.is_there(too_long, otherwise=True)


def test_lines_are_read_whole_however_they_arrive():
    reader, writer = os.pipe()
    taken = []
    thread = streams.read_lines(reader, taken.append)
    text = "première\nsecond 膀胱\nlast".encode()
    for number in range(len(text)):
        os.write(writer, text[number : number + 1])
    os.close(writer)
    thread.join(5)
    os.close(reader)
    assert taken == ["première", "second 膀胱", "last", None]
