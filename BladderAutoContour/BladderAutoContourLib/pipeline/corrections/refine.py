"""Corrections that propagate: the field of the disagreement moves the network's odds, the CRF-RNN draws the border."""

from dataclasses import dataclass, field

import numpy as np

from ...imaging.components import as_mask, bounding_box, components, fill_holes
from ...imaging.geometry import Triple
from ...imaging.volume import Volume, sparse_copy
from ..decide import JUST_BELOW, THRESHOLD, agree, logit
from ..suitability import LOWEST_HU
from .appearance import log_odds, smoothed
from .crf import Sharpen, crf_change
from .field import Field, Reach, disagreement
from .planes import box_that_matters, touched_planes

SUREST = 0.0025  # a prediction surer than this would outweigh every correction


@dataclass(frozen=True)
class Tuning:
    """How strongly each kind of evidence speaks; chosen on generated cases of the training family.

    mm_per_logit: how far from the expected outline the odds rise by e. appearance: weight of the CT numbers' odds.
    band_mm: where, around the expected outline, those count. crf: the share of the CRF-RNN's change that is taken.
    """

    reach: Reach = field(default_factory=Reach)
    mm_per_logit: float = 1.2
    appearance: float = 0.6
    band_mm: float = 8.0
    smooth_mm: float = 1.5
    crf: float = 1.0
    least_weight: float = 0.1


DEFAULT = Tuning()


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


def refine(
    ct: Volume, corrections: Corrections, sharpen: Sharpen, crf_spacing_mm: Triple, tuning: Tuning = DEFAULT
) -> Refinement:
    """Carry a clinician's corrections of a CT (HU) to what lies around them. Touched voxels stay as they are.

    Only what a correction reaches is computed anew, from the probability and from all that was ever touched; the rest
    of the mask stays. Without a touched voxel all of it does.
    """
    spacing_mm = ct.geometry.spacing_mm
    touched, mask = corrections.touched.array, as_mask(corrections.mask.array)
    probability = sparse_copy(corrections.probability.array, np.float32)
    predicted = bounding_box(probability, above=JUST_BELOW)
    box = box_that_matters(predicted, bounding_box(mask), bounding_box(touched), mask.shape, spacing_mm)
    changed: tuple[int, ...] = ()
    if box is not None:
        part = _Part(
            np.maximum(ct.array[box], LOWEST_HU), probability[box], mask[box] > 0, touched[box] > 0, spacing_mm
        )
        found, share = _solved(part, sharpen, crf_spacing_mm, tuning)
        share[part.decided] = found[part.decided]
        changed = _slices(found != part.drawn, first=box[0].start)
        mask[box], probability[box] = found, share
    return Refinement(
        mask=Volume(mask, ct.geometry),
        probability=Volume(probability, ct.geometry),
        touched_slices=_slices(touched),
        changed_slices=changed,
    )


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


def _solved(part: _Part, sharpen: Sharpen, crf_spacing_mm: Triple, tuning: Tuning) -> tuple[np.ndarray, np.ndarray]:
    """Mask and probability of the box."""
    planes = touched_planes(part.decided)
    if not planes:
        return part.drawn, part.probability
    expected = disagreement(part.probability >= THRESHOLD, part.drawn, planes, part.spacing_mm, tuning.reach)
    before = logit(part.probability, least=SUREST)
    unary = _evidence(part, expected, before, tuning)
    after = unary
    if tuning.crf:
        after = unary + tuning.crf * crf_change(unary, part.hu, part.spacing_mm, sharpen, crf_spacing_mm)
    after = before + expected.weight * (after - before)
    free = ~part.decided & (expected.weight >= tuning.least_weight)
    found = np.where(free, after > 0, part.drawn)
    found = _tidied(found, free, part.drawn & part.decided)
    probability = np.where(free, 1 / (1 + np.exp(-after)), part.probability).astype(np.float32)
    agree(probability, found)
    return found, probability


def _evidence(part: _Part, shape: Field, before: np.ndarray, tuning: Tuning) -> np.ndarray:
    """The unary logits: the network's, pulled towards the expected outline, and the CT's own along it."""
    expected = (-shape.distance_mm / tuning.mm_per_logit).clip(-12, 12)
    if tuning.appearance:
        hu = smoothed(part.hu, part.spacing_mm, tuning.smooth_mm)
        near = np.exp(-((shape.distance_mm / tuning.band_mm) ** 2))
        expected = expected + tuning.appearance * near * log_odds(hu, shape.distance_mm, part.decided)
    unary = before + shape.weight * (expected - before)
    unary[part.decided] = np.where(part.drawn[part.decided], 12.0, -12.0)
    return unary


def _tidied(found: np.ndarray, free: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Without loose parts and holes in what was solved; parts that a clinician drew in stay, whatever their size."""
    labels, parts = components(found, np.ones(found.shape, dtype=np.float32))
    if parts:
        kept = set(np.unique(labels[drawn]).tolist()) - {0} or {parts[0].label}
        kept.add(parts[0].label)
        found = found & (np.isin(labels, sorted(kept)) | ~free)
    return found | (fill_holes(found) & free)
