"""What the CNN sees of a candidate: a crop about it at working resolution, others about what that one showed."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch

from ..imaging.components import bounding_box, components
from ..imaging.geometry import Geometry, coverage, patient_grid
from ..imaging.resample import resample_to
from ..imaging.volume import Volume
from ..networks.channels import AIR_HU
from .decide import THRESHOLD
from .inference import Inference, bladder_probability
from .localise import Candidate, overlap

Shift = tuple[int, int, int]
FARTHER = 1.25
"""Spacing of the grid on which a large bladder is looked at from farther away, as a share of the plan's."""
FARTHER_FROM_ML = 250.0
CLEARLY_MORE = 1.15
"""How many times as much bladder another look sees at least where it counts instead of the first one."""
LEAST_LEFT = 0.5
"""Share of what the first look sees that another leaves at least; with less they contradict each other."""
SCANT = 0.3
"""Share of what the localiser held for bladder that the CNN sees at least; with less they contradict each other."""
BESIDE_MM = 30.0
"""How far above and below the candidate the CNN is shown its place once more then."""
RIVAL_ML = 3.0
RIVAL_PROBABILITY = 0.8
"""What the CNN holds for bladder beside the main part is a rival of it from this volume and mean probability on: a cyst
may be the larger one of two."""


@dataclass(frozen=True)
class Look:
    """What the CNN sees of a candidate in a crop: its logits (1, L, z, y, x) on `grid`, and what they amount to.

    volume_ml: of the main part. evidence: geometric mean of the mean probability inside it (0 where it is empty) and
    the localiser's for the candidate: at close range a stomach may pass for a bladder, and only the whole field tells
    where it lies. cut: whether the bladder goes on beyond the crop, as `look_at` finds. rivals: how many other parts
    the CNN is as good as sure of. scant: whether the localiser saw far more here than the CNN does, from wherever.
    """

    logits: torch.Tensor
    grid: Geometry
    mask: np.ndarray
    volume_ml: float
    evidence: float
    cut: bool = False
    rivals: int = 0
    scant: bool = False


def look_at(ct: Volume, candidate: Candidate, inference: Inference) -> Look:
    """What the CNN sees around the candidate. A mask that the crop cuts moves the crop to its middle, once."""
    look = _with_cut(look_around(ct, np.asarray(candidate.centre_mm), inference), ct)
    if look.cut:
        moved = _with_cut(look_around(ct, middle_mm(look), inference), ct)
        look = moved if moved.volume_ml >= LEAST_LEFT * look.volume_ml else look
    return dataclasses.replace(look, evidence=math.sqrt(look.evidence * candidate.mean_probability))


def beside_where_scant(ct: Volume, look: Look, candidate: Candidate, inference: Inference) -> Look:
    """The look at a candidate; where it sees a fraction of what the localiser did, one from beside it that sees more.

    What the CNN cannot make out in the middle of its crop, such as a layer of contrast medium beneath gas, it may know
    where it is shown more of what lies above or below. It shall be the same structure: one about what the first look
    saw, or about the candidate's centre where that saw nothing. The evidence does not fall by it.
    """
    if look.volume_ml >= SCANT * candidate.mass_ml:
        return look
    x, y, z = candidate.centre_mm
    seen = _box_mm(look) if look.mask.any() else np.array([candidate.centre_mm] * 2)
    best = look
    for away in (-BESIDE_MM, BESIDE_MM):
        other = look_at(ct, dataclasses.replace(candidate, centre_mm=(x, y, z + away)), inference)
        if other.volume_ml >= CLEARLY_MORE * best.volume_ml and other.mask.any() and _touch(_box_mm(other), seen):
            best = other
    scant = best.volume_ml < SCANT * candidate.mass_ml
    return dataclasses.replace(best, evidence=max(best.evidence, look.evidence), scant=scant)


def farther_where_more(ct: Volume, look: Look, inference: Inference) -> Look:
    """The look, or one from farther away where that sees clearly more of a large bladder, or of one that is cut.

    Much of a large bladder lies near the crop's faces, where the CNN is unsure and may end it in the midst of urine.
    Where both see about the same, the first one's border is the finer, and counts unless its crop alone cuts the mask.
    The evidence stays the first look's, which the confidence was calibrated on.
    """
    if not look.mask.any() or not (look.cut or look.volume_ml >= FARTHER_FROM_ML):
        return look
    farther = _with_cut(look_around(ct, middle_mm(look), inference, FARTHER), ct)
    whole = look.cut and not farther.cut and farther.volume_ml >= LEAST_LEFT * look.volume_ml
    if not whole and farther.volume_ml < CLEARLY_MORE * look.volume_ml:
        return look
    return dataclasses.replace(farther, evidence=look.evidence, scant=look.scant)


def look_around(ct: Volume, centre_mm: np.ndarray, inference: Inference, share: float = 1.0) -> Look:
    """What the CNN sees in a crop about `centre_mm` (LPS), on a grid whose spacing is a `share` of the plan's.

    Where the plan has it look twice, the second crop is mirrored and lies about what was seen in the first, at least
    `shift_voxels` away along every axis; the mean logits count where both see. Near its faces the CNN is less sure, and
    what it says shall not hang on where the cells of its pooling begin.
    """
    stage = inference.plan.segmenter
    grid = patient_grid(centre_mm, tuple(share * step for step in stage.spacing_mm), stage.crop_voxels)
    first = _as_look(_seen_on(grid, ct, inference), grid, ct)
    if not stage.shift_voxels:
        return first
    shift = _towards_middle(first, stage.shift_voxels)
    again = grid.region(shift, grid.size)
    logits = _seen_on(again, ct, inference, mirrored=True)
    there, here = overlap(shift[::-1], grid.shape, grid.shape)
    with torch.inference_mode():
        logits[(..., *here)] = (logits[(..., *here)] + first.logits[(..., *there)]) / 2
    return _as_look(logits, again, ct)


def middle_mm(look: Look) -> np.ndarray:
    """The middle of the box around a look's mask, LPS."""
    return look.grid.to_patient(_middle_index(look))


def mean_on(grid: Geometry, logits: torch.Tensor, other: Look) -> torch.Tensor:
    """The mean of `logits` on `grid` and of another look where that one saw, and the former alone elsewhere."""
    scores = other.logits[0].cpu().numpy()
    moved = np.stack([resample_to(Volume(score, other.grid), grid, fill=0.0).array for score in scores])
    share = torch.from_numpy(coverage(other.grid, grid) / 2).to(logits)
    return torch.lerp(logits, torch.from_numpy(moved).to(logits), share)


def _middle_index(look: Look) -> np.ndarray:
    """Index (x, y, z) of the middle of the box around a look's mask."""
    return np.array([(part.start + part.stop - 1) / 2 for part in bounding_box(look.mask)[::-1]])


def _towards_middle(look: Look, least: int) -> Shift:
    """Whole voxels (x, y, z) from a look's crop to one about its mask, `least` or more either way."""
    if not look.mask.any():
        return (-least,) * 3
    way = np.round(_middle_index(look) - (np.array(look.grid.size) - 1) / 2).astype(int)
    return tuple(int(step) if abs(step) >= least else (least if step > 0 else -least) for step in way)


def _seen_on(grid: Geometry, ct: Volume, inference: Inference, mirrored: bool = False) -> torch.Tensor:
    return inference.segment(resample_to(ct, grid, fill=AIR_HU).array, mirrored)


def _as_look(logits: torch.Tensor, grid: Geometry, ct: Volume) -> Look:
    probability = bladder_probability(logits) * coverage(ct.geometry, grid)
    mask, rivals = _parts(probability, grid.voxel_ml)
    return Look(
        logits=logits,
        grid=grid,
        mask=mask,
        volume_ml=float(np.count_nonzero(mask)) * grid.voxel_ml,
        evidence=float(probability[mask].mean()) if mask.any() else 0.0,
        rivals=rivals,
    )


def _parts(probability: np.ndarray, voxel_ml: float) -> tuple[np.ndarray, int]:
    """The part of what is rather bladder than not that holds the most probability, boolean (z, y, x); its rivals."""
    labels, found = components(probability >= THRESHOLD, probability)
    if not found:
        return np.zeros(probability.shape, dtype=bool), 0
    sure = [part for part in found[1:] if part.mass >= RIVAL_PROBABILITY * part.voxels]
    return labels == found[0].label, sum(part.voxels * voxel_ml >= RIVAL_ML for part in sure)


def _box_mm(look: Look) -> np.ndarray:
    """The box around a look's mask: its lower and its upper corner, LPS (2, 3)."""
    box = bounding_box(look.mask)[::-1]
    part = look.grid.region(tuple(one.start for one in box), tuple(one.stop - one.start for one in box))
    return np.array(part.bounds_mm())


def _touch(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two boxes (2, 3), lower and upper corner, have a point in common."""
    return bool((one[0] <= other[1]).all() and (other[0] <= one[1]).all())


def _with_cut(look: Look, ct: Volume) -> Look:
    return dataclasses.replace(look, cut=_is_cut(look.mask, look.grid, ct.geometry))


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
