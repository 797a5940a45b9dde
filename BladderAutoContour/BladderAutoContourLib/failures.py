"""What went wrong, in the words of the error family.

The engine raises the family itself wherever it knows better. This is the net below it, for what Python, torch and
SimpleITK raise on a machine without memory, room on the disk, or packages.
"""

import os
import sys
import traceback
from pathlib import Path

from . import host, streams
from .errors import CANCELLED, BladderError, Cancelled, EnvironmentFault, OutOfMemoryError, OutputError

# torch and SimpleITK raise plain RuntimeErrors: only their words tell
_DISK_WORDS = ("no space left on device", "file too large", "disk quota exceeded", "not enough space on the disk")
# torch's words for a process of its DataLoader that ended; an exception within one names no pid
_PROCESS_ENDED = "dataloader worker (pid"
_BY_SIGNAL = "killed by signal: "
_WITHOUT_MEMORY = ("killed", "bus error")  # Linux ends so what finds no memory, or no shared memory
_STOPPED = ("interrupt", "terminated", "hangup")  # Ctrl-C and its like reach all processes of a training at once
_PROCESS_WITHOUT_MEMORY = (
    "A process that makes samples was ended, most likely because the memory, or the shared memory (/dev/shm), does not "
    "suffice. Close other programs, or take fewer --workers, or --workers 0."
)


class BugError(BladderError):
    """A failure that this program should have foreseen. Its traceback stands on standard error."""

    code, kind = 70, "bug"


class PackageMissing(EnvironmentFault):
    """A Python package is missing or broken; of a kind of its own, because Slicer's panel can do something about it."""

    kind = "package-missing"


def told(error: BaseException) -> BladderError:
    """The family's error for any exception; a bug's traceback goes to standard error first.

    So does why a package could not be imported: its sentence names the package alone.
    """
    known = as_bladder_error(error)
    if isinstance(known, PackageMissing) and known is not error:
        streams.complain(f"{type(error).__name__}: {error}")
    if known is not None:
        return known
    streams.complain("".join(traceback.format_exception(error)).rstrip())
    return BugError("Something failed that should not have; please report the lines on standard error.")


def as_bladder_error(error: BaseException) -> BladderError | None:
    """The family's error for `error`, or None for one that is a bug."""
    words = str(error).lower()
    if isinstance(error, BladderError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Cancelled(CANCELLED)
    if isinstance(error, BrokenPipeError):
        return Cancelled("Cancelled: nobody reads the output any more.")
    if is_process_lost(error):
        is_stopped = _signal(error).startswith(_STOPPED)
        return Cancelled(CANCELLED) if is_stopped else OutOfMemoryError(_PROCESS_WITHOUT_MEMORY)
    if host.is_memory_short(error):
        return OutOfMemoryError(
            "The machine's memory does not suffice for this CT. Close other programs, or contour a series with fewer "
            "slices."
        )
    if isinstance(error, OSError) and host.is_disk_full(error):
        return _disk_full(error.filename)
    if isinstance(error, OSError) and host.is_drive_lost(error):
        return OutputError(
            f"A drive failed while it was read or written ({error.strerror}), and this run did not come to its end. "
            "Check the disk or the network connection, and try again.",
            [error.filename] if error.filename else [],
        )
    if isinstance(error, RuntimeError) and _has(words, _DISK_WORDS):
        return _disk_full(None)
    if isinstance(error, ImportError) and not (error.name or "").startswith(str(__package__)):
        return _package_missing((error.name or "").partition(".")[0])
    if isinstance(error, OSError) and host.is_library_missing(error):
        return _package_missing("")
    return None


def is_process_lost(error: BaseException) -> bool:
    """Whether a process that makes samples for a training was ended from outside."""
    if not isinstance(error, RuntimeError) or not str(error).lower().startswith(_PROCESS_ENDED):
        return False
    if signal := _signal(error):
        return signal.startswith((*_WITHOUT_MEMORY, *_STOPPED))
    return "exit code" not in _ending(error)  # with one it ended by itself, and that is a bug


def _signal(error: BaseException) -> str:
    """The name of the signal that ended a process, in lower case; "" where none did, or torch does not know."""
    return _ending(error).partition(_BY_SIGNAL)[2]


def _ending(error: BaseException) -> str:
    """All that torch says of a process that ended. While it waits for a sample, the reason is the error's cause."""
    return f"{error}; {error.__cause__}".lower()


def _disk_full(file: str | None) -> OutputError:
    return OutputError(
        "The disk is full, and this run did not come to its end; what was finished before stays. Make room, or choose "
        "another output folder.",
        [file] if file else [],
    )


def _package_missing(name: str) -> PackageMissing:
    subject = f"The Python package {name}" if name else "A Python package that this program needs"
    if _is_path_set():
        return PackageMissing(
            f"{subject} is missing or broken. PYTHONPATH is set, so that packages of another Python may come first: "
            "unset it. If that does not help, run `python setup_dev.py`, which repairs the environment."
        )
    return PackageMissing(
        f"{subject} is missing or broken. Run `python setup_dev.py`, which repairs the environment; inside Slicer, "
        "install it from the module's panel."
    )


def _is_path_set() -> bool:
    """Whether PYTHONPATH holds more than this program, which Slicer's panel puts there for the engine.

    False in Slicer's own Python, no virtual environment: it needs the PYTHONPATH that its launcher sets.
    """
    if sys.prefix == sys.base_prefix:
        return False
    places = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    own = Path(__file__).absolute().parents[1]
    return any(place and Path(place).absolute() != own for place in places)


def _has(words: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in words for phrase in phrases)
