"""The panel's export: a last look, one confirmation, and a line on what came of it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ...errors import BladderError, Cancelled
from ..export.destinations import Destination
from ..export.structure_set import NotFromDicomError, StructureNames, save_segmentation
from ..logic import Logic
from ..process.messages import Failure
from ..scene.segmentation import Contour
from .export_dialog import ExportDialog
from .words import progress_words

SEGMENTATION_SUFFIX = ".seg.nrrd"


@dataclass(frozen=True)
class _ConfirmedExport:
    """An export that was confirmed. whose: CT and contour, as the clinician knows them."""

    contour: Contour
    whose: str
    promise: str


class ExportSection:
    """Exports the contour that is shown.

    `changed` is called when an export begins and when it ends.

    Usage::

        section = ExportSection(ui, logic, changed=panel.refresh_buttons)
        section.show(contour)
        section.show_ready(missing=None)
    """

    def __init__(self, ui: object, logic: Logic, changed: Callable[[], None]) -> None:
        self._ui, self._logic, self._changed = ui, logic, changed
        self._contour: Contour | None = None
        self.dialog: ExportDialog | None = None
        self._confirmed: _ConfirmedExport | None = None
        ui.exportButton.clicked.connect(lambda: self._look())
        ui.stopExportButton.clicked.connect(lambda: self._logic.cancel())
        ui.saveButton.clicked.connect(lambda: self._save())
        self._say("")

    def show(self, contour: Contour | None) -> None:
        """Export this contour; what became of another one is no longer said."""
        if contour != self._contour:
            self._contour = contour
            self._say("")

    def show_ready(self, missing: str | None) -> None:
        """missing: what stands in the way of an export, a sentence; None where nothing does."""
        running = self._logic.exporting
        self._ui.exportButton.setVisible(not running)
        self._ui.stopExportButton.setVisible(running)
        self._ui.exportButton.setEnabled(missing is None)
        self._ui.exportButton.toolTip = missing or _(
            "Write the contour as a DICOM structure set: to a folder, into Slicer's DICOM database, or to a DICOM "
            "node such as the planning system. You see once more what will be written, and confirm it."
        )

    # what the engine tells of an export

    def progressed(self, step: str, fraction: float, seconds_left: float | None) -> None:
        """The engine is at work."""
        self._tell(progress_words(step, seconds_left))

    def finished(self, file: Path | None) -> None:
        """The structure set is where it should be."""
        done = _("Done: {what}").format(what=self._confirmed.promise)
        self._tell(_("Exported to {file}").format(file=file) if file else done)
        self._changed()

    def failed(self, failure: Failure) -> None:
        """Nothing was exported."""
        cancelled = _("Cancelled. Nothing was exported.")
        self._tell(cancelled if failure.code == Cancelled.code else failure.sentence)
        self._changed()

    def _tell(self, outcome: str) -> None:
        """Say what became of the export; whose it was, where another contour is shown by now."""
        if self._confirmed.contour != self._contour:
            outcome = _("{whose}: {outcome}").format(whose=self._confirmed.whose, outcome=outcome)
        self._say(outcome)

    def _look(self) -> None:
        contour = self._contour
        try:
            look = self._logic.look(contour)
        except NotFromDicomError as reason:
            self._say(reason.message)
            self._ui.saveButton.setVisible(True)
        except BladderError as error:
            self._say(error.message)
        else:
            # What was looked at is what is exported, whatever is shown by the time of the confirmation.
            export = functools.partial(self._export, contour, f"{contour.volume.GetName()}, {look.contour}")
            self.dialog = ExportDialog(look, export, slicer.util.mainWindow())
            self.dialog.open()

    def _export(self, contour: Contour, whose: str, names: StructureNames, destination: Destination) -> None:
        self._confirmed = _ConfirmedExport(contour, whose, destination.promise)
        self._tell(_("Writing the structure set..."))
        try:
            self._logic.export(contour, names, destination, self)
        except BladderError as error:
            self._tell(error.message)
        self._changed()

    def _save(self) -> None:
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(),
            _("Save the contour as a segmentation"),
            f"Bladder{SEGMENTATION_SUFFIX}",  # the segmentation's name may hold the patient's
            _("Segmentation (*.seg.nrrd)"),
        )
        if not path:
            return
        file = Path(path)
        if not path.endswith(SEGMENTATION_SUFFIX):  # the dialog has asked for the name that it knew, not for this one
            file = Path(path + SEGMENTATION_SUFFIX)
            question = _("{file} is there already. Replace it?").format(file=file)
            if file.exists() and not slicer.util.confirmYesNoDisplay(question, windowTitle=_("Replace the file")):
                return
        try:
            save_segmentation(self._contour, file)
        except BladderError as error:
            self._say(error.message)
        else:
            self._say(_("Saved as {file}").format(file=file))

    def _say(self, text: str) -> None:
        self._ui.exportOutcomeLabel.text = text
        self._ui.exportOutcomeLabel.setVisible(bool(text))
        self._ui.saveButton.setVisible(False)
