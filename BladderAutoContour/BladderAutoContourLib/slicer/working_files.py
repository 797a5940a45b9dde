"""What is needed only for a while: files and folders in a place that other programs use too."""

import contextlib
import tempfile
import time
import uuid
from pathlib import Path

from slicer.i18n import tr as _

from .. import host
from ..errors import OutputError

PREFIX = "BladderAutoContour-"
LEFT_AFTER_SECONDS = 24 * 3600.0
"""Younger files may belong to another Slicer that runs."""


def temporary_folder(place: Path) -> "tempfile.TemporaryDirectory[str]":
    """A new, empty folder. What a virus scanner holds open at its end stays. Raises OutputError."""
    try:
        return tempfile.TemporaryDirectory(prefix=PREFIX, dir=place, ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(
            _("The working folder {folder} cannot be written. Make room, or choose another one under Advanced.").format(
                folder=place
            ),
            [place],
        ) from error


def free_path(place: Path, suffix: str) -> Path:
    """Where a file can go: none is there yet."""
    return place / f"{PREFIX}{uuid.uuid4().hex[:12]}{suffix}"


def clear_leftovers(place: Path) -> None:
    """Remove what a Slicer that was killed left in `place`."""
    oldest = time.time() - LEFT_AFTER_SECONDS
    with contextlib.suppress(OSError):  # what cannot be read or removed is left to the system
        for left in place.glob(f"{PREFIX}*"):
            if left.stat().st_mtime >= oldest:
                continue
            if left.is_dir():
                host.remove_folder(left)
            else:
                left.unlink()
