"""Find the bladder on a coarse copy of the whole CT: windows slid along the body, candidates by probability mass."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..imaging.components import Box, bounding_box, components, heaviest
from ..imaging.geometry import patient_grid
from ..imaging.resample import resample_to
from ..imaging.volume import Volume
from ..networks.channels import AIR_HU, BODY_HU
from ..networks.plan import StagePlan
from .steps import Tell

CANDIDATE_PROBABILITY = 0.3  # low: a small bladder fills few coarse voxels
MOST_CANDIDATES = 3
LEAST_MASS_ML = 1.0  # a runner-up of less mass is not looked at closer
OVERLAP = 0.5  # less, and two windows beside each other both lose sight of a small bladder between them
MUCH_ROOM = 0.15  # of the window's height: a scan that leaves more of it free is shown at three heights
SMALLEST_WEIGHT = 1e-3  # a window's corners count little, but a voxel that only they see still has a value


@dataclass(frozen=True)
class Candidate:
    """Where a bladder may be: LPS centre, probability mass in mL, mean probability over its voxels."""

    centre_mm: tuple[float, float, float]
    mass_ml: float
    mean_probability: float


def localise(
    ct: Volume, stage: StagePlan, probability_of: Callable[[np.ndarray], np.ndarray], tell: Tell
) -> tuple[Candidate, ...]:
    """The bladder's candidates in a CT, the heaviest first, at most MOST_CANDIDATES; none where nothing was seen.

    probability_of: the localiser, from a window of HU (z, y, x) of `stage.crop_voxels` to probabilities.
    """
    coarse = coarse_copy(ct, stage)
    tell(0.2)
    probability = slide(coarse.array, stage, probability_of, lambda fraction: tell(0.2 + 0.75 * fraction))
    _, found = components(probability > CANDIDATE_PROBABILITY, probability)
    return tuple(
        Candidate(
            centre_mm=tuple(map(float, coarse.geometry.to_patient(component.centroid))),
            mass_ml=component.mass * coarse.geometry.voxel_ml,
            mean_probability=component.mass / component.voxels,
        )
        for component in found[:MOST_CANDIDATES]
    )


def coarse_copy(ct: Volume, stage: StagePlan) -> Volume:
    """The whole CT on an axis-aligned LPS grid of the localiser's spacing, air around it."""
    lower, upper = ct.geometry.bounds_mm()
    size = [max(math.ceil(mm / step), 1) for mm, step in zip(upper - lower, stage.spacing_mm, strict=True)]
    grid = patient_grid((lower + upper) / 2, stage.spacing_mm, tuple(size))
    return resample_to(ct, grid, fill=AIR_HU)


def slide(
    hu: np.ndarray, stage: StagePlan, probability_of: Callable[[np.ndarray], np.ndarray], tell: Tell
) -> np.ndarray:
    """Probability (z, y, x) of the coarse HU: overlapping windows, weighted by a Gaussian around each one's centre."""
    crop = stage.crop_voxels[::-1]
    weight = gaussian_window(crop)
    sums = np.zeros(hu.shape, dtype=np.float32)
    weights = np.zeros(hu.shape, dtype=np.float32)
    windows = list(window_starts(hu, crop))
    for number, start in enumerate(windows):
        inside, within = overlap(start, crop, hu.shape)
        window = np.full(crop, AIR_HU, dtype=np.float32)
        window[within] = hu[inside]
        sums[inside] += (probability_of(window) * weight)[within]
        weights[inside] += weight[within]
        tell((number + 1) / len(windows))
    return np.divide(sums, weights, out=sums, where=weights > 0)


def window_starts(hu: np.ndarray, crop: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """First indices (z, y, x) of the windows that cover the body; they may begin outside the volume."""
    body = heaviest(hu > BODY_HU, np.ones(hu.shape, dtype=np.uint8))
    box = bounding_box(body)
    if box is None:
        return []
    starts: list[tuple[int, int, int]] = []
    for z in heights(box[0].start, box[0].stop, crop[0]):
        part = body[max(z, 0) : z + crop[0]]
        around = bounding_box(part)
        if around is None:
            continue
        rows = positions(around[1].start, around[1].stop, crop[1], OVERLAP)
        columns = positions(around[2].start, around[2].stop, crop[2], OVERLAP)
        starts.extend((z, y, x) for y, x in itertools.product(rows, columns))
    return starts


def heights(first: int, stop: int, window: int) -> list[int]:
    """Where windows begin along z. A scan that is much shorter lies in the middle of one, below it and above it.

    What lies at the end of such a scan, a bladder that it cuts, the localiser sees at one height and not at another.
    """
    room = window - (stop - first)
    if room <= MUCH_ROOM * window:
        return positions(first, stop, window, OVERLAP)
    return [first - room // 2 + shift for shift in (-(room // 2), 0, room // 2)]


def positions(first: int, stop: int, window: int, overlap_share: float) -> list[int]:
    """Where windows begin along one axis to cover [first, stop): one centred on it, or several evenly spread."""
    extent = stop - first
    if extent <= window:
        return [first - (window - extent) // 2]
    count = 1 + math.ceil((extent - window) / (window * (1 - overlap_share)))
    return [first + round((extent - window) * number / (count - 1)) for number in range(count)]


def overlap(start: tuple[int, int, int], crop: tuple[int, int, int], shape: tuple[int, ...]) -> tuple[Box, Box]:
    """The part of the volume under a window, and the same part in the window's own indices."""
    inside = tuple(slice(max(a, 0), min(a + n, size)) for a, n, size in zip(start, crop, shape, strict=True))
    within = tuple(slice(part.start - a, part.stop - a) for part, a in zip(inside, start, strict=True))
    return inside, within


def gaussian_window(crop: tuple[int, int, int]) -> np.ndarray:
    """Weights (z, y, x): 1 in the middle, standard deviation a quarter of the window."""
    axes = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 4)) ** 2) for n in crop]
    weight = axes[0][:, None, None] * axes[1][None, :, None] * axes[2][None, None, :]
    return np.maximum(weight, SMALLEST_WEIGHT).astype(np.float32)
