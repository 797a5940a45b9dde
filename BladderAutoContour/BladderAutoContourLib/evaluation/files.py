"""Small files of an evaluation, each written whole or not at all."""

from collections.abc import Callable
from pathlib import Path

from .. import host
from ..pipeline.result_folder import unwritable


def write_text(path: Path, text: str) -> None:
    """Write a small text file whole or not at all, and its folder where there is none. Raises OutputError."""
    put(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))


def put(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make a file under another name, then put it in place. Raises OutputError."""
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
