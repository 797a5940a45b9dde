"""The panel's corrections that go on by themselves: propagated to other slices, or copied to the next one."""

from collections.abc import Callable, Sequence

import qt
from slicer.i18n import tr as _

from ...errors import BladderError, Cancelled, InputError
from ..logic import Logic
from ..process.messages import Failure
from ..scene.outcome import news
from ..scene.proposal import Corrected, Proposal
from ..scene.segmentation import Contour, SaveState
from ..scene.slices import go_to_slice, neighbour, shown_slice
from .table_height import TableHeight
from .words import change_words, corrected_words, progress_words, proposal_words, step_words, ways_words

SLICE, CHANGE = 0, 1
MOST_PIXELS = 160
FEW_SLICES = 2


class CorrectionsSection:
    """Sends corrections to the engine, shows what follows from them, and takes it over when the user accepts.

    `save_state` is called before the contour is changed, `changed` when a correction begins and when it ends.

    Usage::

        section = CorrectionsSection(ui, logic, save_state=editor.save_state, changed=panel.refresh_buttons)
        section.show(contour, touched=(41, 42))
        section.show_ready(missing=None)
    """

    def __init__(self, ui: object, logic: Logic, save_state: SaveState, changed: Callable[[], None]) -> None:
        self._ui, self._logic, self._save_state, self._changed = ui, logic, save_state, changed
        self._contour: Contour | None = None
        self._touched: Sequence[int] = ()
        self._copied_to: int | None = None
        self._proposal: Proposal | None = None
        self._height = TableHeight(ui.proposalTable, MOST_PIXELS)
        header = ui.proposalTable.horizontalHeader()
        header.setSectionResizeMode(SLICE, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(CHANGE, qt.QHeaderView.ResizeToContents)
        ui.proposalTable.cellClicked.connect(self._go_to_row)
        ui.propagateButton.clicked.connect(lambda: self._propagate())
        ui.stopButton.clicked.connect(lambda: self._logic.cancel())
        ui.copyUpButton.clicked.connect(lambda: self._copy(up=True))
        ui.copyDownButton.clicked.connect(lambda: self._copy(up=False))
        ui.acceptButton.clicked.connect(lambda: self._accept())
        ui.discardButton.clicked.connect(lambda: self._discard())
        self._say("")
        self._show_proposal()

    def show(self, contour: Contour | None, touched: Sequence[int]) -> None:
        """Correct this contour, as it stands now. touched: the slices of it that a hand corrected.

        A proposal goes that was made for another contour, or from other corrections.
        """
        if contour != self._contour:
            # Where the contour has gone from the scene, nobody can propagate it again.
            missed = self._proposal is not None and self._contour.volume is not None
            dropped = _("Another CT or contour was shown, so the proposal was dropped. Propagate again.")
            self._contour = contour
            self._say(dropped if missed else "")
            self._drop_proposal()
        self._touched = touched
        if self._proposal is not None and not self._proposal_fits():
            self._drop_proposal()
            self._say(_("The contour was changed after the proposal was made. Propagate again."))

    def show_ready(self, missing: str | None) -> None:
        """missing: what stands in the way of a correction, a sentence; None where nothing does."""
        ui, running = self._ui, self._logic.correcting
        ui.propagateButton.setVisible(not running)
        ui.stopButton.setVisible(running)
        untouched = _("Correct a slice or two first: paint, erase or draw, in any view.")
        why_not = missing or (None if self._touched else untouched)
        ui.propagateButton.setEnabled(why_not is None)
        ui.propagateButton.toolTip = why_not or _(
            "Carry what you corrected on a few slices, in any view, on to the slices around them. You see a proposal "
            "first."
        )
        for button in (ui.copyUpButton, ui.copyDownButton):
            button.setEnabled(missing is None)

    def close(self) -> None:
        """The panel or the scene goes away, and what was proposed with it."""
        self._drop_proposal()

    # what the logic tells of a correction

    def correction_progressed(self, step: str, seconds_left: float | None) -> None:
        """The engine is at work."""
        self._say(progress_words(step, seconds_left))

    def corrected(self, corrected: Corrected) -> None:
        """The engine is done: a copy is taken over at once, a propagation is proposed."""
        if corrected.contour != self._contour:
            self._say(_("You chose another contour meanwhile, so the correction was dropped."))
        elif not corrected.changed_slices:
            self._say("\n".join(filter(None, [self._nothing_words(corrected), _news(corrected)])))
        elif self._copied_to is None:
            self._say(_news(corrected))
            self._proposal = Proposal(corrected)
            self._show_proposal()
        else:
            self._say(ways_words(corrected.warnings))
            corrected.take_over(self._save_state)
            go_to_slice(corrected.contour, self._copied_to)
        self._changed()

    def _nothing_words(self, corrected: Corrected) -> str:
        """Why a correction changes nothing."""
        touched = corrected.touched.whole
        if self._copied_to is None and len(corrected.undecided_slices) <= FEW_SLICES < len(touched):
            return _(
                "Nothing changes: nearly all slices of this contour count as corrected by hand. If smoothing or "
                "scissors changed them, undo that, propagate, then smooth."
            )
        return _("Nothing changes: the contour fits already, and what you drew or erased stays.")

    def correction_failed(self, failure: Failure) -> None:
        """The contour stays as it was."""
        self._say(
            _("Cancelled. The contour is as you left it.") if failure.code == Cancelled.code else failure.sentence
        )
        self._changed()

    # what the user asks for

    def _propagate(self) -> None:
        self._copied_to = None
        self._begin(lambda: self._logic.propagate(self._contour, self))

    def _copy(self, up: bool) -> None:
        self._begin(lambda: self._copy_from_shown(up))

    def _copy_from_shown(self, up: bool) -> None:
        source = shown_slice(self._contour)
        if source is None:
            raise InputError(_("The axial view shows no slice of this CT. Go to one on which the bladder is drawn."))
        target = neighbour(self._contour, source, up)
        if target is None:
            raise InputError(_("The CT ends here: there is no slice to copy to."))
        self._copied_to = target
        self._logic.copy_and_fit(self._contour, source, target, self)

    def _begin(self, begin: Callable[[], None]) -> None:
        self._drop_proposal()
        self._say(step_words("correct"))
        try:
            begin()
        except BladderError as error:
            self._say(error.message)
        self._changed()

    def _accept(self) -> None:
        proposal, self._proposal = self._proposal, None
        if proposal is None:
            return
        try:
            if proposal.corrected.fits:
                proposal.accept(self._save_state)
                self._say(ways_words(proposal.corrected.warnings))  # the other warnings now stand with the result
            else:
                self._say(_("The contour was changed after the proposal was made. Propagate again."))
        except InputError as error:
            self._say(error.message)
        proposal.discard()
        self._show_proposal()

    def _discard(self) -> None:
        self._drop_proposal()
        self._say("")  # what was said was said of the proposal

    def _drop_proposal(self) -> None:
        proposal, self._proposal = self._proposal, None
        if proposal is not None:
            proposal.discard()
            self._show_proposal()

    def _proposal_fits(self) -> bool:
        try:
            return self._proposal.is_shown and self._proposal.corrected.fits
        except InputError:
            return False

    def _show_proposal(self) -> None:
        ui = self._ui
        ui.proposalFrame.setVisible(self._proposal is not None)
        if self._proposal is None:
            return
        corrected = self._proposal.corrected
        ui.proposalLabel.text = proposal_words(len(corrected.changed_slices))
        ui.proposalTable.setRowCount(len(corrected.changed_slices))
        for row, number in enumerate(corrected.changed_slices):
            ui.proposalTable.setItem(row, SLICE, qt.QTableWidgetItem(_("Slice {number}").format(number=number)))
            ui.proposalTable.setItem(row, CHANGE, qt.QTableWidgetItem(change_words(corrected.change_ml(number))))
        self._height.fit()

    def _go_to_row(self, row: int, _column: int) -> None:
        try:
            go_to_slice(self._contour, self._proposal.corrected.changed_slices[row])
        except InputError as error:
            self._say(error.message)

    def _say(self, text: str) -> None:
        self._ui.correctionLabel.text = text
        self._ui.correctionLabel.setVisible(bool(text))


def _news(corrected: Corrected) -> str:
    """How a correction was computed, and what the engine says of the contour but did not of the automatic one."""
    found = corrected_words(news(corrected.contour, corrected.warnings))
    return "\n".join(filter(None, [ways_words(corrected.warnings), found]))
