"""From probabilities to a contour, or to none: one part, no holes, no specks at its ends, sure and large enough."""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..errors import NoBladderError
from ..imaging.components import bounding_box, fill_holes, heaviest
from ..imaging.volume import Volume
from ..networks.plan import DecisionPlan

THRESHOLD = np.float32(0.5)
JUST_BELOW = np.nextafter(THRESHOLD, np.float32(0.0))
LEAST_END_MM2 = 25.0
"""What the first and the last slice of a contour hold at least: a disc of 5.6 mm. A speck is no end of a bladder that a
planner would draw, and the likeliest slice to be wrong."""
_SUREST = 1e-4  # a mean probability of 1 has no finite logit
Numbers = TypeVar("Numbers", float, np.ndarray)

NOTHING_SEEN = (
    "No bladder was found in this CT, so no contour was written. Check that the series shows the pelvis from "
    "side to side, and that its values are Hounsfield units (those of cone beam CT often are not); where it does, "
    "contour the bladder by hand."
)


@dataclass(frozen=True)
class Decision:
    """mask: uint8; probability: float32, at least 0.5 exactly where the mask is 1; both on the CT's grid."""

    mask: Volume
    probability: Volume
    confidence: float
    volume_ml: float


def decide(probability: Volume, evidence: float, plan: DecisionPlan) -> Decision:
    """Keep the part with the most probability mass, close its holes, leave out specks at its ends, and judge it.

    evidence: mean probability inside the contour, before calibration. The probability's array is changed in place.
    Raises NoBladderError: nothing at 0.5, too small, or not sure enough.
    """
    confidence = calibrated(evidence, plan)
    # where the probability is not 0: a fraction of a CT, and the rest of it need not be looked at again
    box = bounding_box(probability.array)
    if box is None:
        raise NoBladderError(NOTHING_SEEN)
    part = probability.array[box]
    found = without_end_specks(part, single_solid_part(part), probability.geometry.pixel_mm2)
    volume_ml = float(np.count_nonzero(found)) * probability.geometry.voxel_ml
    if volume_ml == 0:
        raise NoBladderError(NOTHING_SEEN)
    if volume_ml < plan.minimum_volume_ml:
        raise NoBladderError(
            f"What resembles a bladder in this CT holds only {floored(volume_ml, 1)} mL (less than "
            f"{plan.minimum_volume_ml:g} mL), so no contour was written. Contour a collapsed bladder by hand.",
            confidence=confidence,
        )
    if confidence < plan.minimum_confidence:
        raise NoBladderError(
            f"No bladder was found with enough certainty (confidence {floored(confidence, 2)}, at least "
            f"{plan.minimum_confidence:.2f} is needed), so no contour was written. Check that the series covers the "
            "pelvis; where it does, contour the bladder by hand.",
            confidence=confidence,
        )
    agree(part, found)
    mask = np.zeros(probability.array.shape, dtype=np.uint8)
    mask[box] = found
    return Decision(
        mask=Volume(mask, probability.geometry),
        probability=probability,
        confidence=confidence,
        volume_ml=volume_ml,
    )


def floored(number: float, digits: int) -> str:
    """A number of 0 or more with so many decimals, never rounded up: what is less than something is told as less."""
    return f"{math.floor(number * 10**digits) / 10**digits:.{digits}f}"


def calibrated(evidence: float, plan: DecisionPlan) -> float:
    """The evidence as the probability that a bladder was found (a logistic curve over its logit); 0 without any."""
    if evidence <= 0:
        return 0.0
    return 1 / (1 + math.exp(-(plan.calibration_slope * logit(evidence) + plan.calibration_offset)))


def logit(probability: Numbers, least: float = _SUREST) -> Numbers:
    """Log odds of one probability or many; what is nearer than `least` to 0 or 1 counts as so near, and is finite."""
    clamped = np.clip(probability, least, 1 - least)
    return np.log(clamped / (1 - clamped))


def single_solid_part(probability: np.ndarray) -> np.ndarray:
    """The part of `probability` at 0.5 and above with the most mass, without holes; boolean (z, y, x)."""
    return fill_holes(heaviest(probability >= THRESHOLD, probability))


def without_end_specks(probability: np.ndarray, mask: np.ndarray, pixel_mm2: float) -> np.ndarray:
    """The mask, a single solid part (z, y, x), without slices of less than LEAST_END_MM2 at its ends; empty where all
    are that small. One part it stays: slices that hang together by a speck alone are told apart by `probability`.
    """
    enough = np.flatnonzero(np.count_nonzero(mask, axis=(1, 2)) * pixel_mm2 >= LEAST_END_MM2)
    kept = np.zeros_like(mask)
    if enough.size:
        drawn = slice(enough[0], enough[-1] + 1)
        kept[drawn] = heaviest(mask[drawn], probability[drawn])
    return kept


def agree(probability: np.ndarray, mask: np.ndarray) -> None:
    """Change `probability` in place so that it is at least 0.5 exactly on `mask`.

    A filled or a discarded voxel takes the mirrored value, 1 - p: as far on the right side as it was on the wrong one.
    """
    box = bounding_box((probability >= THRESHOLD) | mask)
    if box is None:
        return
    part, kept = probability[box], mask[box]
    filled = kept & (part < THRESHOLD)
    discarded = ~kept & (part >= THRESHOLD)
    part[filled] = np.maximum(1 - part[filled], THRESHOLD)
    part[discarded] = np.minimum(1 - part[discarded], JUST_BELOW)
