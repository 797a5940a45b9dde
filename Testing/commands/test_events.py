"""Events and cancellation: what goes out, how often, and where a run can stop."""

import io
import json
import threading
from types import SimpleNamespace

import BladderAutoContourLib.events as events_module
import pytest
from BladderAutoContourLib.errors import Cancelled, InputError
from BladderAutoContourLib.events import Cancellation, Events


def lines(stream: io.StringIO) -> list[dict]:
    """The objects of a stream, one a line."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_progress_is_limited_in_rate_but_a_step_always_begins_and_ends():
    stream = io.StringIO()
    events = Events(stream)
    for step in ("read", "segment"):
        for number in range(1001):
            events.progress(step, number / 1000)
    written = [(event["step"], event["fraction"]) for event in lines(stream)]
    for step in ("read", "segment"):
        assert (step, 0.0) in written
        assert written.count((step, 1.0)) == 1
    assert len(written) < 15


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is, in seconds, for `events`: the test says."""
    now = [100.0]
    monkeypatch.setattr(events_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_seconds_left_follow_the_usual_shares(clock):
    stream = io.StringIO()
    events = Events(stream)
    events.expect({"read": 1, "segment": 3})
    events.progress("read", 0.0)
    clock[0] += 0.3
    events.progress("read", 1.0)
    clock[0] += 0.2
    events.progress("segment", 0.5)
    begin, quarter, late = [event["seconds_left"] for event in lines(stream)]
    assert begin is None
    assert quarter == pytest.approx(0.9, abs=0.06)  # 0.3 s for a quarter
    assert late == pytest.approx(0.3, abs=0.06)  # 0.5 s for five eighths


def test_seconds_left_of_a_step_that_goes_on_count_from_where_it_was(clock):
    stream = io.StringIO()
    events = Events(stream)
    events.progress("train", 0.6)
    clock[0] += 0.3
    events.progress("train", 0.8)
    begin, half = [event["seconds_left"] for event in lines(stream)]
    assert begin is None
    assert half == pytest.approx(0.3, abs=0.06)  # 0.3 s for half of what was left


def test_every_progress_call_is_a_place_to_stop():
    events = Events(io.StringIO())
    events.progress("read", 0.1)
    events.cancellation.cancel()
    with pytest.raises(Cancelled):
        events.progress("read", 0.1001)


def test_an_error_is_the_last_line():
    stream = io.StringIO()
    events = Events(stream)
    events.error(InputError("No CT.", ["a b.dcm"]))
    events.note("too late")
    assert lines(stream) == [{"error": {"code": 3, "kind": "input", "message": "No CT.", "files": ["a b.dcm"]}}]


def test_requests_share_a_stream_and_carry_their_ids():
    stream = io.StringIO()
    events = Events(stream)
    requests = [events.for_request(number) for number in range(4)]

    def talk(request: Events) -> None:
        for _ in range(200):
            request.note("x" * 500)

    threads = [threading.Thread(target=talk, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted({event["id"] for event in lines(stream)}) == [0, 1, 2, 3]
    assert len(lines(stream)) == 800
    requests[0].cancellation.cancel()
    assert not events.cancellation.cancelled
    assert not requests[1].cancellation.cancelled


def test_letters_beyond_ascii_survive_any_pipe():
    stream = io.StringIO()
    Events(stream).note("Blase – 膀胱")
    assert stream.getvalue().isascii()
    assert lines(stream)[0]["message"] == "Blase – 膀胱"


def test_listeners_hear_a_cancel_once_and_late_ones_at_once():
    cancellation, heard = Cancellation(), []
    cancellation.on_cancel(lambda: heard.append("early"))
    cancellation.cancel()
    cancellation.cancel()
    cancellation.on_cancel(lambda: heard.append("late"))
    assert heard == ["early", "late"]
    with pytest.raises(Cancelled):
        cancellation.check()


def test_only_running_blocks_are_cleaned_up():
    cancellation, removed = Cancellation(), []
    with cancellation.cleaning(lambda: removed.append("finished")):
        pass
    with cancellation.cleaning(lambda: removed.append("outer")), cancellation.cleaning(lambda: removed.append("inner")):
        cancellation.clean_up()
    assert removed == ["inner", "outer"]
