"""The panel's big button, and what it sets going: Cancel, bar, step in words, time left, what went wrong, log."""

from collections.abc import Callable

from slicer.i18n import tr as _

from ..logic import Job
from .words import step_words, time_left_words


class RunSection:
    """Shows whether something can be contoured, how far it is, and what went wrong.

    Usage::

        section = RunSection(ui, contour=panel.contour, cancel=logic.cancel)
        section.show_ready(missing=None)
        section.show_running(job, number=1, total=2)
    """

    def __init__(self, ui: object, contour: Callable[[], None], cancel: Callable[[], None]) -> None:
        self._ui = ui
        ui.contourButton.clicked.connect(lambda: contour())
        ui.cancelButton.clicked.connect(lambda: cancel())
        self.show_message("")
        self.show_ready(_("Load a CT first."))

    def show_ready(self, missing: str | None) -> None:
        """Nothing runs. missing: what stands in the way of contouring, a sentence; None where nothing does."""
        ui = self._ui
        ui.contourButton.setVisible(True)
        ui.contourButton.setEnabled(missing is None)
        ui.contourButton.toolTip = missing or _("Find and contour the bladder in the CTs that are ticked.")
        for widget in (ui.cancelButton, ui.progressBar, ui.stepLabel):
            widget.setVisible(False)

    def show_running(self, job: Job, number: int, total: int) -> None:
        """A CT is at work, the `number`-th of `total`."""
        ui = self._ui
        ui.contourButton.setVisible(False)
        for widget in (ui.cancelButton, ui.progressBar, ui.stepLabel):
            widget.setVisible(True)
        ui.progressBar.value = round(100 * job.share)
        parts = [step_words(job.step or "load"), time_left_words(job.seconds_left)]
        if total > 1:
            parts.insert(0, _("CT {number} of {total}").format(number=number, total=total))
        ui.stepLabel.text = ", ".join(part for part in parts if part)

    def show_message(self, text: str) -> None:
        """Say what went wrong and what to do; nothing is said by an empty text."""
        self._ui.messageLabel.text = text
        self._ui.messageLabel.setVisible(bool(text))

    def log(self, line: str) -> None:
        """Add a line to the log."""
        self._ui.logText.appendPlainText(line)
