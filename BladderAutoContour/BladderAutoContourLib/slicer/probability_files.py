"""The network's probability of a contour as a file for the engine: corrections and smooth outlines need it."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import working_files
from .scene.kept_contour import fact
from .scene.kept_probability import PROBABILITY, kept_probability
from .scene.segmentation import Contour, engine_grid
from .scene.volume_files import write_volume


class ProbabilityFiles:
    """One NRRD file for each contour, on the grid of the engine's mask: the run's own, or written from the segment.

    A new file goes into the folder that is named with it: the user may choose another meanwhile.

    Usage::

        files = ProbabilityFiles()
        files.take(contour, result.probability, working_folder)
        files.of(contour, working_folder)      # what was taken; None where nothing is known of the contour
        files.forget_all()                     # the files go
    """

    def __init__(self) -> None:
        self._files: dict[Contour, _ProbabilityFile] = {}

    def take(self, contour: Contour, probability: Path, working_folder: Path) -> None:
        """Move a run's file to where it outlasts the run. What cannot be moved stays: the segment's tag has it too.

        Raises InputError where the contour is gone.
        """
        kept = working_files.free_path(working_folder)
        try:
            shutil.move(probability, kept)
        except OSError:  # a virus scanner holds it, the disk is full
            with contextlib.suppress(OSError):
                kept.unlink()
        else:
            self._know(contour, kept)

    def of(self, contour: Contour, working_folder: Path) -> Path | None:
        """The probability as a file: that of this session, else written from what the segment remembers.

        Undo brings an earlier run's contour back with its tags, but not its file. None where the segment remembers
        nothing. Raises InputError where the contour is gone, OutputError.
        """
        kept = self._files.get(contour)
        if kept is not None and kept.tag == _tag(contour) and kept.path.is_file():
            return kept.path
        grid = engine_grid(contour)
        remembered = kept_probability(contour.segment, grid) if grid else None
        if remembered is None:
            return None
        path = working_files.free_path(working_folder)
        write_volume(remembered, grid.ijk_to_ras, path)
        self._know(contour, path)
        return path

    def forget_all(self) -> None:
        """Remove the files."""
        for contour in list(self._files):
            self._forget(contour)

    def _know(self, contour: Contour, path: Path) -> None:
        self._forget(contour)
        self._files[contour] = _ProbabilityFile(path, _tag(contour))

    def _forget(self, contour: Contour) -> None:
        earlier = self._files.pop(contour, None)
        if earlier is not None:
            with contextlib.suppress(OSError):  # what a virus scanner holds open stays
                earlier.path.unlink()


@dataclass(frozen=True)
class _ProbabilityFile:
    """path: where it lies. tag: what the segment remembered of the probability when the file was kept."""

    path: Path
    tag: str


def _tag(contour: Contour) -> str:
    return fact(contour.segment, PROBABILITY)
