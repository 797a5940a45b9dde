"""The panel's phrases: every step of the engine has one, numbers read well."""

import pytest
from BladderAutoContourLib.pipeline.steps import USUAL_SHARES
from BladderAutoContourLib.slicer.panel.words import (
    change_words,
    confidence_words,
    origin_words,
    slices_words,
    step_words,
    time_left_words,
    touched_words,
)


def test_every_step_of_the_engine_has_words_of_its_own():
    phrases = [step_words(step) for step in ("load", *USUAL_SHARES)]
    assert len(set(phrases)) == len(phrases)
    assert step_words("a step of a later version") not in phrases


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.2, "about 1 s left"),
        (59.4, "about 59 s left"),
        (61, "about 1 min left"),
        (200, "about 3 min left"),
    ],
)
def test_time_left(seconds, words):
    assert time_left_words(seconds) == words


@pytest.mark.parametrize(("confidence", "word"), [(0.99, "high"), (0.95, "high"), (0.9, "moderate"), (0.7, "low")])
def test_confidence(confidence, word):
    assert f": {word} ({100 * confidence:.0f} %)" in confidence_words(confidence)


def test_nothing_is_certain():
    assert "(99 %)" in confidence_words(0.9982)
    assert "(99 %)" in confidence_words(1.0)
    assert "moderate (94 %)" in confidence_words(0.9499)


def test_where_it_was_computed():
    assert "graphics card, GPU (NVIDIA RTX A2000)," in origin_words("GPU (NVIDIA RTX A2000), bfloat16", "m")
    assert "processor (CPU)" in origin_words("CPU, float32", "m")


def test_slices():
    assert [slices_words(0), slices_words(1), slices_words(7), slices_words(7, 0)] == [
        "",
        "1 slice",
        "7 slices",
        "1 of 7",
    ]


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        ((), "Corrected by hand."),
        ((7,), "Corrected by hand in slices 7."),
        ((7, 8), "Corrected by hand in slices 7-8."),
        ((0, 3, 4, 5, 9), "Corrected by hand in slices 0, 3-5, 9."),
    ],
)
def test_touched_slices(slices, words):
    assert touched_words(slices) == words


def test_changes_of_a_slice_have_a_sign():
    assert [change_words(ml) for ml in (0.816, -1.2)] == ["+0.82 mL", "-1.20 mL"]
