"""A result folder that holds either all the files of a run or none of them."""

import contextlib
import uuid
from pathlib import Path
from types import TracebackType

from .. import TEMPORARY_PREFIX, host
from ..errors import OutputError
from ..output_files import unwritable

MASK = "bladder.nrrd"
PROBABILITY = "bladder_probability.nrrd"
STRUCTURE_SET = "RTSTRUCT.dcm"
PICTURE = "preview.png"
REPORT = "report.json"
RESULT_FILES = (PROBABILITY, MASK, STRUCTURE_SET, PICTURE, REPORT)
"""The files of a result folder; the report goes in last, so a folder with a report is complete. The probability goes in
first: a folder with neither holds none of ours."""


class ResultFolder:
    """Writes results beside their final place and puts them there at the end, one by one.

    Usage::

        with ResultFolder(output) as results:
            write_volume(mask, results.path(MASK))
            ...
            results.put_in_place()

    Leaving the block without `put_in_place`, by an exception or not, removes what was written, and the folder itself
    where this run made it. Results of an earlier run stay until new ones are complete; then those that the new run
    does not have (a structure set of another CT) go too. What a killed run left is removed on entry. A folder with
    somebody else's files of these names, such as a case with its mask drawn by hand, is refused.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).absolute()
        self._temporary = self.folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:12]}"
        self._earlier = self._temporary / "earlier"  # where an earlier run's files wait until the new ones are there
        self._created: list[Path] = []
        self._begun: set[str] = set()
        self._is_moving = False

    def __enter__(self) -> "ResultFolder":
        """Make the folders. Raises OutputError where that is not possible."""
        self._expect_own()
        try:
            self._created = _make(self.folder)
            for left in self.folder.glob(f"{TEMPORARY_PREFIX}*"):
                host.remove_folder(left)
            self._temporary.mkdir()
            self._earlier.mkdir()
            # some file systems let folders be made in which no file can be
            (self._temporary / "writable").write_bytes(b"\0")
            (self._temporary / "writable").unlink()
        except OSError as error:
            self.discard()
            raise unwritable(self.folder, error) from error
        return self

    def _expect_own(self) -> None:
        there = [name for name in RESULT_FILES if host.is_there(self.folder / name)]
        if there and not {PROBABILITY, REPORT}.intersection(there):
            raise OutputError(
                f"The folder {self.folder} holds files that are no result of a contouring, and that this one would "
                f"replace: {', '.join(there)}. Choose another output folder.",
                [self.folder],
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
        if isinstance(error, OSError) and (host.is_disk_full(error) or self._holds(error.filename)):
            raise unwritable(self.folder, error) from error

    def _holds(self, file: str | None) -> bool:
        return file is not None and self._temporary in Path(file).absolute().parents

    def path(self, name: str) -> Path:
        """Where to write the result file `name` for now."""
        self._begun.add(name)
        return self._temporary / name

    def put_in_place(self) -> None:
        """Move what was written to its final place, the report last.

        Raises OutputError; then the files of an earlier run are in their places again.
        """
        if any(not (self._temporary / name).exists() for name in self._begun):
            raise OutputError(
                f"The new results were removed from {self.folder} before they were complete, by another run perhaps. "
                "Start again, and give every run an output folder of its own.",
                [self.folder],
            )
        self._is_moving = True
        aside: list[str] = []
        put: list[str] = []
        try:
            # without its report the folder counts as incomplete while old and new files stand side by side
            for name in [name for name in reversed(RESULT_FILES) if host.is_there(self.folder / name)]:
                host.replace_file(self.folder / name, self._earlier / name)
                aside.append(name)
            for name in [name for name in RESULT_FILES if name in self._begun]:
                host.replace_file(self._temporary / name, self.folder / name)
                put.append(name)
        except OSError as error:
            for name in put:
                (self.folder / name).unlink()
            for name in reversed(aside):
                host.replace_file(self._earlier / name, self.folder / name)
            raise unwritable(self.folder, error) from error
        finally:
            self._is_moving = False
        self._created = []

    def discard(self) -> None:
        """Remove what was written and not put in place, and the folders that this run made. Any thread may call."""
        if self._is_moving:  # an earlier run's files may lie there
            return
        host.remove_folder(self._temporary)
        for folder in reversed(self._created):
            # a folder into which somebody else put a file meanwhile stays
            with contextlib.suppress(OSError):
                folder.rmdir()


def _make(folder: Path) -> list[Path]:
    """Make `folder` and its parents; those that were not there before, the outermost first."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    created: list[Path] = []
    try:
        for one in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another run has just made it
                one.mkdir()
                created.append(one)
        folder.mkdir(exist_ok=True)  # raises where a file has the folder's name
    except OSError:
        for one in reversed(created):
            with contextlib.suppress(OSError):
                one.rmdir()
        raise
    return created
