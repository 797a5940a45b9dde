"""Slicer's DICOM export dialog waits for a structure set: a progress window with Cancel, everything else alive."""

import time
from collections.abc import Callable
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..process.engine_process import EngineProcess
from .structure_set import StructureSetExport

STEP_SECONDS = 0.05


class PluginEngine:
    """An engine that lives for one export of the DICOM module.

    Usage::

        engine = PluginEngine(python, Path(slicer.app.temporaryPath), logging.info)
        export_plugin.register(engine.export, engine.wait)
    """

    def __init__(self, python: Path, working_folder: Path, log: Callable[[str], None]) -> None:
        self._python, self._working_folder, self._log = python, working_folder, log
        self._engine: EngineProcess | None = None
        self._export: StructureSetExport | None = None

    def export(self) -> StructureSetExport:
        """What takes a contour to its destination; no process runs before it has something to do.

        Busy where an export is waited for already: while the window is alive, Slicer's dialog can ask for another.
        """
        if self._export is None or not self._export.busy:
            self._engine = EngineProcess(self._python, self._log)
            self._export = StructureSetExport(self._engine, self._working_folder)
        return self._export

    def wait(self, step: Callable[[], bool], cancel: Callable[[], None]) -> None:
        """Call `step` until it is true; `cancel` once, when the user presses Cancel. Then the engine ends."""
        # Slicer's own dialog is modal, and blocks every window that is not: Cancel too.
        window = slicer.util.createProgressDialog(maximum=0, labelText=_("Writing the structure set..."), modal=True)
        told = False
        try:
            while not step():
                slicer.app.processEvents()
                if window.wasCanceled and not told:
                    told = True
                    cancel()
                time.sleep(STEP_SECONDS)
        finally:
            window.close()
            self._engine.close()
            self._export = None
