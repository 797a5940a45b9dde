"""Corrections of a contour through the engine: what was corrected by hand goes out, what follows from it comes back."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from slicer.i18n import tr as _

from ..errors import InputError
from .process.engine_process import EngineProcess
from .process.messages import Failure, failure_of
from .process.result import read_correction
from .scene.ct_source import CtSource, source_of, write_ct
from .scene.kept_contour import is_begun_by_hand
from .scene.proposal import Corrected
from .scene.segmentation import Contour, as_it_stands, expect_drawn_on, expect_meeting, write_mask
from .scene.touched import Touched, touched_of
from .scene.volume_files import read_mask, write_volume
from .scene.voxels import Grid, VoxelBox
from .working_files import temporary_folder


class Listener(Protocol):
    """Who hears of a correction. Exactly one call of `corrected` or `correction_failed` ends it."""

    def correction_progressed(self, step: str, seconds_left: float | None) -> None: ...

    def corrected(self, corrected: Corrected) -> None: ...

    def correction_failed(self, failure: Failure) -> None: ...


class Correction:
    """One correction at a time with a warm engine; whoever owns the engine polls it.

    Usage::

        correction = Correction(engine, Path(slicer.app.temporaryPath))
        correction.propagate(contour, probability, listener)
        correction.cancel()
    """

    def __init__(self, engine: EngineProcess, working_folder: Path) -> None:
        self._engine = engine
        self._working_folder = working_folder
        self._errand: _Errand | None = None

    @property
    def busy(self) -> bool:
        """Whether a correction is on its way."""
        return self._errand is not None

    def propagate(self, contour: Contour, probability: Path | None, listener: Listener) -> None:
        """Carry what was corrected by hand on to the slices around it.

        probability: the network's, on the grid of the engine's mask; None where the program saw no bladder at all.
        Raises InputError: nothing was corrected, a node is gone, the contour is not on its CT; OutputError.
        """
        touched = touched_of(contour)
        if not touched.slices:
            raise InputError(_("Nothing was corrected by hand yet. Correct a slice or two, then propagate."))

        def fields(folder: Path, grid: Grid) -> Mapping[str, Any]:
            chances = probability or folder / "probability.nrrd"
            if probability is None:
                write_volume(np.zeros(grid.size[::-1], np.uint8), grid.ijk_to_ras, chances)
            write_volume(touched.mask(grid), grid.ijk_to_ras, folder / "touched.nrrd")
            return {"request": "refine", "probability": chances, "touched": folder / "touched.nrrd"}

        self._send(contour, touched, fields, listener)

    def copy_and_fit(self, contour: Contour, source: int, target: int, listener: Listener) -> None:
        """Put the contour of a slice on another and fit it to the CT there.

        The slices are numbered from 0 along the slice axis of the engine's mask. Raises InputError: the first slice
        has no contour, and what `propagate` does.
        """
        box, _grid = as_it_stands(contour)
        if not box.part((box.start[0], box.start[1], source), (*box.size[:2], 1)).any():
            raise InputError(_("The slice in the axial view has no contour to copy. Go to one that has."))

        def fields(_folder: Path, _grid: Grid) -> Mapping[str, Any]:
            return {"request": "copy-and-fit", "from_slice": source, "to_slice": target}

        self._send(contour, touched_of(contour), fields, listener)

    def cancel(self) -> None:
        """Stop; the listener hears of a failure with code 130, and the contour stays as it is."""
        if self.busy:
            self._engine.cancel()

    def forget(self) -> None:
        """The engine is gone: nobody hears of the correction any more, and its files go."""
        if self._errand is not None:
            self._errand.clear_away()

    def _send(
        self,
        contour: Contour,
        touched: Touched,
        fields: Callable[[Path, Grid], Mapping[str, Any]],
        listener: Listener,
    ) -> None:
        """Write what the engine reads, and ask it."""
        temporary = temporary_folder(self._working_folder)
        folder = Path(temporary.name)
        try:
            box, grid = as_it_stands(contour)
            write_mask(contour, folder / "mask.nrrd")
            source = _source(contour, folder)
            expect_drawn_on(contour, source.series_uid)
            common = {
                "ct": source.paths,
                "series": source.series_uid,
                "mask": folder / "mask.nrrd",
                "output": folder / "result",
            }
            errand = _Errand(contour, box.cropped(), grid, touched, listener, temporary, self._ended)
            self._engine.correct({**common, **fields(folder, grid)}, errand)
        except Exception:
            temporary.cleanup()
            raise
        self._errand = errand

    def _ended(self) -> None:
        self._errand = None


class _Errand:
    """One correction on its way, and the files that exist only for it."""

    def __init__(
        self,
        contour: Contour,
        before: VoxelBox,
        grid: Grid,
        touched: Touched,
        listener: Listener,
        temporary: "tempfile.TemporaryDirectory[str]",
        ended: Callable[[], None],
    ) -> None:
        self._contour, self._before, self._grid, self._touched = contour, before, grid, touched
        self._listener = listener
        self._temporary = temporary
        self._ended = ended

    def progressed(self, step: str, _fraction: float, seconds_left: float | None) -> None:
        self._listener.correction_progressed(step, seconds_left)

    def finished(self, folder: Path | None) -> None:
        try:
            corrected = self._read(folder or Path(self._temporary.name) / "result")
        except Exception as error:  # noqa: BLE001 - the listener hears of it, whatever it is
            self.failed(failure_of(error))
        else:
            self.clear_away()
            self._listener.corrected(corrected)

    def failed(self, failure: Failure) -> None:
        self.clear_away()
        self._listener.correction_failed(failure)

    def clear_away(self) -> None:
        self._temporary.cleanup()
        self._ended()

    def _read(self, folder: Path) -> Corrected:
        result = read_correction(folder)
        mask, _own_grid = read_mask(result.mask)
        after = expect_meeting(mask.on_lattice(self._grid.ijk_to_ras)).cropped()
        corrected = Corrected(
            self._contour,
            self._before,
            after,
            self._touched,
            result.changed_slices,
            self._grid.voxel_ml,
            result.warnings,
        )
        if not corrected.fits:
            raise InputError(_("The contour was changed meanwhile, so nothing was done to it. Try again."))
        return corrected


def _source(contour: Contour, folder: Path) -> CtSource:
    """The CT as the engine reads it: in the way that gives it the grid of the contour."""
    if is_begun_by_hand(contour.segment):
        # No mask of the engine tells how it would count the slices of the files.
        return CtSource((write_ct(contour.volume, folder),), None)
    return source_of(contour.volume, folder)
