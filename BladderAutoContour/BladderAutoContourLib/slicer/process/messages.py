"""A failure in words for the clinician: what happened, and what to do about it in Slicer's panel."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ... import host
from ...errors import (
    BladderError,
    Cancelled,
    EnvironmentFault,
    OutOfMemoryError,
    OutputError,
    UsageError,
    VerificationError,
    WeightsError,
)
from .child_process import Ended

BUG = 70
"""The engine's exit code for what it should have foreseen."""
PACKAGE_MISSING = "package-missing"
"""The engine's kind of failure for a Python package that is missing or broken."""
ADVISED_EXPORT = {UsageError.code, OutOfMemoryError.code, VerificationError.code, BUG}
"""Exit codes with an advice that suits the writing of a structure set, too."""

# How a system that lacks memory ends a process: Linux by a signal, Windows by a status.
_NO_MEMORY = {-9, 0xC0000017, 0xC000012D}
# Somebody, or the end of the session, stopped it: SIGHUP, SIGINT, SIGTERM, and what Windows has instead.
_STOPPED = {-1, -2, -15, 0x40010004, 0xC000013A}


@dataclass(frozen=True)
class Failure:
    """Why a request gave no result.

    code: the engine's exit code, or the system's for a process that crashed. kind: its name, such as "input" or
    "engine-crashed". advice: what to do, where the message does not say it already.
    """

    code: int
    kind: str
    message: str
    advice: str
    files: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What happened and what to do, as the panel shows it."""
        return f"{self.message} {self.advice}".strip()


def failure_told(error: Mapping[str, Any], *, exporting: bool = False, own_weights: bool = True) -> Failure:
    """The failure of the engine's error object, `{"code": 3, "kind": "input", "message": "...", "files": [...]}`.

    exporting: a structure set was to be written. own_weights: the user has chosen a weights file.
    """
    code, kind = int(error.get("code", BUG)), str(error.get("kind", "bug"))
    message, files = str(error.get("message", "")), tuple(map(str, error.get("files", ())))
    if kind == PACKAGE_MISSING:
        # The engine's own sentence names the package, and commands for a terminal.
        message = _("PyTorch, or another Python package that the contouring needs, is missing or broken.")
        advice = _(
            "Install PyTorch with the button in this panel. If it is installed already, restart Slicer; if that does "
            "not help, install it again with the module PyTorch Utils."
        )
    else:
        advice = "" if _says_all(code, exporting, own_weights) else _advice(code)
    if code == BUG:
        message = ""  # the engine's own speaks of standard error, which nobody sees here
    return Failure(code, kind, message or _("Something failed that should not have."), advice, files)


def failure_of(error: BaseException) -> Failure:
    """The failure of an exception on Slicer's side of the work. A bug's traceback goes to standard error first."""
    if isinstance(error, BladderError):  # its message says what to do already
        return Failure(error.code, error.kind, error.message, "", error.files)
    if isinstance(error, MemoryError):
        message = _("Slicer has too little memory for this CT.")
        return _failure(OutOfMemoryError, message)
    if isinstance(error, OSError) and host.is_disk_full(error):
        return _failure(OutputError, _("The disk is full."))
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return _failure(OutputError, _("A file could not be read or written: {reason}.").format(reason=reason))
    traceback.print_exception(error)
    return Failure(BUG, "bug", _("Something failed that should not have."), _advice(BUG))


def failure_ended(code: int, behind_launcher: bool = False) -> Failure:
    """The failure of a process that ended with this code and told no reason.

    behind_launcher: the code is that of a launcher, which does not tell whether its child crashed or was killed.
    """
    if code in _NO_MEMORY or behind_launcher:
        advice = _("Close other programs, then try again.")
        if behind_launcher:
            rest = _(
                "If it ends again, choose Processor (CPU) under Advanced; if that does not help, please report it with "
                "the text under Log."
            )
            advice = f"{advice} {rest}"
        return Failure(
            code,
            "engine-killed",
            _("The system ended the contouring, most likely because the computer ran out of memory."),
            advice,
        )
    if code in _STOPPED:
        return Failure(
            code, "engine-killed", _("The contouring was stopped from outside Slicer."), _("Try again when it suits.")
        )
    shown = hex(code) if code > 255 else str(code)
    return Failure(
        code,
        "engine-crashed",
        _("The contouring ended unexpectedly (code {code}).").format(code=shown),
        _(
            "Try again: it starts anew. If it ends again, choose Processor (CPU) under Advanced; "
            "if that does not help, please report it with the text under Log."
        ),
    )


def failure_of_end(
    python: Path, ended: Ended, error: Mapping[str, Any], *, exporting: bool = False, own_weights: bool = True
) -> Failure:
    """The failure of a program that came to its end without what it was started for.

    error: the engine's error object, empty if it told none. exporting, own_weights: as `failure_told` takes them.
    """
    if ended.code is None:
        return failure_to_start(python, ended.reason)
    if error:
        return failure_told(error, exporting=exporting, own_weights=own_weights)
    return failure_ended(ended.code, ended.behind_launcher)


def failure_to_start(python: Path, reason: str) -> Failure:
    """The failure of a program that the system would not start."""
    return Failure(
        EnvironmentFault.code,
        "python-missing",
        _("The contouring could not be started, because {program} cannot be run ({reason}).").format(
            program=python.name, reason=reason
        ),
        _("Restart Slicer. If that does not help, check that no virus scanner blocks it, or install Slicer again."),
        (str(python),),
    )


def failure_cancelled() -> Failure:
    """The failure of a request that the user cancelled."""
    return _failure(Cancelled, _("Cancelled."))


def slower_way() -> str:
    """The note for a request that the warm engine could not take."""
    return _("The engine did not stay ready in the background; it is started once more, for this task alone.")


def _failure(error: type[BladderError], message: str) -> Failure:
    return Failure(error.code, error.kind, message, _advice(error.code))


def _says_all(code: int, exporting: bool, own_weights: bool) -> bool:
    """Whether the engine's own sentence is enough: what there is to do in the panel would not help."""
    if code == WeightsError.code and not own_weights:
        return True
    # The rest of the advice is about the way from a CT to its contour.
    return exporting and code not in ADVISED_EXPORT


def _advice(code: int) -> str:
    """What to do in Slicer about a failure with this exit code."""
    advice = {
        2: _("Restart Slicer. If it happens again, install this extension again: its parts do not fit together."),
        3: _("Load the CT again, or choose another one from the list."),
        4: _("You can draw the bladder yourself: outline it on two or three slices, and the program carries on."),
        5: _("Save your work and restart Slicer, which frees memory; then try again."),
        6: _("Make room on the disk, or choose another working folder under Advanced, and try again."),
        7: _("To use the weights that come with this module, leave the weights file under Advanced empty; try again."),
        8: _("Choose Automatic or Processor (CPU) under Advanced, and try again."),
        9: _("Nothing was exported. Try again; if it fails again, please report it with the text under Log."),
        130: _("Nothing in the scene was changed."),
    }
    return advice.get(code, _("Try again; if it fails again, please report it with the text under Log."))
