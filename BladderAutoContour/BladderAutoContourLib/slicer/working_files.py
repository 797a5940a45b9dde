"""What is needed only for a while: files and folders in a place that other programs use too."""

import contextlib
import re
import tempfile
import time
import uuid
from pathlib import Path

from slicer.i18n import tr as _

from .. import host
from ..errors import OutputError

PREFIX = ".BladderAutoContour-work-"
"""Nobody types it: the place may be a folder in which people keep their own things, such as Downloads. Nor does it
begin as TEMPORARY_PREFIX does, which a command removes from the folder that its results go to."""
FOLDER_NAME = re.compile(re.escape(PREFIX) + "[a-z0-9_]{8}")
"""What tempfile makes of the prefix."""
FILE_NAME = re.compile(re.escape(PREFIX) + r"[0-9a-f]{12}\.nrrd")
LEFT_AFTER_SECONDS = 24 * 3600.0
"""Younger files may belong to another Slicer that runs."""


def temporary_folder(place: Path) -> "tempfile.TemporaryDirectory[str]":
    """A new, empty folder. What a virus scanner holds open at its end stays. Raises OutputError."""
    try:
        host.try_to_write(place)
        return tempfile.TemporaryDirectory(prefix=PREFIX, dir=place, ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(
            _("The working folder {folder} cannot be written. Make room, or choose another one under Advanced.").format(
                folder=place
            ),
            [place],
        ) from error


def free_path(place: Path) -> Path:
    """Where a NRRD file can go: none is there yet."""
    return place / f"{PREFIX}{uuid.uuid4().hex[:12]}.nrrd"


def clear_leftovers(place: Path) -> None:
    """Remove what a Slicer that was killed left in `place`: of what this module can have made, nothing else."""
    oldest = time.time() - LEFT_AFTER_SECONDS
    with contextlib.suppress(OSError):  # what cannot be read or removed is left to the system
        for left in place.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):  # ... and keeps nothing else
                _remove_if_older(left, oldest)


def _remove_if_older(left: Path, oldest: float) -> None:
    """Raises OSError where it cannot be looked at or removed. oldest: seconds since the epoch."""
    if left.is_symlink() or left.stat().st_mtime >= oldest:
        return
    if FOLDER_NAME.fullmatch(left.name) and left.is_dir():
        host.remove_folder(left)
    elif FILE_NAME.fullmatch(left.name) and left.is_file():
        left.unlink()
