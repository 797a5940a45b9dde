"""Contour a candidate in a crop at working resolution: the CNN, then the CRF-RNN, both in the paper's order."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..imaging.components import Box, bounding_box, heaviest
from ..imaging.distance import signed_distance_mm
from ..imaging.geometry import Geometry, coverage, patient_grid
from ..imaging.resample import resample_to
from ..imaging.volume import Volume
from ..networks.finer import finer_grid, on_grid
from .decide import THRESHOLD
from .inference import Inference, bladder_probability
from .localise import LEAST_MASS_ML, Candidate
from .steps import Tell
from .suitability import AIR_HU

BAND_MM = 5.0
CLOSER, FARTHER = 0.75, 1.2
"""Spacing of the grid on which a small and a very large bladder are looked at once more, as a share of the plan's. From
0.67 to 0.85 it is all the same for small ones; with less, the field of view is too small."""
LEAST_LEFT = 0.5
"""Share of what the first look sees that the other one leaves at least: with less they contradict each other."""
CRF_MARGIN_MM = 24.0  # around what the CNN sees: four times the reach of the CRF's wider kernel


@dataclass(frozen=True)
class Look:
    """What the CNN sees of a candidate in a crop: its logits (1, L, z, y, x) on `grid`, and what they amount to.

    volume_ml: of the main part. evidence: geometric mean of the mean probability inside it (0 where it is empty) and
    the localiser's for the candidate: at close range a stomach may pass for a bladder, and only the whole field tells
    where it lies.
    """

    logits: torch.Tensor
    grid: Geometry
    mask: np.ndarray
    volume_ml: float
    evidence: float


@dataclass(frozen=True)
class Refined:
    """A contoured candidate, on the CRF-RNN's grid about it.

    probability: after the CRF-RNN (after the CNN where it is switched off); cnn_probability: before it.
    volume_ml: of the mask. evidence: the CNN's, see `Look`; the CRF-RNN's own probabilities are surer than it is right.
    crf_change_in_band: share of the voxels within BAND_MM of the CNN's boundary whose label the CRF-RNN changed.
    contradicted: whether another look, from closer or farther, hardly saw it, so that the first one alone counts.
    """

    probability: Volume
    cnn_probability: Volume
    volume_ml: float
    evidence: float
    crf_change_in_band: float
    contradicted: bool = False


def segment(ct: Volume, candidates: Sequence[Candidate], inference: Inference, use_crf: bool, tell: Tell) -> Refined:
    """The CNN looks at every candidate; the surest, one of bladder size before a smaller one, is contoured.

    On the coarse grid a full stomach may outweigh a small bladder; at working resolution the CNN tells them apart.
    """
    rivals = [candidates[0], *(one for one in candidates[1:] if one.mass_ml >= LEAST_MASS_ML)]
    least_ml = inference.plan.decision.minimum_volume_ml
    looks = []
    for number, rival in enumerate(rivals):
        looks.append(look_at(ct, rival, inference))
        tell(0.6 * (number + 1) / len(rivals))
    best = max(looks, key=lambda look: (look.volume_ml >= least_ml, look.evidence))
    return contour_of(ct, best, inference, use_crf)


def look_at(ct: Volume, candidate: Candidate, inference: Inference) -> Look:
    """What the CNN sees around the candidate. A mask that the crop cuts moves the crop to its middle, once."""
    look = _look_around(ct, np.asarray(candidate.centre_mm), inference)
    if _is_cut(look.mask, look.grid, ct.geometry):
        look = _look_around(ct, _middle_mm(look), inference)
    return dataclasses.replace(look, evidence=math.sqrt(look.evidence * candidate.mean_probability))


def _look_around(ct: Volume, centre_mm: np.ndarray, inference: Inference) -> Look:
    grid = _crop_around(centre_mm, inference)
    return _as_look(_seen_on(grid, ct, inference), grid, ct)


def _crop_around(centre_mm: np.ndarray, inference: Inference, share: float = 1.0) -> Geometry:
    """A crop of the plan's size on a grid whose spacing is a `share` of the plan's."""
    stage = inference.plan.segmenter
    return patient_grid(centre_mm, tuple(share * step for step in stage.spacing_mm), stage.crop_voxels)


def _as_look(logits: torch.Tensor, grid: Geometry, ct: Volume) -> Look:
    probability = bladder_probability(logits) * coverage(ct.geometry, grid)
    mask = _main_part(probability)
    return Look(
        logits=logits,
        grid=grid,
        mask=mask,
        volume_ml=float(np.count_nonzero(mask)) * grid.voxel_ml,
        evidence=float(probability[mask].mean()) if mask.any() else 0.0,
    )


def _seen_on(grid: Geometry, ct: Volume, inference: Inference) -> torch.Tensor:
    """The CNN's logits (1, L, z, y, x) on a crop of the plan's size."""
    shift = inference.plan.segmenter.shift_voxels
    wide = grid.region((-shift,) * 3, tuple(n + shift for n in grid.size))
    return inference.segment(resample_to(ct, wide, fill=AIR_HU).array)


def _middle_mm(look: Look) -> np.ndarray:
    """The middle of the box around a look's mask, LPS."""
    middle = [(part.start + part.stop - 1) / 2 for part in bounding_box(look.mask)]
    return look.grid.to_patient(np.asarray(middle[::-1]))


def contour_of(ct: Volume, look: Look, inference: Inference, use_crf: bool) -> Refined:
    """The contour of a look, by the CRF-RNN, on the CRF's own grid about the CNN's mask.

    The CNN's logits are interpolated, not its probabilities: their 0.5 surface is the smoother one. On the CNN's grid
    there are hardly voxels between its border and the true edge that the CRF could move.
    """
    stage, contradicted = inference.plan.segmenter, False
    if 0 < stage.farther_above_ml < look.volume_ml:
        both = _with_farther_look(ct, look, inference)
        contradicted = both.volume_ml < LEAST_LEFT * look.volume_ml
        look = look if contradicted else both
    size, spacing_mm = finer_grid(look.grid.size, look.grid.spacing_mm, inference.plan.crf.spacing_mm)
    fine = patient_grid(look.grid.centre_mm, spacing_mm, size)
    box = _box_around(look, fine)
    grid = fine.region(tuple(part.start for part in box[::-1]), tuple(part.stop - part.start for part in box[::-1]))
    logits = on_grid(look.logits, fine.shape)[(..., *box)]
    if 0 < look.volume_ml < stage.closer_below_ml:
        both = _with_closer_look(logits, grid, ct, look, inference)
        contradicted = _voxels(both) < LEAST_LEFT * _voxels(logits)
        logits = logits if contradicted else both
    covered = coverage(ct.geometry, grid)
    before = bladder_probability(logits) * covered
    after = before
    if use_crf and look.mask.any():
        hu = resample_to(ct, grid, fill=AIR_HU).array
        after = bladder_probability(inference.sharpen(logits.contiguous(), hu, grid.spacing_mm)) * covered
    mask = _main_part(after)
    return Refined(
        probability=Volume(after, grid),
        cnn_probability=Volume(before, grid),
        volume_ml=float(np.count_nonzero(mask)) * grid.voxel_ml,
        evidence=look.evidence,
        crf_change_in_band=change_in_band(before, after, grid) if use_crf else 0.0,
        contradicted=contradicted,
    )


def _with_closer_look(
    logits: torch.Tensor, grid: Geometry, ct: Volume, look: Look, inference: Inference
) -> torch.Tensor:
    """The logits of a small bladder on `grid`, and what the CNN makes of it from closer: their mean where it sees both.

    What lies beside it is told apart better there, what lies beyond in the field that the first look saw.
    """
    closer = _crop_around(_middle_mm(look), inference, CLOSER)
    return _both(logits, grid, _seen_on(closer, ct, inference), closer)


def _with_farther_look(ct: Volume, look: Look, inference: Inference) -> Look:
    """A very large bladder about its own middle, in a field that leaves room around it: the mean of both looks.

    The CNN is less sure near the faces of its crop, and the first look's lies about what the localiser saw of it.
    """
    farther = _crop_around(_middle_mm(look), inference, FARTHER)
    both = _as_look(_both(_seen_on(farther, ct, inference), farther, look.logits, look.grid), farther, ct)
    return dataclasses.replace(both, evidence=look.evidence)


def _both(logits: torch.Tensor, grid: Geometry, others: torch.Tensor, others_grid: Geometry) -> torch.Tensor:
    """The mean of the logits on `grid` and of the others where these were seen, and the former alone elsewhere."""
    scores = others[0].cpu().numpy()
    moved = np.stack([resample_to(Volume(score, others_grid), grid, fill=0.0).array for score in scores])
    share = torch.from_numpy(coverage(others_grid, grid) / 2).to(logits)
    return torch.lerp(logits, torch.from_numpy(moved).to(logits), share)


def _voxels(logits: torch.Tensor) -> int:
    """How many voxels are rather bladder than not."""
    return int((logits[:, 1] > logits[:, 0]).sum())


def _box_around(look: Look, fine: Geometry) -> Box:
    """The part (z, y, x) of the fine grid within CRF_MARGIN_MM of the look's mask; all of it where that is empty."""
    box = bounding_box(look.mask)
    if box is None:
        return tuple(slice(0, n) for n in fine.shape)
    parts = []
    for part, coarse_mm, fine_mm, size in zip(
        box, look.grid.spacing_mm[::-1], fine.spacing_mm[::-1], fine.shape, strict=True
    ):
        low, high = part.start * coarse_mm - CRF_MARGIN_MM, part.stop * coarse_mm + CRF_MARGIN_MM
        parts.append(slice(max(0, math.floor(low / fine_mm)), min(size, math.ceil(high / fine_mm))))
    return tuple(parts)


def change_in_band(before: np.ndarray, after: np.ndarray, grid: Geometry) -> float:
    """Share of voxels within BAND_MM of the boundary of `before` whose label differs in `after`; 0 if it has none."""
    mask = before >= THRESHOLD
    if not mask.any() or mask.all():
        return 0.0
    band = np.abs(signed_distance_mm(mask, grid.spacing_mm)) <= BAND_MM
    return float((mask != (after >= THRESHOLD))[band].mean())


def _main_part(probability: np.ndarray) -> np.ndarray:
    return heaviest(probability >= THRESHOLD, probability)


def _is_cut(mask: np.ndarray, crop: Geometry, ct: Geometry) -> bool:
    """Whether the mask reaches a face of the crop behind which the CT goes on."""
    for index_axis, array_axis in enumerate((2, 1, 0)):
        for face, outward in ((0, -1), (-1, 1)):
            touching = mask.take(face, axis=array_axis)
            if not touching.any():
                continue
            step = [0, 0, 0]
            step[index_axis] = outward
            beyond = coverage(ct, crop.region(tuple(step), crop.size)).take(face, axis=array_axis)
            if beyond[touching].any():
                return True
    return False
