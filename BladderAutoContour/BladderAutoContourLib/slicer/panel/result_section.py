"""The panel's result of one CT: volume, certainty, where it was computed, and the warnings."""

from collections.abc import Callable, Sequence

from slicer.i18n import tr as _

from ...errors import InputError
from ..scene.outcome import Outcome, outcome_of, remember_opened, told_of, volume_ml
from ..scene.segmentation import Contour, is_edited
from ..scene.slices import go_to_slice
from ..scene.touched import touched_slices
from .warning_list import WarningList
from .words import before_words, confidence_words, origin_words, touched_words


class ResultSection:
    """Shows the chosen contour of a CT; where the CT has several, a box chooses.

    `chosen` is called when the user takes another contour from the box, `tell` gets what went wrong, a sentence.

    Usage::

        section = ResultSection(ui, chosen=panel.show_contour, tell=panel.show_message)
        section.show(contours_of(ct))
        section.contour      # the one that is corrected and exported
        section.touched      # the slices of it that a hand corrected
        section.volume_ml    # what it holds
    """

    def __init__(self, ui: object, chosen: Callable[[], None], tell: Callable[[str], None]) -> None:
        self._ui = ui
        self._chosen, self._tell = chosen, tell
        self._contours: list[Contour] = []
        self._filling = False
        self.touched: tuple[int, ...] = ()
        self.volume_ml = 0.0
        self._warnings = WarningList(ui.warningTable, opened=self._open, jump=self._jump)
        ui.contourBox.currentIndexChanged.connect(lambda: self._box_changed())
        self.show([])

    @property
    def contour(self) -> Contour | None:
        """The contour that is shown; None where there is none."""
        number = self._ui.contourBox.currentIndex
        return self._contours[number] if 0 <= number < len(self._contours) else None

    @property
    def outcome(self) -> Outcome | None:
        """What the program told of it."""
        return outcome_of(self.contour) if self.contour else None

    def show(self, contours: Sequence[Contour], chosen: Contour | None = None) -> None:
        """Show a CT's contours and choose one: `chosen`, else the one that was chosen before, else the newest."""
        wanted = [contour for contour in (chosen, self.contour) if contour in contours]
        self._contours = list(contours)
        self._fill_box(self._contours.index(wanted[0]) if wanted else len(contours) - 1)
        self.refresh()

    def refresh(self) -> None:
        """Show the contour as it stands now, corrections included."""
        ui, contour, outcome = self._ui, self.contour, self.outcome
        self.touched = _touched(contour)
        self.volume_ml = volume_ml(contour) if contour else 0.0
        ui.resultSection.setVisible(contour is not None)
        if contour is None:
            return
        ui.volumeLabel.text = _("{volume} mL").format(volume=f"{self.volume_ml:.0f}")
        ui.correctedLabel.setVisible(is_edited(contour))
        automatic_ml = outcome.volume_ml if outcome else None
        ui.correctedLabel.text = f"{touched_words(self.touched)} {before_words(automatic_ml)}"
        for label in (ui.confidenceLabel, ui.originLabel):
            label.setVisible(outcome is not None)
        if outcome is not None:
            ui.confidenceLabel.text = confidence_words(outcome.confidence)
            ui.originLabel.text = origin_words(outcome.device, outcome.model_name)
        self._refresh_warnings()

    def _refresh_warnings(self) -> None:
        told, label = told_of(self.contour), self._ui.warningLabel
        label.text = _("Look at these before you use the contour:") if told.warnings else _("No warnings.")
        label.setVisible(bool(told.warnings) or self.outcome is not None)
        self._warnings.show(told.warnings, told.opened)

    def _fill_box(self, number: int) -> None:
        box, self._filling = self._ui.contourBox, True
        box.clear()
        for contour in self._contours:
            box.addItem(contour.segment.GetName())
        box.setCurrentIndex(number)
        box.setVisible(len(self._contours) > 1)
        self._filling = False

    def _box_changed(self) -> None:
        if not self._filling:
            self.refresh()
            self._chosen()

    def _open(self, sentence: str) -> None:
        try:
            remember_opened(self.contour, sentence)
            self._refresh_warnings()
        except InputError as error:
            self._tell(error.message)

    def _jump(self, slice_index: int) -> None:
        try:
            go_to_slice(self.contour, slice_index)
        except InputError as error:
            self._tell(error.message)


def _touched(contour: Contour | None) -> tuple[int, ...]:
    try:
        return touched_slices(contour) if contour else ()
    except InputError:  # the CT has gone or was changed: whoever wants to use the contour is told
        return ()
