"""How unsure the contour is, slice by slice: what the probabilities show, weighed by a fitted logistic curve.

A slice is wrong where somebody would have to correct it (`evaluation.slices`). How far apart the isolines run on
average says little of a missed horn or a leak: those show where a weak isoline strays far from the contour.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..imaging.components import bounding_box
from ..imaging.distance import signed_distance_mm
from ..imaging.resample import resample_to
from ..imaging.volume import Volume
from ..networks.plan import DoubtPlan
from .decide import logit

LOW, HIGH = 0.3, 0.7
WEAK, STRONG = 0.1, 0.9
NEIGHBOURHOOD_MM = 20.0  # what lies farther from the contour is another structure
FARTHEST_MM = 20.0
END_MM = 15.0  # farther from the organ's end than this, the end no longer matters
FEATURES = (
    "isoline_mm",
    "outward_mm",
    "weak_outward_mm",
    "inward_mm",
    "strong_inward_mm",
    "crf_shift_mm",
    "neighbour_shift_mm",
    "area_mm2",
    "end_mm",
    "evidence_logit",
)
"""What is known of a slice, in the order of `SliceFeatures.values`:

isoline_mm: mean distance of the LOW and HIGH isolines (area between them over the contour's length). outward_mm,
weak_outward_mm: how far the LOW and the WEAK isoline stray outside the contour. inward_mm, strong_inward_mm: how far
inside it the HIGH and the STRONG isoline stay behind. crf_shift_mm: how far the CRF-RNN moved the border on average.
neighbour_shift_mm: how far, on average, the border moves to the next slice, per mm between them. area_mm2, end_mm:
the contour's area and the distance to the organ's nearer end. evidence_logit: of the whole contour.
"""
_LENGTHS = tuple(name.endswith(("_mm", "_mm2")) for name in FEATURES)
_EDGES_TO_LENGTH = math.pi / 4  # voxel edges around a disc are longer than its circle by 4/pi


@dataclass(frozen=True)
class SliceFeatures:
    """FEATURES (slices, features), float64, of the slices `first_slice`, `first_slice` + 1, ... of the contour."""

    first_slice: int
    values: np.ndarray

    def column(self, name: str) -> tuple[float, ...]:
        """One feature of every slice."""
        return tuple(map(float, self.values[:, FEATURES.index(name)]))


def slice_features(cnn_probability: Volume, mask: Volume, evidence: float) -> SliceFeatures:
    """What is known of every slice of `mask` (uint8); the CNN's probability, before the CRF-RNN, is on any grid."""
    box = bounding_box(mask.array)
    if box is None:
        return SliceFeatures(0, np.empty((0, len(FEATURES))))
    x_mm, y_mm, z_mm = mask.geometry.spacing_mm
    rows = _widened(box[1], NEIGHBOURHOOD_MM / y_mm, mask.array.shape[1])
    columns = _widened(box[2], NEIGHBOURHOOD_MM / x_mm, mask.array.shape[2])
    inside = mask.array[box[0], rows, columns] > 0
    around = mask.geometry.region((columns.start, rows.start, box[0].start), inside.shape[::-1])
    values = resample_to(cnn_probability, around, fill=0.0).array
    pixel_mm2 = x_mm * y_mm
    last = len(inside) - 1
    found = np.empty((len(inside), len(FEATURES)))
    for number, (layer, p) in enumerate(zip(inside, values, strict=True)):
        length_mm = _contour_length_mm(layer, x_mm, y_mm)
        neighbours = [inside[other] for other in (number - 1, number + 1) if 0 <= other <= last]
        found[number] = (
            np.count_nonzero((p > LOW) & (p < HIGH)) * pixel_mm2 / length_mm,
            _farthest_mm((p > LOW) & ~layer, layer, (x_mm, y_mm)),
            _farthest_mm((p > WEAK) & ~layer, layer, (x_mm, y_mm)),
            _farthest_mm(layer & (p < HIGH), layer & (p >= HIGH), (x_mm, y_mm)),
            _farthest_mm(layer & (p < STRONG), layer & (p >= STRONG), (x_mm, y_mm)),
            np.count_nonzero((p >= 0.5) ^ layer) * pixel_mm2 / length_mm,
            max(
                (np.count_nonzero(layer ^ other) * pixel_mm2 / length_mm / z_mm for other in neighbours), default=END_MM
            ),
            np.count_nonzero(layer) * pixel_mm2,
            min(min(number, last - number) * z_mm, END_MM),
            logit(evidence),
        )
    return SliceFeatures(box[0].start, found)


def doubts(features: SliceFeatures, plan: DoubtPlan) -> tuple[float, ...]:
    """The plan's probability, for every slice, that somebody has to correct it."""
    weights = np.array([plan.weights.get(name, 0.0) for name in FEATURES])
    scores = scaled(features.values) @ weights + plan.offset
    return tuple(map(float, 1 / (1 + np.exp(-np.clip(scores, -30, 30)))))


def scaled(values: np.ndarray) -> np.ndarray:
    """FEATURES (slices, features) as the logistic curve takes them: lengths and areas as log(1 + x)."""
    return np.where(_LENGTHS, np.log1p(np.maximum(values, 0)), values)


def _farthest_mm(points: np.ndarray, target: np.ndarray, spacing_mm: tuple[float, float]) -> float:
    """The largest distance of a pixel of `points` from `target` (y, x), at most FARTHEST_MM."""
    if not points.any():
        return 0.0
    if not target.any():
        return FARTHEST_MM
    return min(float(signed_distance_mm(target, spacing_mm)[points].max()), FARTHEST_MM)


def _contour_length_mm(inside: np.ndarray, x_mm: float, y_mm: float) -> float:
    padded = np.pad(inside, 1)
    upright = np.count_nonzero(padded[:, 1:] != padded[:, :-1]) * y_mm
    level = np.count_nonzero(padded[1:] != padded[:-1]) * x_mm
    return max((upright + level) * _EDGES_TO_LENGTH, x_mm)


def _widened(part: slice, voxels: float, size: int) -> slice:
    return slice(max(part.start - round(voxels), 0), min(part.stop + round(voxels), size))
