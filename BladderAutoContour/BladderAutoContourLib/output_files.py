"""Files that a user asked for: whether they can be written, and each written whole or not at all."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from . import host
from .errors import OutputError


def check_output(folder: Path) -> None:
    """Raise OutputError where nothing could be written to `folder`, which need not exist. Leaves no trace."""
    if "\0" in str(folder) or not _is_encodable(folder):
        raise OutputError("The output folder's name holds characters that no folder can have. Choose another one.")
    whole = folder.absolute()
    existing = next((parent for parent in (whole, *whole.parents) if host.is_there(parent)), None)
    if existing is None:  # on Windows: a drive letter, or a share of the network
        raise OutputError(
            f"There is no {whole.anchor} to write to. Connect it, or choose another output folder.", [folder]
        )
    if not existing.is_dir():
        raise OutputError(f"{existing} is a file, not a folder. Choose another output folder.", files=[existing])
    try:
        host.try_to_write(existing)
    except OSError as error:
        raise OutputError(
            f"Nothing can be written to {existing} ({error.strerror}). Choose another output folder.", files=[existing]
        ) from error


def _is_encodable(path: Path) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def write_text(path: Path, text: str) -> None:
    """Write a small text file whole or not at all, and its folder where there is none. Raises OutputError."""
    put(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))


def put(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make a file under another name, then put it in place. Raises OutputError."""
    if path.is_dir() or not path.name:
        raise OutputError(f"{path} is a folder. Name the file to write to.", [path])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        host.put_file(path, write)
    except OSError as error:
        raise unwritable(path.parent, error) from error


def remove(path: Path) -> None:
    """Remove a file, if it is there. Raises OutputError, as where a viewer on Windows holds it."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path.parent, error) from error


def unwritable(folder: Path, error: OSError) -> OutputError:
    """The error for a folder that does not take the results."""
    if host.is_disk_full(error):
        return OutputError(
            f"The disk of the output folder {folder} is full; the result was not written. Free some space or choose "
            "another.",
            [folder],
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return OutputError(f"The output folder {folder} cannot be made: a file is in its way.", [folder])
    return OutputError(
        f"The output folder {folder} cannot be written ({error.strerror or 'unknown reason'}). Choose another one.",
        [folder],
    )
