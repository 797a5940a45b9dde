"""What went wrong, in the words of the error family.

The engine raises the family itself wherever it knows better. This is the net below it, for what Python, torch and
SimpleITK raise on a machine without memory, room on the disk, or packages.
"""

import traceback

from . import host
from .errors import BladderError, Cancelled, EnvironmentFault, OutOfMemoryError, OutputError

# torch and SimpleITK raise plain RuntimeErrors: only their words tell memory from other failures.
_MEMORY_WORDS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "failed to allocate memory",
    "bad_alloc",
)
_DISK_WORDS = ("no space left on device", "file too large", "disk quota exceeded", "not enough space on the disk")


class BugError(BladderError):
    """A failure that this program should have foreseen. Its traceback stands on standard error."""

    code, kind = 70, "bug"


class PackageMissing(EnvironmentFault):
    """A Python package is missing or broken; of a kind of its own, because Slicer's panel can do something about it."""

    kind = "package-missing"


def told(error: BaseException) -> BladderError:
    """The family's error for any exception; a bug's traceback goes to standard error first."""
    known = as_bladder_error(error)
    if known is not None:
        return known
    traceback.print_exception(error)
    return BugError("Something failed that should not have; please report the lines on standard error.")


def as_bladder_error(error: BaseException) -> BladderError | None:
    """The family's error for `error`, or None for one that is a bug."""
    words = str(error).lower()
    if isinstance(error, BladderError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Cancelled("Cancelled: no result was written.")
    if isinstance(error, BrokenPipeError):
        return Cancelled("Cancelled: nobody reads the output any more.")
    is_short = isinstance(error, OSError) and host.is_memory_short(error)
    if is_short or isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _has(words, _MEMORY_WORDS)):
        return OutOfMemoryError(
            "The machine's memory does not suffice for this CT. Close other programs, or contour a series with fewer "
            "slices."
        )
    if isinstance(error, OSError) and host.is_disk_full(error):
        return _disk_full(error.filename)
    if isinstance(error, OSError) and host.is_drive_lost(error):
        return OutputError(
            f"A drive failed while it was read or written ({error.strerror}): no result was written. Check the disk or "
            "the network connection, and try again.",
            [error.filename] if error.filename else [],
        )
    if isinstance(error, RuntimeError) and _has(words, _DISK_WORDS):
        return _disk_full(None)
    if isinstance(error, ImportError) and not (error.name or "").startswith(str(__package__)):
        return _package_missing((error.name or "").partition(".")[0])
    if isinstance(error, OSError) and host.is_library_missing(error):
        return _package_missing("")
    return None


def _disk_full(file: str | None) -> OutputError:
    return OutputError(
        "The disk is full: no result was written. Make room, or choose another output folder.", [file] if file else []
    )


def _package_missing(name: str) -> PackageMissing:
    subject = f"The Python package {name}" if name else "A Python package that this program needs"
    return PackageMissing(
        f"{subject} is missing or broken. Run `python setup_dev.py`, which repairs the environment; inside Slicer, "
        "install it from the module's panel."
    )


def _has(words: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in words for phrase in phrases)
