"""Standard streams, alike on every system and whatever becomes of them."""

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from . import host

STANDARD_INPUT = 0


def use_utf8_streams() -> None:
    """Standard streams speak UTF-8 with plain line feeds, whatever the console's code page.

    One that is closed, as in a service, or in a program of Windows without a console, becomes one that leads nowhere.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - until the end
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def read_lines(descriptor: int, take: Callable[[str | None], None]) -> threading.Thread:
    """Read UTF-8 lines from a file descriptor on a thread: `take` gets each line, and None at the end.

    A pipe cannot be selected on Windows: a thread is the way that works everywhere. It reads the bare descriptor,
    because a thread that waits inside sys.stdin makes the interpreter fail when it ends.
    """

    def read() -> None:
        rest = b""
        with contextlib.suppress(OSError):  # a pipe that breaks has ended
            while block := _next_block(descriptor):
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    take(line.decode("utf-8", errors="replace"))
        if rest:
            take(rest.decode("utf-8", errors="replace"))
        take(None)

    thread = threading.Thread(target=read, name="standard input", daemon=True)
    thread.start()
    return thread


def _next_block(descriptor: int) -> bytes:
    if descriptor == STANDARD_INPUT:
        host.await_input(descriptor)
    return os.read(descriptor, 65536)


def reader_is_gone(error: OSError) -> bool:
    """Whether a pipe could not be written because its reader closed it. Of other errors, Windows' EINVAL says less."""
    return isinstance(error, BrokenPipeError) or (host.WINDOWS and error.errno == errno.EINVAL)


def silence(stream: TextIO) -> None:
    """Let what a broken `stream` still holds go nowhere, or the interpreter complains about it when it ends."""
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def complain(text: str) -> None:
    """Write a line to standard error; where it takes none, as on a full disk, the exit code must do."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        silence(sys.stderr)
