"""The logistic curve of a slice's doubt, fitted on generated scans of the training family whose bladder is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...networks.plan import DoubtPlan
from ...pipeline.doubt import FEATURES, scaled
from ...pipeline.engine import Contouring
from ..slices import slice_errors
from .logistic import fit_logistic

FITTED = ("strong_inward_mm", "weak_outward_mm", "faint_share", "dent_mm")
"""The features that carry, found on scans of the training family with seeds from 742,000. With all of them the curve
ranks unseen slices no better, nor with means over neighbouring slices or products. The others are still measured: the
curves of older weights weigh them."""
PULL = 2.0  # of the prior towards 0, on standardised features: few cases must not make a steep curve


@dataclass(frozen=True)
class KnownSlices:
    """`pipeline.doubt.FEATURES` (slices, features) of contoured slices, and whether each was wrong (slices,)."""

    features: np.ndarray
    wrong: np.ndarray


def known_slices(found: Contouring, bladder: np.ndarray) -> KnownSlices:
    """The slices of a contour; one beside which the contour missed a slice of the bladder is wrong too."""
    first, count = found.slice_features.first_slice, len(found.slice_doubt)
    wrong = np.zeros(count, dtype=bool)
    for error in slice_errors(found.mask.array > 0, bladder, found.mask.geometry.spacing_mm):
        wrong[int(np.clip(error.number - first, 0, count - 1))] |= error.wrong
    return KnownSlices(found.slice_features.values, wrong)


def fit(known: Sequence[KnownSlices]) -> DoubtPlan:
    """The curve of largest likelihood under a prior that holds weights near 0. Raises ValueError without any slice."""
    if not known:
        raise ValueError("no slice to fit the doubt on")
    columns = [FEATURES.index(name) for name in FITTED]
    values = scaled(np.concatenate([one.features for one in known]))[:, columns]
    wrong = np.concatenate([one.wrong for one in known]).astype(float)
    middle, spread = values.mean(axis=0), values.std(axis=0) + 1e-6
    design = np.column_stack(((values - middle) / spread, np.ones(len(values))))
    precision = np.diag([PULL] * len(FITTED) + [1e-3])
    fitted = fit_logistic(design, wrong, np.zeros(design.shape[1]), precision)
    weights = fitted[:-1] / spread
    return DoubtPlan(
        weights={name: round(float(weight), 4) for name, weight in zip(FITTED, weights, strict=True)},
        offset=round(float(fitted[-1] - weights @ middle), 4),
    )
