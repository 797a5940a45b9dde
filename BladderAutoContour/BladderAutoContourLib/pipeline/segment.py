"""Contour a candidate in a crop at working resolution: the CNN, then the CRF-RNN, both in the paper's order."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..imaging.components import bounding_box, heaviest
from ..imaging.geometry import Geometry, patient_grid
from ..imaging.resample import coverage, resample_to
from ..imaging.volume import Volume
from .inference import Inference, bladder_probability
from .localise import LEAST_MASS_ML, Candidate
from .steps import Tell
from .suitability import AIR_HU

BAND_MM = 5.0
THRESHOLD = 0.5


@dataclass(frozen=True)
class Refined:
    """A contoured candidate on its crop's grid.

    probability: after the CRF-RNN (after the CNN where it is switched off); cnn_probability: before it.
    volume_ml: of the mask. evidence: geometric mean of the CNN's mean probability inside the mask (0 where it is empty)
    and the localiser's for the candidate: at close range a stomach may pass for a bladder, and only the whole field
    tells where it lies. The CRF-RNN's own probabilities are near 0 and 1 whether it is right or not.
    crf_change_in_band: share of the voxels within BAND_MM of the CNN's boundary whose label the CRF-RNN changed.
    """

    probability: Volume
    cnn_probability: Volume
    volume_ml: float
    evidence: float
    crf_change_in_band: float


def segment(ct: Volume, candidates: Sequence[Candidate], inference: Inference, use_crf: bool, tell: Tell) -> Refined:
    """Every candidate contoured, and the surest kept, one of bladder size before a smaller one.

    On the coarse grid a full stomach may outweigh a small bladder; at working resolution the CNN tells them apart.
    """
    rivals = [candidates[0], *(one for one in candidates[1:] if one.mass_ml >= LEAST_MASS_ML)]
    least_ml = inference.plan.decision.minimum_volume_ml
    refined = [
        contour_candidate(
            ct,
            rival,
            inference,
            use_crf,
            lambda fraction, number=number: tell((number + fraction) / len(rivals)),
        )
        for number, rival in enumerate(rivals)
    ]
    return max(refined, key=lambda one: (one.volume_ml >= least_ml, one.evidence))


def contour_candidate(ct: Volume, candidate: Candidate, inference: Inference, use_crf: bool, tell: Tell) -> Refined:
    """Contour what lies around the candidate, and weigh it with what the localiser said."""
    refined = _contour_around(ct, candidate.centre_mm, inference, use_crf, tell)
    return dataclasses.replace(refined, evidence=math.sqrt(refined.evidence * candidate.mean_probability))


def _contour_around(ct: Volume, centre_mm: Sequence[float], inference: Inference, use_crf: bool, tell: Tell) -> Refined:
    """A mask that the crop cuts moves the crop to the mask's middle, once. Evidence is the CNN's alone."""
    first = _contour_crop(ct, np.asarray(centre_mm), inference, use_crf, lambda fraction: tell(fraction / 2))
    mask = _main_part(first.probability.array)
    if not _is_cut(mask, first.probability.geometry, ct.geometry):
        return first
    middle = [(part.start + part.stop - 1) / 2 for part in bounding_box(mask)]
    centre_mm = first.probability.geometry.to_patient(np.asarray(middle[::-1]))
    return _contour_crop(ct, centre_mm, inference, use_crf, lambda fraction: tell((1 + fraction) / 2))


def _contour_crop(ct: Volume, centre_mm: np.ndarray, inference: Inference, use_crf: bool, tell: Tell) -> Refined:
    stage = inference.plan.segmenter
    grid = patient_grid(centre_mm, stage.spacing_mm, stage.crop_voxels)
    hu = resample_to(ct, grid, fill=AIR_HU).array
    covered = coverage(ct.geometry, grid)
    tell(0.1)
    logits = inference.segment(hu)
    before = bladder_probability(logits) * covered
    tell(0.5)
    after = bladder_probability(inference.sharpen(logits, hu, stage.spacing_mm)) * covered if use_crf else before
    tell(0.95)
    mask = _main_part(after)
    return Refined(
        probability=Volume(after, grid),
        cnn_probability=Volume(before, grid),
        volume_ml=float(np.count_nonzero(mask)) * grid.voxel_ml,
        evidence=float(before[mask].mean()) if mask.any() else 0.0,
        crf_change_in_band=change_in_band(before, after, grid) if use_crf else 0.0,
    )


def change_in_band(before: np.ndarray, after: np.ndarray, grid: Geometry) -> float:
    """Share of voxels within BAND_MM of the boundary of `before` whose label differs in `after`; 0 if it has none."""
    mask = before >= THRESHOLD
    if not mask.any() or mask.all():
        return 0.0
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(grid.spacing_mm)
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    band = np.abs(sitk.GetArrayViewFromImage(distance)) <= BAND_MM
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
