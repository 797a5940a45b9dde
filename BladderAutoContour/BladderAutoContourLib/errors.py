"""The errors a reader may meet: one small family, an exit code each.

Every message is one or two sentences for the person at the screen: what is wrong with which file, and what to do.
Messages never hold anything about the patient.
"""

from collections.abc import Sequence
from pathlib import Path


class BladderError(Exception):
    """Base of the family. `code` is the exit code of the command, `kind` its name in the events."""

    code = 3
    kind = "error"

    def __init__(self, message: str, files: Sequence[str | Path] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.files = tuple(str(file) for file in files)

    def as_event(self) -> dict[str, object]:
        """The last line of a failed command's standard output."""
        return {"error": {"code": self.code, "kind": self.kind, "message": self.message, "files": list(self.files)}}


class UsageError(BladderError):
    """The command line or a request was not understood."""

    code, kind = 2, "usage"


class InputError(BladderError):
    """The CT, the mask or the structure set is missing, unreadable or unsuitable."""

    code, kind = 3, "input"


class NoBladderError(BladderError):
    """No bladder was found: no contour is written rather than a wrong one.

    confidence: that what resembles one most is a bladder; 0 where nothing does.
    """

    code, kind = 4, "no-bladder"

    def __init__(self, message: str, files: Sequence[str | Path] = (), confidence: float = 0.0) -> None:
        super().__init__(message, files)
        self.confidence = confidence


class OutOfMemoryError(BladderError):
    """The machine's memory does not suffice, the CPU's included."""

    code, kind = 5, "memory"


class OutputError(BladderError):
    """The result cannot be written: folder unwritable, disk full."""

    code, kind = 6, "output"


class WeightsError(BladderError):
    """The weights are unknown, damaged, or not those that their plan describes."""

    code, kind = 7, "weights"


class EnvironmentFault(BladderError):
    """A package is missing, or a device was asked for that is not there."""

    code, kind = 8, "environment"


class VerificationError(BladderError):
    """The written file, read back by other code, does not say what it should; it was not put in place."""

    code, kind = 9, "verification"


CANCELLED = "Cancelled. What was finished before stays."


class Cancelled(BladderError):
    """The user cancelled (Ctrl-C, SIGTERM, a `cancel` request)."""

    code, kind = 130, "cancelled"
