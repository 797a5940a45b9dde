"""The warm engine: requests on standard input, events on standard output, one process for all of them."""

import json
import subprocess
import sys
import time

import pytest
import SimpleITK as sitk


@pytest.fixture
def engine(start, weights):
    """A warm engine that has said it is ready."""
    session = start("serve", "--weights", str(weights), "--device", "cpu")
    session.wait_for(event="note", message="ready")
    return session


def test_standard_input_is_read_when_the_libraries_are_loaded():
    """On Windows numpy is not loaded to its end while a thread reads standard input (its issue 24290)."""
    program = (
        "import sys; from BladderAutoContourLib import streams; from BladderAutoContourLib.__main__ import main; "
        "read = streams.read_lines; streams.read_lines = lambda *given: print({'numpy', 'torch', 'SimpleITK'} <= "
        "sys.modules.keys(), file=sys.stderr) or read(*given); sys.exit(main(['serve', '--device', 'cpu']))"
    )
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, input='{"request": "quit"}\n', capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr.splitlines()) == (0, ["True"])


def test_segment_cancel_segment_quit(engine, ct_folder, long_ct_folder, tmp_path, truth, one_second):
    first, cancelled, second = (tmp_path / name for name in ("première", "cancelled", "second"))
    engine.send(id=1, request="segment", ct=[str(ct_folder)], output=str(first))
    engine.wait_for(id=1, event="done")
    assert engine.wait_for(id=1, event="result")["folder"] == str(first)

    engine.send(id="two", request="segment", ct=[str(long_ct_folder)], output=str(cancelled))
    engine.wait_for(id="two", event="progress", step="read")
    asked = time.monotonic()
    engine.send(id="two", request="cancel")
    error = engine.wait_for(id="two", error=...)["error"]
    assert time.monotonic() - asked <= one_second()
    assert (error["code"], error["kind"]) == (130, "cancelled")

    engine.send(id=3, request="segment", ct=[str(ct_folder)], output=str(second), use_crf=False, export_name="Blase")
    engine.wait_for(id=3, event="done")
    assert engine.process.poll() is None
    engine.send(request="quit")
    assert engine.end() == 0
    assert {path.name for path in tmp_path.iterdir()} == {"première", "second"}
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(second / "bladder.nrrd"))) > 0
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.85
    loads = [event for event in engine.events if event.get("step") == "load" and event["fraction"] == 0.0]
    assert len(loads) == 1
    assert all("id" in event for event in engine.events if event.get("step") not in (None, "load"))


def test_requests_that_fail_leave_the_engine_alive(engine):
    lines = {
        "no json": 2,
        "[1, 2]": 2,
        "[" * 100_000: 2,
        '{"id": "none"}': 2,
        '{"id": "unknown", "request": "contour"}': 2,
        '{"id": "no field", "request": "segment", "ct": ["."], "output": "out", "no_crf": true}': 2,
        '{"id": "nul", "request": "segment", "ct": ["."], "output": "o\\u0000x"}': 6,
        '{"id": "half", "request": "segment", "ct": ["."], "output": "o\\ud800x"}': 6,
        '{"id": "refine", "request": "refine"}': 2,
        '{"id": "copy", "request": "copy-and-fit"}': 2,
        '{"id": "no ct", "request": "segment", "output": "x"}': 2,
        '{"id": "no output", "request": "segment", "ct": "x"}': 2,
        '{"id": "kind", "request": "segment", "ct": ["x"], "output": "y", "use_crf": "no"}': 2,
        '{"id": "option", "request": "rtstruct", "no_such_option": 1}': 2,
        '{"id": "missing", "request": "segment", "ct": ["/no/such/folder"], "output": "y"}': 3,
    }
    for line in lines:
        engine.send_line(line)
    engine.wait_for(id="missing", error=...)
    engine.send(request="quit")
    assert engine.end() == 0
    errors = [event for event in engine.events if "error" in event]
    # Lines that are no request are answered at once, the others in their turn.
    assert [error["id"] for error in errors if error["id"]] == [json.loads(line)["id"] for line in list(lines)[3:]]
    assert sorted(error["error"]["code"] for error in errors) == sorted(lines.values())
    assert all(error["error"]["message"] for error in errors)


def test_requests_wait_their_turn_and_a_queued_one_can_be_cancelled(engine, ct_folder, long_ct_folder, tmp_path):
    engine.send(id=1, request="segment", ct=[str(long_ct_folder)], output=str(tmp_path / "one"))
    engine.send(id=2, request="segment", ct=[str(ct_folder)], output=str(tmp_path / "two"))
    engine.send(id=3, request="segment", ct=[str(ct_folder)], output=str(tmp_path / "three"))
    engine.send(id=2, request="cancel")
    engine.wait_for(id=3, event="done")
    engine.wait_for(id=1, event="done")
    assert engine.wait_for(id=2, error=...)["error"]["code"] == 130
    assert {path.name for path in tmp_path.iterdir()} == {"one", "three"}


def test_the_end_of_standard_input_cancels_and_quits(engine, long_ct_folder, tmp_path, one_second):
    engine.send(id=1, request="segment", ct=[str(long_ct_folder)], output=str(tmp_path / "out"))
    engine.wait_for(id=1, event="progress", step="read")
    closed = time.monotonic()
    engine.process.stdin.close()
    assert engine.wait_for(id=1, error=...)["error"]["code"] == 130
    assert time.monotonic() - closed <= one_second()
    assert engine.end() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_does_not_come_back_takes_the_process_with_it(start, ct_folder, slow_weights, tmp_path, one_second):
    session = start("serve", "--weights", str(slow_weights), "--device", "cpu")
    session.send(id=1, request="segment", ct=[str(ct_folder)], output=str(tmp_path / "out"))
    session.wait_for(id=1, event="progress", step="segment")
    asked = time.monotonic()
    session.send(id=1, request="cancel")
    assert session.wait_for(10, id=1, error=...)["error"]["code"] == 130
    assert time.monotonic() - asked <= one_second()
    assert list(tmp_path.iterdir()) == []
    if session.process.poll() is None:
        session.process.stdin.close()
    assert session.end(10) in (130, 0)


def test_a_signal_ends_the_engine_and_its_request(engine, long_ct_folder, tmp_path, one_second):
    engine.send(id=1, request="segment", ct=[str(long_ct_folder)], output=str(tmp_path / "out"))
    engine.wait_for(id=1, event="progress", step="read")
    asked = time.monotonic()
    engine.process.terminate()
    assert engine.end(10) == 130
    assert time.monotonic() - asked <= one_second()
    assert list(tmp_path.iterdir()) == []
    assert engine.events[-1]["error"]["code"] == 130


def test_rtstruct_request_writes_the_structure_set_of_a_mask(engine, ct_folder, tmp_path):
    engine.send(id=1, request="segment", ct=[str(ct_folder)], output=str(tmp_path / "out"))
    engine.wait_for(id=1, event="done")
    path = tmp_path / "edited ü.dcm"
    mask = str(tmp_path / "out" / "bladder.nrrd")
    engine.send(id=2, request="rtstruct", ct=str(ct_folder), mask=mask, output=str(path), generation="SEMIAUTOMATIC")
    engine.wait_for(id=2, event="done")
    assert path.read_bytes()[128:132] == b"DICM"


def test_damaged_weights_end_the_engine_before_it_is_ready(run, tmp_path):
    run("serve", "--weights", tmp_path / "none.pt", input="").failed_with(7, "weights")
