"""`serve`: the engine kept warm. One JSON request a line on standard input, events on standard output.

    {"id": 1, "request": "segment", "ct": ["folder"], "output": "folder", "series": "...", "use_crf": true,
     "export_name": "Bladder"}
    {"id": 2, "request": "rtstruct", "ct": "folder", "mask": "file", "output": "file", ...}   the command's options
    {"id": 3, "request": "refine", "ct": ["folder"], "probability": "file", "mask": "file", "touched": "file",
     "output": "folder"}
    {"id": 4, "request": "copy-and-fit", "ct": ["folder"], "mask": "file", "from_slice": 41, "to_slice": 42,
     "output": "folder"}
    {"id": 1, "request": "cancel"}     that request; without an id, every one
    {"request": "quit"}                so does the end of standard input: cancels what runs

Requests are done one after the other. Every event carries its request's id; a request ends with `{"event": "done"}` or
with an error object, and the process lives on. A cancelled step that does not come back within a second takes the
process with it (exit code 130): whoever started it starts a new one.
"""

import argparse
import contextlib
import functools
import importlib
import json
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import host, streams
from ..errors import Cancelled, UsageError
from ..events import CANCEL_GRACE_SECONDS, Events
from ..failures import told
from ..output_files import check_output
from . import refine, segment
from .engine_arguments import add_engine_arguments, load_engine
from .parser import Parser

if TYPE_CHECKING:
    from ..pipeline.engine import Engine
    from ..pipeline.reading import Reader

HELP = "Keep the engine warm: one JSON request a line on standard input, events on standard output."

SEGMENT_FIELDS = {"request", "id", "ct", "output", "series", "use_crf", "export_name"}

Fields = Mapping[str, Any]
Inbox = queue.SimpleQueue  # of lines; None at the end of standard input or at a stop signal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Load the engine, then do requests until `quit` or the end of standard input. Raises the family's errors."""
    engine = load_engine(arguments, events)
    # the rest of a CT's way: the first one need not wait for it
    importlib.import_module("..pipeline.job", __package__)
    from ..pipeline.reading import Reader

    inbox: Inbox = queue.SimpleQueue()
    streams.read_lines(sys.stdin.fileno(), inbox.put)
    reader = Reader()
    # Events alone go to standard output: whatever a library prints goes beside them.
    with contextlib.redirect_stdout(sys.stderr):
        worker = Worker(events)
        events.cancellation.on_cancel(lambda: inbox.put(None))
        events.note("ready")
        _take_requests(inbox, worker, functools.partial(perform, engine=engine, reader=reader), events)
        worker.finish()
    events.cancellation.check()
    return 0


def _take_requests(inbox: Inbox, worker: "Worker", do: Callable[[Fields, Events], None], events: Events) -> None:
    while (line := inbox.get()) is not None:
        if not line.strip():
            continue
        try:
            fields = parse(line)
        except UsageError as error:
            events.for_request(None).error(error)
            continue
        request, request_id = fields.get("request"), fields.get("id")
        if request == "quit":
            return
        if request == "cancel":
            worker.cancel(request_id)
        else:
            worker.submit(request_id, functools.partial(do, fields))


def parse(line: str) -> Fields:
    """The fields of a line. Raises UsageError where it is no JSON object."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError("The request is not one line of JSON.") from error
    if not isinstance(fields, dict):
        raise UsageError('The request is not a JSON object, {"request": ...}.')
    return fields


def perform(fields: Fields, events: Events, engine: "Engine", reader: "Reader") -> None:
    """Do what a request asks for; `reader` keeps what the next one may need. Raises the family's errors."""
    request = fields.get("request")
    if request == "segment":
        _segment(fields, engine, events, reader)
    elif request == "rtstruct":
        _rtstruct(fields, events)
    elif request == "refine":
        arguments = _parsed("refine", refine.add_request_arguments, fields)
        refine.check_files(arguments)
        refine.refine(arguments, engine, events, reader)
    elif request == "copy-and-fit":
        arguments = _parsed("copy-and-fit", refine.add_copy_arguments, fields)
        refine.check_files(arguments)
        refine.copy_and_fit(arguments, engine, events, reader)
    else:
        raise UsageError(
            f"There is no request {request}. There are: segment, refine, copy-and-fit, rtstruct, cancel, quit."
        )


def _segment(fields: Fields, engine: "Engine", events: Events, reader: "Reader") -> None:
    ct = fields.get("ct")
    paths = [ct] if isinstance(ct, str) else ct
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
        raise UsageError('A segment request needs "ct", a list of paths.')
    unknown = sorted(fields.keys() - SEGMENT_FIELDS)
    if unknown:
        raise UsageError(
            f"A segment request has no field {unknown[0]}. It may have: {', '.join(sorted(SEGMENT_FIELDS))}."
        )
    output = _field(fields, "output", str, None)
    if output is None:
        raise UsageError('A segment request needs "output", a folder.')
    options = segment.Options(
        series_uid=_field(fields, "series", str, None),
        use_crf=_field(fields, "use_crf", bool, True),
        export_name=_field(fields, "export_name", str, "Bladder"),
    )
    sources = segment.sources_of([Path(path) for path in paths])
    check_output(Path(output))
    segment.contour_all(sources, Path(output), options, engine, events, reader)


def _rtstruct(fields: Fields, events: Events) -> None:
    """The work of the command `rtstruct`, its options the request's fields."""
    from . import rtstruct  # here, because a warm engine that nobody asks for structure sets needs none of it

    rtstruct.run(_parsed("rtstruct", rtstruct.add_arguments, fields), events)


def _parsed(name: str, add_arguments: Callable[[argparse.ArgumentParser], None], fields: Fields) -> argparse.Namespace:
    """A request's fields as the arguments of the command that says the same. Raises UsageError."""
    parser = Parser(prog=name, add_help=False, allow_abbrev=False)
    add_arguments(parser)
    return parser.parse_args(_as_options(fields))


def _as_options(fields: Fields) -> list[str]:
    """The command line that says the same as a request's fields: `{"merge": "f"}` is `--merge=f`."""
    words: list[str] = []
    for key, value in fields.items():
        option = "--" + key.replace("_", "-")
        if key in ("id", "request") or value is None or value is False:
            continue
        if value is True:
            words.append(option)
        elif isinstance(value, list):
            words += [option, *map(str, value)]
        else:
            words.append(f"{option}={value}")
    return words


def _field(fields: Fields, key: str, kind: type, default: Any) -> Any:
    value = fields.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise UsageError(f'The request\'s "{key}" must be {"true or false" if kind is bool else "text"}.')
    return value


@dataclass(frozen=True)
class Request:
    """What the worker has to do. `events` carry the request's id and its own cancellation."""

    request_id: Any
    events: Events
    work: Callable[[Events], None]


class Worker:
    """Does requests one after the other on a thread of its own, so that a cancel is heard meanwhile.

    `events` are the process's: its cancellation cleans up after the running request too.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._lock = threading.Lock()
        self._open: list[Request] = []  # queued and running
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="requests", daemon=True)
        self._thread.start()

    def submit(self, request_id: Any, work: Callable[[Events], None]) -> None:
        """Queue a request."""
        request = Request(request_id, self._events.for_request(request_id), work)
        with self._lock:
            self._open.append(request)
        self._queue.put(request)

    def cancel(self, request_id: Any = None) -> None:
        """Cancel the requests of that id; without one, all. One that is finished already is left alone."""
        with self._lock:
            chosen = [request for request in self._open if request_id in (None, request.request_id)]
        for request in chosen:
            request.events.cancellation.cancel()

    def finish(self) -> None:
        """Cancel everything and wait until the thread has ended."""
        self.cancel()
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (request := self._queue.get()) is not None:
            with self._events.cancellation.cleaning(request.events.cancellation.clean_up):
                _do(request)
            with self._lock:
                self._open.remove(request)


def _do(request: Request) -> None:
    """Do one request; its failure is told and stays its own."""
    events, came_back = request.events, threading.Event()

    def last_words() -> None:
        events.cancellation.clean_up()
        events.error(Cancelled("Cancelled: the running step did not come back, so the engine was ended."))

    events.cancellation.on_cancel(
        lambda: host.end_soon(Cancelled.code, CANCEL_GRACE_SECONDS, last_words, unless=came_back)
    )
    try:
        events.cancellation.check()
        request.work(events)
        events.done()
    except Exception as error:  # noqa: BLE001 - a request's failure is told, the engine lives on
        events.error(told(error))
    finally:
        came_back.set()
