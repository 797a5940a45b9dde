"""The CRF-RNN's temperature, fitted so that a probability near the contour says how often such a voxel is bladder.

Mean field makes surer of everything than it is right, and what training learns against that is learned on crops that
the networks have been shown. The scans that this is fitted on they have not.
"""

import copy
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...imaging.components import bounding_box
from ...networks.weights import Networks
from ...pipeline.decide import logit
from ...pipeline.engine import Contouring
from ..metrics import distances_mm, surface

BAND_MM = 5.0
"""What is near a contour. Elsewhere nearly all voxels are sure and right, which says nothing about the others."""
MOST_VOXELS = 20_000  # of one scan: a large bladder on a fine grid shall not outweigh the others
HIGHEST = 10.0  # and the lowest is its inverse: networks that have learned nothing would ask for any number
HALVINGS = 20


@dataclass(frozen=True)
class NearVoxels:
    """Probability of the voxels near a contour, and whether each is bladder; both (n,)."""

    probability: np.ndarray
    bladder: np.ndarray


def near_contour(found: Contouring, bladder: np.ndarray) -> NearVoxels:
    """The voxels within BAND_MM of the contour's surface; `bladder` is the truth, boolean (z, y, x)."""
    spacing_mm = found.mask.geometry.spacing_mm
    mask = found.mask.array > 0
    box = bounding_box(mask, margin=int(BAND_MM / min(spacing_mm)) + 2)  # distances in all of a CT would take minutes
    band = distances_mm(surface(mask[box]), spacing_mm) <= BAND_MM
    return NearVoxels(found.probability.array[box][band], bladder[box][band])


def fit(known: Sequence[NearVoxels]) -> float:
    """The factor on the temperature, at most HIGHEST, that makes the voxels of `known` likeliest.

    Raises ValueError without any voxel.
    """
    thinned = [_thinned(one) for one in known]
    if not any(len(one.probability) for one in thinned):
        raise ValueError("no voxel to fit the temperature on")
    margins = np.concatenate([logit(one.probability.astype(float)) for one in thinned])
    bladder = np.concatenate([one.bladder for one in thinned])
    low, high = -math.log(HIGHEST), math.log(HIGHEST)
    for _ in range(HALVINGS):  # the likelihood has one maximum, and its slope one sign on either side
        middle = (low + high) / 2
        surplus = margins @ (1 / (1 + np.exp(-margins / math.exp(middle))) - bladder)
        low, high = (middle, high) if surplus > 0 else (low, middle)
    return math.exp(high)


def with_temperature(networks: Networks, factor: float) -> Networks:
    """The networks, their CRF-RNN's temperature multiplied by `factor`. Without one, as in the paper, they stay."""
    if networks.crf.log_temperature is None:
        return networks
    crf = copy.deepcopy(networks.crf)
    crf.log_temperature.data += math.log(factor)
    return dataclasses.replace(networks, crf=crf)


def _thinned(one: NearVoxels) -> NearVoxels:
    step = -(-len(one.probability) // MOST_VOXELS) or 1
    return NearVoxels(one.probability[::step], one.bladder[::step])
