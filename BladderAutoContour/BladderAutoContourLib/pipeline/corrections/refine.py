"""Corrections that propagate: the field of the disagreement moves the network's odds, the CRF-RNN draws the border."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ...imaging.components import bounding_box, components, fill_holes
from ...imaging.geometry import Triple
from ...imaging.volume import Volume
from ..decide import JUST_BELOW, THRESHOLD
from .appearance import log_odds, smoothed
from .distance import FARTHEST_MM
from .field import Field, Reach, disagreement
from .planes import TouchedPlanes, touched_planes

Sharpen = Callable[[torch.Tensor, np.ndarray, Triple], torch.Tensor]
"""The CRF-RNN: logits (1, 2, z, y, x), CT numbers (z, y, x), spacing (x, y, z) in mm to refined logits, by the same scale."""


@dataclass(frozen=True)
class Tuning:
    """How strongly each kind of evidence speaks; chosen on generated cases of the training family.

    mm_per_logit: how far from the expected outline the odds rise by e. appearance: weight of the CT numbers' odds.
    band_mm: where, around the expected outline, those count. crf: the share of the CRF-RNN's change that is taken.
    """

    reach: Reach = Reach()
    mm_per_logit: float = 1.2
    appearance: float = 0.6
    band_mm: float = 8.0
    smooth_mm: float = 1.5
    crf: float = 1.0
    least_weight: float = 0.1


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
    ct: Volume,
    probability: Volume,
    mask: Volume,
    touched: Volume,
    sharpen: Sharpen,
    crf_spacing_mm: Triple,
    tuning: Tuning = Tuning(),
) -> Refinement:
    """Carry a clinician's corrections to the slices around them.

    ct: HU. probability: what the network said. mask: the clinician's state. touched: not zero where a clinician
    decided, whole slices or voxels, painted in any view; those keep what `mask` says. All four on one grid. Without a
    touched voxel the mask comes back as it is.
    """
    drawn, decided = mask.array > 0, touched.array > 0
    seen = probability.array >= THRESHOLD
    slices = tuple(np.flatnonzero(decided.any(axis=(1, 2))).tolist())
    box = _box_that_matters(seen, drawn, decided, mask.geometry.spacing_mm)
    result, odds_out = drawn.copy(), probability.array.astype(np.float32)
    if box is not None:
        planes = touched_planes(decided[box])
        if planes:
            part = _Part(ct.array[box], odds_out[box], drawn[box], decided[box], ct.geometry.spacing_mm)
            result[box], odds_out[box] = _solved(part, planes, sharpen, crf_spacing_mm, tuning)
    odds_out[decided] = result[decided]
    changed = tuple(np.flatnonzero((result != drawn).any(axis=(1, 2))).tolist())
    return Refinement(
        Volume(result.astype(np.uint8), mask.geometry), Volume(odds_out, mask.geometry), slices, changed
    )


@dataclass(frozen=True)
class _Part:
    """The box that matters of all that came in; arrays (z, y, x), spacing (x, y, z)."""

    hu: np.ndarray
    probability: np.ndarray
    drawn: np.ndarray
    decided: np.ndarray
    spacing_mm: Triple


def _box_that_matters(
    seen: np.ndarray, drawn: np.ndarray, decided: np.ndarray, spacing_mm: Triple
) -> tuple[slice, ...] | None:
    organ = bounding_box(seen | drawn)
    where = bounding_box(decided)
    if organ is None or where is None:
        return None
    known = bounding_box(seen)
    parts = []
    for axis, step in enumerate(spacing_mm[::-1]):
        margin = 20.0
        if axis == 0 and (known is None or organ[0].start < known[0].start or organ[0].stop > known[0].stop):
            margin = 45.0
        low, high = organ[axis].start - margin / step, organ[axis].stop + margin / step
        low, high = max(low, where[axis].start - 45.0 / step), min(high, where[axis].stop + 45.0 / step)
        size = seen.shape[axis]
        parts.append(slice(max(0, int(low)), min(size, int(np.ceil(high)))))
    if any(part.stop <= part.start for part in parts):
        return None
    return tuple(parts)


def _solved(
    part: _Part, planes: tuple[TouchedPlanes, ...], sharpen: Sharpen, crf_spacing_mm: Triple, tuning: Tuning
) -> tuple[np.ndarray, np.ndarray]:
    field = disagreement(part.probability >= THRESHOLD, part.drawn, planes, part.spacing_mm, tuning.reach)
    before = _logit(part.probability)
    unary = _evidence(part, field, before, tuning)
    after = unary
    if tuning.crf:
        after = unary + tuning.crf * _crf_change(unary, part, sharpen, crf_spacing_mm)
    after = before + field.weight * (after - before)
    free = ~part.decided & (field.weight >= tuning.least_weight)
    found = np.where(free, after > 0, part.drawn)
    found = _tidied(found, free, part.drawn & part.decided)
    result = np.where(free, 1 / (1 + np.exp(-after)), part.probability).astype(np.float32)
    wrong = (result >= THRESHOLD) != found
    mirrored = 1 - result
    result[wrong] = np.where(found, np.maximum(mirrored, THRESHOLD), np.minimum(mirrored, JUST_BELOW))[wrong]
    return found, result


def _logit(probability: np.ndarray) -> np.ndarray:
    clamped = probability.clip(0.0025, 0.9975)
    return np.log(clamped / (1 - clamped))


def _evidence(part: _Part, field: Field, before: np.ndarray, tuning: Tuning) -> np.ndarray:
    """The unary logits: the network's, pulled towards the expected outline, and the CT's own along it."""
    expected = (-field.distance_mm / tuning.mm_per_logit).clip(-12, 12)
    if tuning.appearance:
        hu = smoothed(part.hu, part.spacing_mm, tuning.smooth_mm)
        near = np.exp(-((field.distance_mm / tuning.band_mm) ** 2))
        expected = expected + tuning.appearance * near * log_odds(hu, field.distance_mm, part.decided)
    unary = before + field.weight * (expected - before)
    unary[part.decided] = np.where(part.drawn[part.decided], 12.0, -12.0)
    return unary


def _crf_change(unary: np.ndarray, part: _Part, sharpen: Sharpen, crf_spacing_mm: Triple) -> np.ndarray:
    """What the CRF-RNN adds to the logits: solved in steps of whole voxels near its own spacing."""
    steps = [max(1, round(crf / own)) for crf, own in zip(crf_spacing_mm, part.spacing_mm, strict=True)]
    own = torch.from_numpy(np.stack((np.zeros_like(unary), unary)))[None]
    hu = torch.from_numpy(part.hu.astype(np.float32))[None, None]
    kernel = tuple(steps[::-1])
    coarse = _averaged(own, kernel)
    spacing = tuple(step * mm for step, mm in zip(steps, part.spacing_mm, strict=True))
    solved = sharpen(coarse, _averaged(hu, kernel)[0, 0].numpy(), spacing).cpu()
    change = (solved - coarse)[:, 1:] - (solved - coarse)[:, :1]
    fine = [n * k for n, k in zip(change.shape[2:], kernel, strict=True)]
    change = torch.nn.functional.interpolate(change, size=fine, mode="trilinear", align_corners=False)
    z, y, x = unary.shape
    return change[0, 0, :z, :y, :x].numpy()


def _averaged(values: torch.Tensor, kernel: tuple[int, int, int]) -> torch.Tensor:
    if max(kernel) == 1:
        return values
    pads = [pad for n, k in zip(values.shape[:1:-1], kernel[::-1], strict=True) for pad in (0, -n % k)]
    padded = torch.nn.functional.pad(values, pads, mode="replicate") if any(pads) else values
    return torch.nn.functional.avg_pool3d(padded, kernel)


def _tidied(found: np.ndarray, free: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Without loose parts and holes in what was solved; parts that a clinician drew in stay, whatever their size."""
    labels, parts = components(found, np.ones(found.shape, dtype=np.float32))
    if parts:
        kept = set(np.unique(labels[drawn]).tolist()) - {0} or {parts[0].label}
        kept.add(parts[0].label)
        found = found & (np.isin(labels, sorted(kept)) | ~free)
    return found | (fill_holes(found) & free)
