"""The engine's log: it hears everything but who the patient is, and never holds the window."""

import sys
from pathlib import Path

import pytest
from BladderAutoContourLib.slicer.process.engine_process import EngineProcess
from watching import Witness, poll_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a script is no program on Windows")


def contour(engine: EngineProcess, output: Path) -> Witness:
    """Ask for a contour of a CT that nobody will read."""
    witness = Witness()
    engine.segment([output.parent / "DOE^JOHN" / "IM0001.dcm"], output, witness)
    return witness


def test_the_log_hears_everything_but_who_the_patient_is(stage, log, tmp_path):
    engine = stage("""
        print("loading ü", file=sys.stderr)
        ready()
        print("a library prints")
        fields = asked()
        print("cannot read", fields["ct"][0], "for", fields["output"], file=sys.stderr)
        print("IM0001.dcm is damaged", file=sys.stderr)
        say(event="note", message="a note about " + fields["ct"][0], id=fields["id"])
        say(error={"code": 3, "kind": "input", "message": "IM0001.dcm is damaged.", "files": []}, id=fields["id"])
        fields = asked()
        print("IM0001.dcm was late", file=sys.stderr)
        time.sleep(60)
    """)
    witness = contour(engine, tmp_path / "DOE^JOHN" / "out")
    poll_until(engine, lambda: witness.ends and len(log) >= 5)
    engine.correct({"request": "refine", "ct": [tmp_path / "CT"], "output": tmp_path / "refined"}, Witness())
    poll_until(engine, lambda: len(log) == 6)
    assert {"loading ü", "a library prints", "cannot read (file) for (file)"} < set(log)
    assert {"(file) is damaged", "(file) was late"} < set(log), "whenever it is heard"
    assert "DOE" not in "".join(log)
    assert witness.failure.message == "IM0001.dcm is damaged.", "the user may read which file it is"


def test_a_flood_of_words_does_not_hold_the_window(stage, log, tmp_path):
    engine = stage("""
        ready()
        fields = asked()
        print("word\\n" * 20000, flush=True)
        say(event="done", id=fields["id"])
        time.sleep(60)
    """)
    witness = contour(engine, tmp_path / "out")
    most = 0
    while not witness.ends:
        before = len(log)
        engine.poll()
        most = max(most, len(log) - before)
    assert 0 < most <= 250
    assert log.count("word") == 20000


def test_no_spelling_of_a_name_comes_through(stage, log, tmp_path):
    """A backslash in a name stands for those of Windows: Python's messages double it."""
    engine = stage("""
        ready()
        fields = asked()
        ct, = fields["ct"]
        print(f"{ct} {ct.upper()} {ct!r} is damaged", file=sys.stderr)
        try:
            open(ct)
        except OSError as error:
            print(error, file=sys.stderr)
        print(f"{os.path.dirname(os.path.dirname(ct))!r} is no CT", file=sys.stderr)
        print("of mueller^anna and ROE\\\\JANE", file=sys.stderr)
        print("Slicer has the result", file=sys.stderr)
        say(event="done", id=fields["id"])
    """)
    witness = Witness()
    ct = tmp_path / "Mueller^Anna" / "Roe\\Jane" / "CT" / "IM0001.dcm"
    engine.segment([ct], tmp_path / "Slicer" / "result", witness)
    poll_until(engine, lambda: witness.ends and len(log) >= 5)
    assert log[0] == "(file) (file) '(file)' is damaged"
    assert log[1].startswith("[Errno 2]")
    assert log[3] == "of (file) and (file)"
    assert log[4] == "Slicer has the result", "everyday words stay"
    assert not [name for name in ("mueller", "anna", "jane", "im0001") if name in "".join(log).lower()]
