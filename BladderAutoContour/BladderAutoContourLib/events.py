"""What a running command tells its reader, one JSON object a line, and how the reader stops it.

Nothing about the patient goes out here: step names, fractions, sentences of the error family, folders of the user.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from . import streams
from .errors import CANCELLED, BladderError, Cancelled, OutputError

LINES_PER_SECOND = 10
CANCEL_GRACE_SECONDS = 0.5
"""How long cancelled work may take to come back by itself before its process ends; all in all within a second."""


class Cancellation:
    """A flag that any thread may raise once; the work looks at it wherever it reports progress.

    sentence: what whoever cancels is told; a command that can go on later says here how.

    Usage::

        cancellation = Cancellation()
        cancellation.on_cancel(lambda: print("stopping"))
        with cancellation.cleaning(lambda: shutil.rmtree(temporary)):
            for part in parts:
                cancellation.check()
    """

    def __init__(self) -> None:
        self.sentence = CANCELLED
        self._lock = threading.Lock()
        self._cancelled = False
        self._listeners: list[Callable[[], None]] = []
        self._clean_ups: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._cancelled

    def cancel(self) -> None:
        """Ask to stop. The first call tells the listeners, in this thread; later calls do nothing."""
        with self._lock:
            listeners = [] if self._cancelled else list(self._listeners)
            self._cancelled = True
        for listener in listeners:
            listener()

    def check(self) -> None:
        """Raise Cancelled when somebody asked to stop."""
        if self._cancelled:
            raise Cancelled(self.sentence)

    def on_cancel(self, listener: Callable[[], None]) -> None:
        """Call `listener` once at the cancel; at once when that has been."""
        with self._lock:
            late = self._cancelled
            self._listeners.append(listener)
        if late:
            listener()

    @contextlib.contextmanager
    def cleaning(self, clean_up: Callable[[], None]) -> Iterator[None]:
        """While the block runs, `clean_up` is what a process that must end within it has to remove.

        It is called by `clean_up` alone (the watchdog's way): a block that ends by itself, or by an exception,
        removes its own traces.
        """
        with self._lock:
            self._clean_ups.append(clean_up)
        try:
            yield
        finally:
            with self._lock:
                self._clean_ups.remove(clean_up)

    def clean_up(self) -> None:
        """Remove what the blocks now running would leave, the innermost first. Never raises OSError."""
        with self._lock:
            clean_ups = self._clean_ups[::-1]
        for clean_up in clean_ups:
            # A file that a hung step holds open cannot be removed on Windows: the next run removes it.
            with contextlib.suppress(OSError):
                clean_up()


class Events:
    """Writes events to `stream`, a line each, flushed; any thread may call.

    `cancellation` is looked at by every `progress`, so that each progress callback is a place where a run can stop.
    `extra` is added to every line (the request's id of a warm engine).

    Usage::

        events = Events(sys.stdout)
        events.expect({"read": 1, "segment": 6, "write": 3})
        events.progress("segment", 0.42)   # {"event": "progress", "step": "segment", "fraction": 0.42, ...}
    """

    def __init__(
        self, stream: TextIO, cancellation: Cancellation | None = None, extra: Mapping[str, Any] | None = None
    ) -> None:
        self.cancellation = cancellation or Cancellation()
        self._stream = stream
        self._extra = dict(extra or {})
        self._lock = threading.Lock()
        self._closed = False
        self._time_left = TimeLeft({})
        self._last_step: str | None = None
        self._last_fraction = -1.0
        self._last_line_at = 0.0

    @property
    def closed(self) -> bool:
        """Whether the last line is out."""
        return self._closed

    def for_request(self, request_id: Any) -> "Events":
        """Events on the same stream that carry `request_id` and have a cancellation of their own."""
        request = Events(self._stream, extra={**self._extra, "id": request_id})
        request._lock = self._lock
        return request

    def expect(self, shares: Mapping[str, float]) -> None:
        """Begin a run: its steps in order, each with its usual share of the time (any unit)."""
        with self._lock:
            self._time_left = TimeLeft(shares)
            self._last_step = None

    def progress(self, step: str, fraction: float) -> None:
        """Say that `fraction` of `step` is done. Raises Cancelled first when somebody asked to stop.

        About ten lines a second at most go out; the beginning and the end of a step always do.
        """
        self.cancellation.check()
        fraction = min(max(float(fraction), 0.0), 1.0)
        now = time.monotonic()
        with self._lock:
            seconds_left = self._time_left.after(step, fraction, now)
            if not self._is_due(step, fraction, now):
                return
            self._last_step, self._last_fraction, self._last_line_at = step, fraction, now
            self._write(
                {"event": "progress", "step": step, "fraction": round(fraction, 4), "seconds_left": seconds_left}
            )

    def note(self, message: str) -> None:
        """Say something in words: which device runs, which fallback was taken."""
        self._send({"event": "note", "message": message})

    def result(self, folder: Path) -> None:
        """Say where a finished result lies."""
        self._send({"event": "result", "folder": str(folder)})

    def done(self) -> None:
        """Say that a request of the warm engine is finished and well."""
        self._send({"event": "done"})

    def error(self, error: BladderError) -> None:
        """Say what went wrong. It is the last line: whatever comes after it is dropped."""
        with self._lock:
            self._write(error.as_event())
            self._closed = True

    def _is_due(self, step: str, fraction: float, now: float) -> bool:
        if step != self._last_step:
            return True
        if fraction >= 1.0:
            return self._last_fraction < 1.0
        return now - self._last_line_at >= 1 / LINES_PER_SECOND

    def _send(self, event: Mapping[str, Any]) -> None:
        with self._lock:
            self._write(event)

    def _write(self, event: Mapping[str, Any]) -> None:
        if self._closed:
            return
        try:
            # ASCII escapes: a folder's letters survive whatever encoding the reader's pipe has.
            self._stream.write(json.dumps({**event, **self._extra}) + "\n")
            self._stream.flush()
        except OSError as error:
            self._closed = True
            streams.silence(self._stream)
            if streams.reader_is_gone(error):
                raise Cancelled("Cancelled: nobody reads the output any more.") from error
            raise OutputError(f"Standard output cannot be written: {error.strerror}.") from error


class TimeLeft:
    """Estimates the seconds left of a run from what its steps usually cost relative to each other.

    `shares`: the steps in order. A step that is not among them is estimated for itself alone.
    """

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._shares = dict(shares)
        self._begun_at = time.monotonic()
        self._step: str | None = None
        self._step_begun_at = self._begun_at
        self._step_begun_with = 0.0

    def after(self, step: str, fraction: float, now: float) -> float | None:
        """Seconds left at `now` (monotonic), None while nothing is known yet."""
        if step != self._step:
            self._step, self._step_begun_at, self._step_begun_with = step, now, fraction
        if step in self._shares:
            done, elapsed = self._done(step, fraction), now - self._begun_at
        else:
            begun = self._step_begun_with  # not zero where a training goes on
            done, elapsed = (fraction - begun) / max(1 - begun, 1e-9), now - self._step_begun_at
        if done <= 0:
            return None
        return round(elapsed * (1 - done) / done, 1)

    def _done(self, step: str, fraction: float) -> float:
        names = list(self._shares)
        before = sum(self._shares[name] for name in names[: names.index(step)])
        return min((before + fraction * self._shares[step]) / sum(self._shares.values()), 1.0)
