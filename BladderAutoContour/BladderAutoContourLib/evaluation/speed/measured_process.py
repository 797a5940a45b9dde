"""Talking with a process that is measured: what it is asked, and how it ends.

Nothing here needs more than the standard library: it is imported in the peers' environment as well.
"""

import contextlib
import subprocess

from ... import host
from ...errors import EnvironmentFault


def ask(process: subprocess.Popen, line: str) -> None:
    """Write a line to a measured process. Raises EnvironmentFault where it has ended."""
    try:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
    except OSError as error:  # to whoever runs the benchmark, a broken pipe would read as if they had cancelled
        raise EnvironmentFault(ended(process)) from error


def end(process: subprocess.Popen) -> None:
    """End a measured process, if it has not, and close its pipes."""
    host.end_process_tree(process)
    with contextlib.suppress(OSError):  # what was still to be written to one that has died
        process.stdin.close()
    process.stdout.close()


def ended(process: subprocess.Popen) -> str:
    """That a measured process has ended without an answer, in words."""
    return f"A measured program ended with code {process.wait()} and without an answer."
