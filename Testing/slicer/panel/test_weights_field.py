"""Weights of the user's own: what is used is what the field names, however long the look at a file takes."""

from pathlib import Path

import pytest
from BladderAutoContourLib.slicer.panel import settings
from clinic import Clinician

LOOKING, USED = "Looking at these weights...", "These weights are used."


@pytest.fixture
def looking(clinician, weights) -> Clinician:
    """A clinician who has just chosen weights."""
    clinician.open()
    clinician.ui.weightsEdit.currentPath = str(weights)
    assert clinician.ui.weightsStateLabel.text == LOOKING
    return clinician


@pytest.mark.parametrize(("text", "said"), [("", ""), ("no such file", "There is no such file.")])
def test_a_look_that_was_overtaken_decides_nothing(looking, text, said):
    ui, check = looking.ui, looking.panel.logic._check
    ui.weightsEdit.currentPath = text
    looking.wait_until(lambda: check._child.gone)
    looking.settle()
    assert ui.weightsStateLabel.text == said
    assert settings.load().weights is None


def test_the_field_decides_though_the_answer_was_on_its_way(looking, weights):
    ui, section = looking.ui, looking.panel._advanced
    ui.weightsEdit.currentPath = ""
    section.accept_weights(weights)
    section.refuse_weights(weights, "It is too late.")
    assert ui.weightsStateLabel.text == ""
    assert settings.load().weights is None


def test_a_look_goes_on_when_the_module_is_shown_again(looking, weights):
    ui = looking.ui
    looking.leave()
    assert ui.weightsStateLabel.text == LOOKING
    looking.open()
    looking.wait_until(lambda: ui.weightsStateLabel.text == USED)
    assert settings.load().weights == Path(weights)
