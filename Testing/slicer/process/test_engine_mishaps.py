"""What a process may do to Slicer: hang, babble, die without a word. Small programs play the engine's part on cue."""

import ctypes
import os
import sys
import time
from pathlib import Path

import pytest
from BladderAutoContourLib.events import CANCEL_GRACE_SECONDS
from BladderAutoContourLib.host import LAST_WORDS_SECONDS
from BladderAutoContourLib.slicer.process import engine_process
from BladderAutoContourLib.slicer.process.engine_process import EngineChoice, EngineProcess
from BladderAutoContourLib.slicer.process.messages import slower_way
from watching import Witness, living, poll_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a script is no program on Windows")

HANGS = """
    ready()
    fields = asked()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    os.makedirs(fields["output"] + "/.bladder-auto-contour-1")
    say(event="progress", step="read", fraction=0.0, seconds_left=None, id=fields["id"])
    time.sleep(60)
"""
OBEYS = """
    ready()
    while (fields := asked())["request"] != "quit":
        say(event="progress", step="read", fraction=0.5, seconds_left=1.0, id=fields["id"])
        say(event="note", message="at work", id=fields["id"])
        say(event="result", folder=fields["output"], id=fields["id"])
        say(event="done", id=fields["id"])
"""


def commands(played: Path) -> list[str]:
    """The names of the commands that were started."""
    return [line.partition(" ")[0] for line in played.read_text().splitlines()]


def contour(engine: EngineProcess, output: Path, listener: Witness | None = None) -> Witness:
    """Ask for a contour of a CT that nobody will read."""
    witness = listener or Witness()
    engine.segment([output.parent / "DOE^JOHN" / "IM0001.dcm"], output, witness)
    return witness


def test_a_hanging_engine_and_its_children_are_ended_and_cleaned_up_after(stage, tmp_path, one_second):
    engine = stage(HANGS)
    witness = contour(engine, tmp_path / "out")
    poll_until(engine, lambda: witness.steps)
    pid = engine.pid
    assert len(living(pid)) == 2
    engine.cancel()
    assert poll_until(engine, lambda: witness.ends) < one_second()
    assert witness.failure.code == 130
    assert living(pid) == []
    assert list((tmp_path / "out").iterdir()) == []


def test_close_ends_everything_and_says_nothing(stage, tmp_path, one_second):
    engine = stage(HANGS)
    witness = contour(engine, tmp_path / "out")
    poll_until(engine, lambda: witness.steps)
    pid = engine.pid
    asked = time.monotonic()
    engine.close()
    with pytest.raises(ProcessLookupError):  # gone by now: Slicer itself may be gone a moment later
        os.kill(pid, 0)
    assert time.monotonic() - asked < one_second()
    assert living(pid) == []
    assert list((tmp_path / "out").iterdir()) == []
    engine.poll()
    assert witness.ends == []
    assert not engine.busy


def test_children_of_a_crashed_engine_do_not_outlive_it(stage, tmp_path):
    engine = stage(HANGS)
    witness = contour(engine, tmp_path / "out")
    poll_until(engine, lambda: witness.steps)
    pid = engine.pid
    os.kill(pid, 11)
    poll_until(engine, lambda: witness.ends)
    assert (witness.failure.code, witness.failure.kind) == (-11, "engine-crashed")
    assert living(pid) == []
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("code", [1, 3, 139])
def test_an_exit_without_a_word_in_mid_request_is_a_crash(stage, tmp_path, played, code):
    engine = stage(f"""
        ready()
        say(event="progress", step="read", fraction=0.0, seconds_left=None, id=asked()["id"])
        sys.exit({code})
    """)
    witness = contour(engine, tmp_path / "out")
    poll_until(engine, lambda: witness.ends)
    assert (witness.failure.code, witness.failure.kind) == (code, "engine-crashed")
    assert str(code) in witness.failure.message
    assert commands(played) == ["serve"], "what was begun is not tried again"


def test_where_no_engine_stays_warm_a_command_contours(stage, log, played, ct_folder, weights, tmp_path):
    engine = stage("sys.exit(1) if command == 'serve' else real()")
    engine.warm(EngineChoice("cpu", weights))
    witness = Witness()
    engine.segment(sorted(ct_folder.iterdir()), tmp_path / "out ü", witness, export_name="Blase 1")
    poll_until(engine, lambda: witness.ends)
    assert witness.ends == [tmp_path / "out ü"]
    assert (tmp_path / "out ü" / "RTSTRUCT.dcm").exists()
    assert log.count(slower_way()) == 1
    assert "write" in witness.steps
    assert commands(played) == ["serve", "segment"]
    assert "--export-name=Blase 1" in played.read_text()


@pytest.mark.parametrize("death", ["sys.exit(1)", "os.kill(os.getpid(), 9)"])
def test_what_a_ready_engine_never_began_is_done_by_a_command(stage, log, played, tmp_path, death):
    engine = stage(f"""
        if command == "segment":
            say(event="result", folder={str(tmp_path)!r})
            sys.exit(0)
        ready(); asked(); {death}
    """)
    witness = contour(engine, tmp_path / "out")
    poll_until(engine, lambda: witness.ends)
    assert witness.ends == [tmp_path]
    assert log.count(slower_way()) == 1
    assert commands(played) == ["serve", "segment"]
    second = contour(engine, tmp_path / "out")
    poll_until(engine, lambda: second.ends)
    assert commands(played) == ["serve", "segment"] * 2, "each request finds a warm engine first"


def test_what_propagates_is_done_by_a_command_and_what_no_command_does_is_told(stage, played, tmp_path):
    engine = stage("sys.exit(1) if command == 'serve' else say(event='result', folder='here')")
    fields = {"ct": [tmp_path / "ct.nrrd"], "mask": tmp_path / "mask.nrrd", "output": tmp_path / "out", "series": None}
    witness = Witness()
    engine.correct({"request": "refine", "touched": tmp_path / "touched.nrrd", **fields}, witness)
    poll_until(engine, lambda: witness.ends)
    assert witness.ends == [Path("here")]
    assert commands(played) == ["serve", "refine"]
    assert f"refine --ct {tmp_path / 'ct.nrrd'} --touched={tmp_path / 'touched.nrrd'} --mask=" in played.read_text()
    assert "--device=auto" in played.read_text().splitlines()[1]
    witness = Witness()
    engine.correct({"request": "copy-and-fit", "from_slice": 0, "to_slice": 1, **fields}, witness)
    poll_until(engine, lambda: witness.ends)
    assert "ended unexpectedly" in witness.failure.message
    assert commands(played)[2:] == ["serve"]


def test_a_command_of_its_own_is_cancelled_too(stage, played, tmp_path, one_second):
    engine = stage("""
        if command == "serve":
            sys.exit(1)
        os.makedirs(options[1].partition("=")[2] + "/.bladder-auto-contour-1")
        say(event="progress", step="read", fraction=0.1, seconds_left=9)
        time.sleep(60)
    """)
    witness = contour(engine, tmp_path / "out")
    poll_until(engine, lambda: witness.steps)
    pid = engine.pid
    engine.cancel()
    assert poll_until(engine, lambda: witness.ends) < one_second()
    assert witness.failure.code == 130
    assert living(pid) == []
    assert list((tmp_path / "out").iterdir()) == []
    assert commands(played) == ["serve", "segment"]


def test_what_fails_both_ways_is_told_once(stage, played, tmp_path):
    engine = stage("""
        say(error={"code": 5, "kind": "memory", "message": "Too little memory.", "files": []})
        sys.exit(5)
    """)
    witness = contour(engine, tmp_path / "out")
    poll_until(engine, lambda: witness.ends)
    assert (witness.failure.code, witness.failure.message) == (5, "Too little memory.")
    assert commands(played) == ["serve", "segment"]


def test_hundreds_of_files_of_one_series_make_no_long_command(stage, played, tmp_path):
    engine = stage("sys.exit(1)")
    files = [tmp_path / "ct" / f"{number:04}.dcm" for number in range(600)]
    witness = Witness()
    engine.segment(files, tmp_path / "out", witness, series_uid="1.2.3")
    poll_until(engine, lambda: witness.ends)
    assert witness.failure.kind == "engine-crashed"
    command = played.read_text().splitlines()[1]
    assert "--series=1.2.3" in command
    assert str(tmp_path / "ct") in command
    assert len(command) < 1000, "Windows takes 32767 letters"


def test_a_listener_that_fails_spoils_nothing(stage, log, tmp_path):
    class Clumsy(Witness):
        """Fails at everything that it hears."""

        def progressed(self, step: str, fraction: float, seconds_left: float | None) -> None:
            super().progressed(step, fraction, seconds_left)
            raise ValueError(f"progress: {tmp_path / 'out'}")

        def finished(self, folder: Path | None) -> None:
            super().finished(folder)
            raise ValueError("end")

    engine = stage(OBEYS)
    clumsy = contour(engine, tmp_path / "out", Clumsy())
    poll_until(engine, lambda: clumsy.ends)
    assert (clumsy.steps, clumsy.ends) == (["read"], [tmp_path / "out"])
    assert "at work" in log
    assert not engine.busy
    for word in ("progress", "end"):
        assert any(f"ValueError: {word}" in line for line in log)
    pid = engine.pid
    witness = contour(engine, tmp_path / "next")
    poll_until(engine, lambda: witness.ends)
    assert witness.ends == [tmp_path / "next"]
    assert engine.pid == pid


def test_a_listener_may_poll_as_a_dialog_does(stage, tmp_path):
    """A modal window runs the timer while the listener has not come back."""

    class Modal(Witness):
        """Shows a dialog for each step and at the end."""

        def progressed(self, step: str, fraction: float, seconds_left: float | None) -> None:
            super().progressed(step, fraction, seconds_left)
            engine.poll()

        def finished(self, folder: Path | None) -> None:
            super().finished(folder)
            contour(engine, tmp_path / "second", second)
            poll_until(engine, lambda: second.ends)

    second = Witness()
    engine = stage(OBEYS)
    first = contour(engine, tmp_path / "first", Modal())
    poll_until(engine, lambda: first.ends)
    assert first.ends == [tmp_path / "first"]
    assert second.ends == [tmp_path / "second"]
    assert not engine.busy


def test_it_works_where_the_window_holds_the_interpreter(stage, tmp_path, one_second):
    """Between two ticks of a timer Slicer may keep Python's lock: the threads only run while `poll` waits."""
    holding = ctypes.PyDLL(None)  # a call through it does not give the lock away

    def tick() -> bool:
        holding.usleep(50_000)
        return False

    engine = stage(OBEYS)
    witness = contour(engine, tmp_path / "out")
    poll_until(engine, lambda: witness.ends or tick(), 20)
    assert witness.ends == [tmp_path / "out"]

    engine = stage(HANGS)
    witness = contour(engine, tmp_path / "out")
    poll_until(engine, lambda: witness.steps or tick(), 20)
    pid = engine.pid
    engine.cancel()
    begun = time.monotonic()
    poll_until(engine, lambda: witness.ends or tick(), 20)
    assert time.monotonic() - begun < one_second() + 0.25, "a hanging engine, looked at twenty times a second"
    assert living(pid) == []


def test_an_answer_to_an_earlier_request_is_not_taken_for_this_one(stage, tmp_path):
    engine = stage("""
        ready()
        first = asked()
        say(event="done", id=first["id"])
        second = asked()
        say(error={"code": 130, "kind": "cancelled", "message": "Cancelled.", "files": []}, id=first["id"])
        say(event="progress", step="read", fraction=0.9, seconds_left=1, id=first["id"])
        say(error={"code": 2, "kind": "usage", "message": "The request is not one line of JSON."}, id=None)
        say(event="result", folder=second["output"], id=second["id"])
        say(event="done", id=second["id"])
        time.sleep(60)
    """)
    first = contour(engine, tmp_path / "first")
    poll_until(engine, lambda: first.ends)
    second = contour(engine, tmp_path / "second")
    poll_until(engine, lambda: second.ends)
    assert first.ends == [None]
    assert second.ends == [tmp_path / "second"]
    assert second.steps == []


def test_a_cancelled_engine_has_time_to_clear_away():
    """Its own patience ends, its last words included, before Slicer's does."""
    alone = CANCEL_GRACE_SECONDS + LAST_WORDS_SECONDS
    assert alone + 0.09 < engine_process.CANCEL_GRACE_SECONDS < 1
