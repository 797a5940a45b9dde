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
EARLIER = "earlier"


class ResultFolder:
    """Writes results beside their final place and puts them there at the end, one by one.

    Usage::

        with ResultFolder(output) as results:
            write_volume(mask, results.path(MASK))
            ...
            results.put_in_place()

    Leaving the block without `put_in_place`, by an exception or not, removes what was written, and the folder itself
    where this run made it. Results of an earlier run stay until new ones are complete; then those that the new run
    does not have (a structure set of another CT) go too. What a killed run left is removed on entry, after what it had
    put aside of an earlier run is in its place again. A folder with somebody else's files of these names, such as a
    case with its mask drawn by hand, is refused.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).absolute()
        self._temporary = self.folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:12]}"
        self._earlier = self._temporary / EARLIER  # where an earlier run's files wait until the new ones are there
        self._created: list[Path] = []
        self._begun: set[str] = set()
        self._is_moving = self._is_stuck = False

    def __enter__(self) -> "ResultFolder":
        """Make the folders. Raises OutputError where that is not possible."""
        self._expect_own()
        try:
            self._created = _make(self.folder)
            for left in self.folder.glob(f"{TEMPORARY_PREFIX}*"):
                # a run that was ended while it moved files
                if host.is_there(self.folder / REPORT) or _put_back(left / EARLIER, self.folder):
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

        Raises OutputError; then the files of an earlier run are in their places again, or it says where they are.
        """
        if any(not (self._temporary / name).exists() for name in self._begun):
            raise OutputError(
                f"The new results were removed from {self.folder} before they were complete, by another run perhaps. "
                "Start again, and give every run an output folder of its own.",
                [self.folder],
            )
        self._is_moving = True
        put: list[str] = []
        try:
            # without its report the folder counts as incomplete while old and new files stand side by side
            for name in [name for name in reversed(RESULT_FILES) if host.is_there(self.folder / name)]:
                host.replace_file(self.folder / name, self._earlier / name)
            for name in [name for name in RESULT_FILES if name in self._begun]:
                host.replace_file(self._temporary / name, self.folder / name)
                put.append(name)
        except OSError as error:
            for name in put:
                with contextlib.suppress(OSError):  # an earlier file takes its place, where there is one
                    (self.folder / name).unlink()
            self._is_stuck = not _put_back(self._earlier, self.folder)
            raise self._unplaced(error) from error
        finally:
            self._is_moving = False
        self._created = []

    def _unplaced(self, error: OSError) -> OutputError:
        fault = unwritable(self.folder, error)
        if not self._is_stuck:
            return fault
        return OutputError(
            f"{fault.message} The earlier results wait in {self._earlier}; the next run into this folder puts them "
            "back.",
            [self.folder, self._earlier],
        )

    def discard(self) -> None:
        """Remove what was written and not put in place, and the folders that this run made. Any thread may call."""
        if self._is_moving or self._is_stuck:  # an earlier run's files lie there, which the next run puts back
            return
        host.remove_folder(self._temporary)
        for folder in reversed(self._created):
            # a folder into which somebody else put a file meanwhile stays
            with contextlib.suppress(OSError):
                folder.rmdir()


def _put_back(earlier: Path, folder: Path) -> bool:
    """Move an earlier run's files back to their places, the report last; whether all are there.

    Where its probability has been put aside, which is the last that goes, all that stands in the folder is of the run
    that was ended.
    """
    is_all_aside = host.is_there(earlier / PROBABILITY)
    try:
        for name in RESULT_FILES:
            if host.is_there(earlier / name):
                host.replace_file(earlier / name, folder / name)
            elif is_all_aside:
                (folder / name).unlink(missing_ok=True)
    except OSError:
        return False
    return True


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
