"""Contour a candidate at working resolution: what the CNN sees of it, then the CRF-RNN, both in the paper's order."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..imaging.components import Box, bounding_box
from ..imaging.distance import signed_distance_mm
from ..imaging.geometry import Geometry, coverage, patient_grid
from ..imaging.resample import resample_to
from ..imaging.volume import Volume
from ..networks.channels import AIR_HU
from ..networks.finer import finer_grid, on_grid
from .decide import THRESHOLD
from .inference import Inference, bladder_probability
from .localise import LEAST_MASS_ML, Candidate
from .looks import LEAST_LEFT, Look, beside_where_scant, farther_where_more, look_around, look_at, mean_on, middle_mm
from .steps import Tell
from .warnings import CONTRAST_FILLED_SHARE, CONTRAST_LAYER_HU

BAND_MM = 5.0
CLOSER = 0.75
"""Spacing of the grid on which a small bladder is looked at once more, as a share of the plan's. From 0.67 to 0.85 it
is all the same; with less, the field of view is too small."""
LAYERED = (0.1, CONTRAST_FILLED_SHARE)
"""The share that is bright of a bladder with a layer of contrast medium. The wall is like neither part of such a
lumen, and the CRF-RNN gives it to what lies around: its logits and the CNN's count alike. Where hardly anything or
nearly all is bright, the CRF-RNN is right more often."""
CRF_MARGIN_MM = 24.0  # around what the CNN sees: six times the reach of the shipped CRF's wider kernel


@dataclass(frozen=True)
class Segmented:
    """A contoured candidate, on the CRF-RNN's grid about it.

    probability: after the CRF-RNN (after the CNN where it is switched off); cnn_probability: before it.
    evidence: the CNN's, see `Look`; the CRF-RNN's own probabilities are surer than it is right.
    crf_change_in_band: share of the voxels within BAND_MM of the CNN's boundary whose label the CRF-RNN changed.
    contradicted: whether the closer look at a small bladder hardly saw it, so that the first one alone counts.
    candidate: number of the contoured one among those given. cut: whether the mask goes on beyond what the CNN saw.
    rivals: how many other structures in sight the CNN takes for a bladder as well.
    scant: whether the localiser saw far more of a bladder here than the CNN.
    layered: whether contrast medium lies in it as a layer, so that the CRF-RNN counts half.
    """

    probability: Volume
    cnn_probability: Volume
    evidence: float
    crf_change_in_band: float
    contradicted: bool = False
    candidate: int = 0
    cut: bool = False
    layered: bool = False
    rivals: int = 0
    scant: bool = False


def segment(ct: Volume, candidates: Sequence[Candidate], inference: Inference, use_crf: bool, tell: Tell) -> Segmented:
    """The CNN looks at every candidate; the surest, one of bladder size before a smaller one, is contoured.

    On the coarse grid a full stomach may outweigh a small bladder; at working resolution the CNN tells them apart.
    """
    rivals = [0, *(number for number, one in enumerate(candidates) if number and one.mass_ml >= LEAST_MASS_ML)]
    least_ml = inference.plan.decision.minimum_volume_ml
    looks = {}
    for number in rivals:
        candidate = candidates[number]
        looks[number] = beside_where_scant(ct, look_at(ct, candidate, inference), candidate, inference)
        tell(0.6 * len(looks) / len(rivals))
    chosen = max(rivals, key=lambda number: (looks[number].volume_ml >= least_ml, looks[number].evidence))
    look = farther_where_more(ct, looks[chosen], inference)
    return dataclasses.replace(contour_of(ct, look, inference, use_crf), candidate=chosen)


def contour_of(ct: Volume, look: Look, inference: Inference, use_crf: bool) -> Segmented:
    """The contour of a look, by the CRF-RNN, on the CRF's own grid about the CNN's mask.

    The CNN's logits are interpolated, not its probabilities: their 0.5 surface is the smoother one. On the CNN's grid
    there are hardly voxels between its border and the true edge that the CRF could move.
    """
    size, spacing_mm = finer_grid(look.grid.size, look.grid.spacing_mm, inference.plan.crf.spacing_mm)
    fine = patient_grid(look.grid.centre_mm, spacing_mm, size)
    box = _box_around(look, fine)
    grid = fine.region(tuple(part.start for part in box[::-1]), tuple(part.stop - part.start for part in box[::-1]))
    logits = on_grid(look.logits, fine.shape)[(..., *box)]
    contradicted = False
    if 0 < look.volume_ml < inference.plan.segmenter.closer_below_ml:
        # what lies beside a small bladder is told apart better from closer, what lies farther off in the wider field
        both = mean_on(grid, logits, look_around(ct, middle_mm(look), inference, CLOSER))
        contradicted = _voxels(both) < LEAST_LEFT * _voxels(logits)
        logits = logits if contradicted else both
    covered = coverage(ct.geometry, grid)
    before = bladder_probability(logits) * covered
    after, layered = before, False
    if use_crf and look.mask.any():
        hu = resample_to(ct, grid, fill=AIR_HU).array
        solved = inference.sharpen(logits.contiguous(), hu, grid.spacing_mm)
        layered = LAYERED[0] <= _bright_share(hu, before) < LAYERED[1]
        after = bladder_probability((solved + logits.to(solved)) / 2 if layered else solved) * covered
    return Segmented(
        probability=Volume(after, grid),
        cnn_probability=Volume(before, grid),
        evidence=look.evidence,
        crf_change_in_band=change_in_band(before, after, grid) if use_crf else 0.0,
        contradicted=contradicted,
        cut=look.cut,
        layered=layered,
        rivals=look.rivals,
        scant=look.scant,
    )


def _bright_share(hu: np.ndarray, probability: np.ndarray) -> float:
    """The share of what is rather bladder than not that is brighter than urine and wall are; 0 where nothing is."""
    inside = hu[probability >= THRESHOLD]
    return float(np.count_nonzero(inside > CONTRAST_LAYER_HU) / max(inside.size, 1))


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
