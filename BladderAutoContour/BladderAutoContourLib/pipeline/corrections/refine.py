"""Corrections that propagate: the field of the disagreement moves the network's odds, the CRF-RNN draws the border."""

from dataclasses import dataclass

import numpy as np

from ...imaging.components import as_mask, bounding_box, components, fill_holes, slice_parts
from ...imaging.geometry import Triple
from ...imaging.smoothing import smoothed
from ...imaging.volume import Volume, sparse_copy
from ..decide import JUST_BELOW, LEAST_END_MM2, THRESHOLD, agree, logit
from ..suitability import in_scale
from .appearance import log_odds
from .crf import Solve, crf_change
from .field import LEAST_WEIGHT, Field, Reach, disagreement
from .planes import box_that_matters, touched_planes

SUREST = 0.0025  # a prediction surer than this would outweigh every correction


MM_PER_LOGIT = 1.2
"""How far from the expected outline the odds rise by e. This and the next three: chosen on generated cases of the
training family."""
APPEARANCE = 0.6
"""Weight of the CT numbers' odds."""
BAND_MM = 8.0
"""Where, around the expected outline, those count."""
SMOOTH_MM = 1.5


@dataclass(frozen=True)
class Corrections:
    """What a clinician corrected; three volumes on the CT's grid.

    probability: what the network said, in [0, 1] (or an earlier refinement's: what it took over moves nothing twice).
    mask: the clinician's state. touched: not zero where a clinician decided, whole slices or voxels, painted in any
    view; `mask` is right there.
    """

    probability: Volume
    mask: Volume
    touched: Volume


@dataclass(frozen=True)
class Refinement:
    """mask: uint8; probability: float32, at least 0.5 exactly where the mask is 1; both on the CT's grid.

    touched_slices, changed_slices: axial slices (indices along z) that hold touched voxels, and those others whose mask
    is no longer the one that came in.
    """

    mask: Volume
    probability: Volume
    touched_slices: tuple[int, ...]
    changed_slices: tuple[int, ...]


def refine(ct: Volume, corrections: Corrections, solve: Solve, crf_spacing_mm: Triple) -> Refinement:
    """Carry a clinician's corrections of a CT (HU) to what lies around them. Touched voxels stay as they are.

    Only what a correction reaches is computed anew, from the probability and from all that was ever touched; the rest
    of the mask stays. Without a touched voxel all of it does.
    """
    spacing_mm = ct.geometry.spacing_mm
    touched, mask = corrections.touched.array, as_mask(corrections.mask.array)
    probability = sparse_copy(corrections.probability.array, np.float32)
    predicted = bounding_box(probability, above=JUST_BELOW)
    near = bounding_box(touched)
    ends = near is not None and _ends_organ(touched[near[0]], mask[near[0]], probability[near[0]])
    box = box_that_matters(predicted, bounding_box(mask), near, mask.shape, spacing_mm, ends)
    changed: tuple[int, ...] = ()
    if box is not None:
        part = _Part(in_scale(ct.array[box]), probability[box], mask[box] > 0, touched[box] > 0, spacing_mm)
        found, share = _solved(part, solve, crf_spacing_mm)
        share[part.decided] = found[part.decided]
        changed = _slices(found != part.drawn, first=box[0].start)
        mask[box], probability[box] = found, share
    return Refinement(
        mask=Volume(mask, ct.geometry),
        probability=Volume(probability, ct.geometry),
        touched_slices=_slices(touched),
        changed_slices=changed,
    )


def _ends_organ(touched: np.ndarray, mask: np.ndarray, probability: np.ndarray) -> bool:
    """Whether somebody emptied an axial slice that the network drew on: what lies beyond it may belong to nothing."""
    pairs = zip(touched, mask, probability, strict=True)
    return any(hand.any() and not drawn.any() and bool((p >= THRESHOLD).any()) for hand, drawn, p in pairs)


def _slices(where: np.ndarray, first: int = 0) -> tuple[int, ...]:
    return tuple((np.flatnonzero(where.max(axis=(1, 2)) > 0) + first).tolist())


@dataclass(frozen=True)
class _Part:
    """The box that matters of all that came in; arrays (z, y, x), spacing (x, y, z)."""

    hu: np.ndarray
    probability: np.ndarray
    drawn: np.ndarray
    decided: np.ndarray
    spacing_mm: Triple


def _solved(part: _Part, solve: Solve, crf_spacing_mm: Triple) -> tuple[np.ndarray, np.ndarray]:
    """Mask and probability of the box."""
    planes = touched_planes(part.decided)
    if not planes:
        return part.drawn, part.probability
    expected = disagreement(part.probability >= THRESHOLD, part.drawn, planes, part.spacing_mm, Reach())
    before = logit(part.probability, least=SUREST)
    unary = _evidence(part, expected, before)
    after = unary + crf_change(unary, part.hu, part.spacing_mm, solve, crf_spacing_mm)
    after = before + expected.weight * (after - before)
    free = ~part.decided & (expected.weight >= LEAST_WEIGHT)
    found = np.where(free, after > 0, part.drawn)
    found = _tidied(found, free, part.drawn & part.decided)
    found = _without_specks(found, free, part.spacing_mm[0] * part.spacing_mm[1])
    probability = np.where(free, 1 / (1 + np.exp(-after)), part.probability).astype(np.float32)
    agree(probability, found)
    return found, probability


def _evidence(part: _Part, shape: Field, before: np.ndarray) -> np.ndarray:
    """The unary logits: the network's, pulled towards the expected outline, and the CT's own along it."""
    hu = smoothed(part.hu, part.spacing_mm, SMOOTH_MM)
    near = np.exp(-((shape.distance_mm / BAND_MM) ** 2))
    expected = (-shape.distance_mm / MM_PER_LOGIT).clip(-12, 12)
    expected = expected + APPEARANCE * near * log_odds(hu, shape.distance_mm, part.decided)
    unary = before + shape.weight * (expected - before)
    unary[part.decided] = np.where(part.drawn[part.decided], 12.0, -12.0)
    return unary


def _tidied(found: np.ndarray, free: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Without loose parts and holes in what was solved.

    Parts that a clinician drew in stay, whatever their size, and those that go on beyond what corrections reach: to cut
    these there would leave half of them.
    """
    labels, parts = components(found, np.ones(found.shape, dtype=np.float32))
    if parts:
        kept = set(np.unique(labels[drawn]).tolist()) - {0} or {parts[0].label}
        kept |= {parts[0].label, *np.unique(labels[found & ~free]).tolist()}
        found = np.isin(labels, sorted(kept))
    return found | (fill_holes(found) & free)


def _without_specks(found: np.ndarray, free: np.ndarray, pixel_mm2: float) -> np.ndarray:
    """Without what was solved of a slice, hangs together with nothing else in it, and is too small for an end."""
    box = bounding_box(found)
    if box is None:
        return found
    labels = slice_parts(found[box])
    is_speck = np.bincount(labels.ravel()) * pixel_mm2 < LEAST_END_MM2
    is_speck[labels[~free[box]]] = False
    is_speck[0] = False
    found[box] &= ~is_speck[labels]
    return found
