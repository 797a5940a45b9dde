"""The panel's phrases for what the engine tells in names and numbers."""

import math
from collections.abc import Sequence

from slicer.i18n import tr as _

from ..process.result import FALLBACK, SliceWarning
from ..scene.touched import slice_numbers

HIGH_CONFIDENCE = 0.95
"""Above it, fewer than one contour in twenty should be of something else than the bladder."""
MODERATE_CONFIDENCE = 0.8


def step_words(step: str) -> str:
    """What the engine is doing, for a step's name; a name that is not known says as much as it can."""
    phrases = {
        "load": _("Starting"),
        "read": _("Reading the CT"),
        "localise": _("Finding the bladder"),
        "segment": _("Drawing the contour"),
        "restore": _("Fitting the contour to the CT's slices"),
        "decide": _("Checking the contour"),
        "structure-set": _("Writing the structure set"),
        "correct": _("Carrying the corrections on"),
        "picture": _("Drawing the overview"),
        "write": _("Saving the result"),
    }
    return phrases.get(step, _("Working"))


def time_left_words(seconds: float | None) -> str:
    """How much time is left; nothing while that is not known."""
    if seconds is None:
        return ""
    if seconds < 60:
        return _("about {seconds} s left").format(seconds=max(round(seconds), 1))
    return _("about {minutes} min left").format(minutes=round(seconds / 60))


def progress_words(step: str, seconds_left: float | None) -> str:
    """What the engine is doing, and how much time is left where that is known."""
    return ", ".join(filter(None, [step_words(step), time_left_words(seconds_left)]))


def confidence_words(confidence: float) -> str:
    """How certain the program is that it contoured the bladder."""
    percent = min(math.floor(100 * confidence), 99)  # nothing is certain
    if confidence >= HIGH_CONFIDENCE:
        return _("Certainty that this is the bladder: high ({percent} %).").format(percent=percent)
    if confidence >= MODERATE_CONFIDENCE:
        return _("Certainty that this is the bladder: moderate ({percent} %).").format(percent=percent)
    return _("Certainty that this is the bladder: low ({percent} %). It may be another structure.").format(
        percent=percent
    )


def origin_words(device: str, model: str) -> str:
    """Which part of the computer contoured, with which weights. device: as the report names it, "CPU, float32"."""
    if device.startswith("GPU"):
        return _("Contoured on the graphics card, {device}, with the weights {model}.").format(
            device=device.partition(",")[0], model=model
        )
    return _("Contoured on the processor (CPU) with the weights {model}.").format(model=model)


def severity_words(severity: str) -> str:
    """A warning's weight in a word."""
    return _("Check") if severity == "warning" else _("Note")


def slices_words(count: int, at: int | None = None) -> str:
    """How many slices a warning names; `at`: the one that is shown, from 0 on."""
    if count == 0:
        return ""
    if at is not None:
        return _("{number} of {count}").format(number=at + 1, count=count)
    return _("1 slice") if count == 1 else _("{count} slices").format(count=count)


def touched_words(slices: Sequence[int]) -> str:
    """Which slices a hand corrected."""
    if not slices:
        return _("Corrected by hand.")
    return _("Corrected by hand in slices {numbers}.").format(numbers=slice_numbers(slices))


def before_words(automatic_ml: float | None) -> str:
    """What the program drew before a hand corrected it; None: nothing."""
    if automatic_ml is None:
        return _("The program drew nothing.")
    return _("The automatic contour had {volume} mL.").format(volume=f"{automatic_ml:.0f}")


def proposal_words(changed: int) -> str:
    """What a proposal would do."""
    return _("Proposal: the yellow outline. It changes {slices}; yours stay as they are.").format(
        slices=slices_words(changed)
    )


def corrected_words(warnings: Sequence[SliceWarning]) -> str:
    """What the engine says of a corrected contour, a line each; nothing where it says nothing."""
    found = [_warning_words(warning) for warning in warnings]
    return "\n".join([_("Look at these before you use the corrected contour:"), *found]) if found else ""


def ways_words(warnings: Sequence[SliceWarning]) -> str:
    """How a correction was computed, where that is not as it was asked for."""
    return "\n".join(warning.sentence for warning in warnings if warning.code == FALLBACK)


def _warning_words(warning: SliceWarning) -> str:
    if not warning.slices:
        return warning.sentence
    return _("{sentence} Slices: {numbers}.").format(sentence=warning.sentence, numbers=slice_numbers(warning.slices))


def change_words(change_ml: float) -> str:
    """How much larger or smaller a slice becomes."""
    return _("{change} mL").format(change=f"{change_ml:+.2f}")
