"""`python -m BladderAutoContourLib COMMAND`: finds the command, runs it, turns every failure into its exit code.

A command is a module of `commands` with `HELP`, `add_arguments(parser)` and `run(arguments, events) -> exit code`.
Only the chosen command's module is imported, so that help and usage errors do not wait for torch.
"""

import argparse
import importlib
import json
import os
import sys
import threading
from collections.abc import Sequence
from types import ModuleType

from . import ARGUMENTS_VARIABLE, host, streams
from .commands.parser import Parser
from .errors import BladderError, Cancelled, UsageError
from .events import CANCEL_GRACE_SECONDS, Cancellation, Events
from .failures import as_bladder_error, is_process_lost, told

PROGRAM = "python -m BladderAutoContourLib"
STOP_HEARD_SECONDS = 0.2
"""How much sooner than a stop what it has torn may be known."""
COMMANDS = {
    "segment": "contour the bladder of one or more CTs",
    "serve": "the same engine kept warm: requests on standard input, events on standard output",
    "refine": "carry corrections of a contour on to the slices around them",
    "rtstruct": "turn a mask into a verified DICOM structure set",
    "check-rtstruct": "check a structure set, against its CT where given",
    "masks": "turn every structure of a structure set into a mask",
    "contours": "write a structure's contours to a text file, slice by slice",
    "inspect": "tell what a folder of DICOM files holds and what is wrong with it",
    "phantom": "generate pelvis CTs with their true bladder",
    "train": "train the networks by a plan, or finished weights on own patients",
    "evaluate": "score the whole pipeline on cases with a known bladder",
    "ablation": "train and compare the paper's seven networks with one budget each",
    "benchmark": "measure seconds and memory of every step",
}
"""The commands in the order of the help. A command's module has its name, with underscores."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    streams.use_utf8_streams()
    events = Events(sys.stdout)
    came_back = _stop_within_a_second(events)
    try:
        code = _run(_given() if arguments is None else list(arguments), events)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every failure has a code, a bug's too
        host.forget_children()
        code = _fail(_failure(error, events.cancellation), events)
    came_back.set()
    if code == Cancelled.code:
        # The interpreter takes a second to clear away torch; nobody who cancels wants to wait for that.
        host.end_now(code)
    return code


def _given() -> list[str]:
    """This process's arguments; see ARGUMENTS_VARIABLE."""
    return [*sys.argv[1:], *json.loads(os.environ.pop(ARGUMENTS_VARIABLE, "[]"))]


def _run(arguments: list[str], events: Events) -> int:
    if arguments and arguments[0] in COMMANDS:
        name, *rest = arguments
        command = command_module(name)
        parser = Parser(prog=f"{PROGRAM} {name}", description=command.HELP, allow_abbrev=False)
        command.add_arguments(parser)
        parsed = _parsed(parser, rest)
        return 0 if parsed is None else command.run(parsed, events)
    parser = _overview()
    if not arguments:
        parser.print_help()
        raise UsageError("No command was given.")
    if _parsed(parser, arguments) is None:
        return 0
    raise UsageError(f"There is no command {arguments[0]}. See `{PROGRAM} --help`.")


def command_module(name: str) -> ModuleType:
    """Import the module of a command. Raises ImportError where a package that it needs is missing."""
    return importlib.import_module(f".commands.{name.replace('-', '_')}", __package__)


def _overview() -> Parser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {line}" for name, line in COMMANDS.items()]
    parser = Parser(
        prog=PROGRAM,
        description="Bladder Auto-Contour: finds and contours the urinary bladder on CT. Not a medical device.",
        epilog="\n".join(["commands:", *lines, "", f"`{PROGRAM} COMMAND --help` tells more about each."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s COMMAND ...",
        allow_abbrev=False,
    )
    parser.add_argument("command", metavar="COMMAND", help="one of the commands below")
    return parser


def _parsed(parser: Parser, arguments: list[str]) -> argparse.Namespace | None:
    """The parsed arguments, None where help was asked for and printed."""
    try:
        return parser.parse_args(arguments)
    except SystemExit:
        return None


def _stop_within_a_second(events: Events) -> threading.Event:
    """Let Ctrl-C and its like cancel; a command that stands in a native call is ended, unless the event is set."""
    came_back = threading.Event()

    def last_words() -> None:
        events.cancellation.clean_up()
        if not events.closed:
            _fail(Cancelled(events.cancellation.sentence), events)

    def watch() -> None:
        host.end_soon(Cancelled.code, CANCEL_GRACE_SECONDS, last_words, unless=came_back)

    host.install_stop_signals(events.cancellation)
    events.cancellation.on_cancel(watch)
    return came_back


def _failure(error: BaseException, cancellation: Cancellation) -> BladderError:
    """The family's error for what ended a command; a cancel where a stop has torn something on its way.

    Ctrl-C reaches every process of a training at once: that one of them is gone may be known before the stop is.
    """
    if as_bladder_error(error) is None or is_process_lost(error):
        heard = threading.Event()
        cancellation.on_cancel(heard.set)
        if heard.wait(STOP_HEARD_SECONDS):
            return Cancelled(cancellation.sentence)
    return told(error)


def _fail(error: BladderError, events: Events) -> int:
    """One sentence on standard error, one object on standard output; the exit code."""
    streams.complain(error.message)
    try:
        events.error(error)
    except BladderError as unwritable:
        # Standard output itself is gone or full: the sentence above and the code are what is left to give.
        streams.complain(unwritable.message)
    return error.code


if __name__ == "__main__":
    sys.exit(main())
