"""What the engine says of a corrected contour is read by the clinician: new warnings, and that it went another way."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from BladderAutoContourLib.pipeline.fallback import LESS_MEMORY, ON_PROCESSOR
from BladderAutoContourLib.slicer.panel import settings
from BladderAutoContourLib.slicer.scene.outcome import outcome_of, told_of
from BladderAutoContourLib.slicer.scene.segmentation import Contour, contours_of
from BladderAutoContourLib.slicer.scene.slices import go_to_slice
from clinic import Clinician, add_volume, show
from small_engine import water_scene
from standin.segment_editor import paint

TRUTH = water_scene()[1]
MIDDLE = int(np.flatnonzero(TRUTH.any(axis=(1, 2))).mean())
TESTING = Path(__file__).resolve().parents[2]
FULL_CARD = """\
import contextlib, sys, threading
sys.path += [{testing!r}]
from pretend_card import pretended_card
card, run = pretended_card(cap_bytes=1), threading.Thread.run
card.__enter__()
def run_with_card(thread):
    with pretended_card(cap_bytes=1) if thread.name == "requests" else contextlib.nullcontext():
        run(thread)
threading.Thread.run = run_with_card
"""
"""Run by the engine's Python before anything else: this machine has a graphics card that others have filled.

What stands for the card is each thread's own; the engine loads on one and computes on another."""
CUT = "The bladder reaches the end of the scan"
LOOK = "Look at these before you use the corrected contour:"


def contoured(clinician: Clinician, ct_folder: Path) -> Contour:
    """The contour of a CT, the section of corrections open."""
    ct = clinician.contoured(ct_folder)
    clinician.ui.correctSection.collapsed = False
    (contour,) = contours_of(ct)
    return contour


def stroke(clinician: Clinician, *slices: int) -> None:
    """Make the organ wider on these slices, as that of the middle is."""
    mask = np.zeros(TRUTH.shape, bool)
    for number in slices:
        mask[number] = np.roll(TRUTH[MIDDLE], 3, axis=1)
    paint(clinician.ui.segmentEditor, mask)
    clinician.settle()


def correct(clinician: Clinician, button: object) -> str:
    """Press one of the buttons that correct; what the panel says at the end."""
    assert button.enabled
    button.click()
    clinician.wait_until(lambda: not clinician.panel.logic.correcting)
    clinician.settle()
    return clinician.ui.correctionLabel.text


def test_a_warning_that_only_the_corrected_contour_has_is_shown(quick_clinician, ct_folder):
    clinician, ui = quick_clinician, quick_clinician.ui
    contour = contoured(clinician, ct_folder)
    automatic = outcome_of(contour).warnings
    assert "bladder-cut" not in {warning.code for warning in automatic}
    stroke(clinician, MIDDLE)
    assert correct(clinician, ui.propagateButton) == "", "nothing that the automatic contour did not say"
    ui.discardButton.click()

    stroke(clinician, 0, 1)
    lines = correct(clinician, ui.propagateButton).splitlines()
    assert lines[0] == LOOK
    assert lines[1].startswith(f"{CUT}: part of it was not imaged")
    assert lines[1].endswith("Slices: 0.")
    assert not {warning.sentence for warning in automatic} & set(lines)
    assert ui.correctionLabel.isVisible()
    ui.discardButton.click()
    assert ui.correctionLabel.text == ""
    assert told_of(contour).warnings == automatic, "nobody has accepted it"
    correct(clinician, ui.propagateButton)
    ui.acceptButton.click()
    clinician.settle()
    assert ui.correctionLabel.text == ""
    last = len(automatic)
    assert clinician.cell("warningTable", last, 1).text().startswith(CUT)
    assert clinician.cell("warningTable", last, 1).font().bold()
    assert CUT in clinician.panel.logic.look(contour).unopened[-1], "the export asks for it"
    clinician.click_cell("warningTable", last, 1)
    assert CUT not in "".join(clinician.panel.logic.look(contour).unopened)

    ui.segmentEditor.undo()
    clinician.settle()
    assert ui.warningTable.rowCount == last, "undone with the correction"
    ui.segmentEditor.redo()
    clinician.settle()
    assert ui.warningTable.rowCount == last + 1
    go_to_slice(contour, MIDDLE)
    assert correct(clinician, ui.copyUpButton) == ""
    assert ui.warningTable.rowCount == last + 1, "it still is, and is told once"
    ui.restoreButton.click()
    clinician.settle()
    assert told_of(contour).warnings == automatic


def test_a_correction_of_an_organ_that_the_program_missed_has_its_warnings(quick_clinician):
    clinician, ui = quick_clinician, quick_clinician.ui
    clinician.open()
    ct = show(add_volume(water_scene()[0].array, "Missed"))
    clinician.settle()
    ui.beginButton.click()
    clinician.settle()
    stroke(clinician, 0, 1, 3)
    correct(clinician, ui.propagateButton)
    ui.acceptButton.click()
    clinician.settle()
    (contour,) = contours_of(ct)
    sentences = [warning.sentence for warning in told_of(contour).warnings]
    assert CUT in "".join(sentences)
    assert ui.warningTable.rowCount == len(sentences)
    assert ui.warningLabel.isVisible()
    assert told_of(contour).unopened == tuple(sentences)


@pytest.fixture
def full_card_clinician(app, weights, tmp_path, monkeypatch) -> Iterator[Clinician]:
    """A user whose graphics card others have filled."""
    (tmp_path / "sitecustomize.py").write_text(FULL_CARD.format(testing=str(TESTING)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    settings.save(settings.Settings("auto", weights))
    user = Clinician()
    yield user
    user.close()


def test_a_correction_that_was_not_computed_as_asked_says_so(full_card_clinician, ct_folder):
    clinician, ui = full_card_clinician, full_card_clinician.ui
    contour = contoured(clinician, ct_folder)
    assert ON_PROCESSOR in [warning.sentence for warning in outcome_of(contour).warnings]
    stroke(clinician, MIDDLE)
    assert correct(clinician, ui.propagateButton) == LESS_MEMORY, "without networks, less will do"
    ui.acceptButton.click()
    clinician.settle()
    go_to_slice(contour, MIDDLE)
    assert correct(clinician, ui.copyUpButton) == LESS_MEMORY
