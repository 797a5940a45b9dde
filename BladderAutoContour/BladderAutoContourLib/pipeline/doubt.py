"""How unsure the contour is, slice by slice: what probabilities, CT and shape show, weighed by a logistic curve.

A slice is wrong where somebody would have to correct it (`evaluation.slices`). How far apart the isolines run on
average says little of a missed horn or a leak: those show where a weak isoline strays far from the contour. A network
may be sure and wrong, so the CT itself is asked, too, whether there is an edge under the contour, and the contour
whether it is dented, as bladders seldom are.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..imaging.components import bounding_box, widened
from ..imaging.distance import signed_distance_mm
from ..imaging.geometry import coverage
from ..imaging.resample import resample_known
from ..imaging.smoothing import smoothed
from ..imaging.volume import Volume
from ..networks.plan import DoubtPlan
from .decide import logit
from .suitability import in_scale

LOW, HIGH = 0.3, 0.7
WEAK, STRONG = 0.1, 0.9
NEIGHBOURHOOD_MM = 20.0  # what lies farther from the contour is another structure
FARTHEST_MM = 20.0
END_MM = 15.0  # farther from the organ's end than this, the end no longer matters
SMOOTH_MM = 1.5  # of the CT in the plane: less than that is noise
FAINT_HU_PER_MM = 4.0
DENT_MM = 8.0
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
    "faint_share",
    "dent_mm",
)
"""What is known of a slice, in the order of `SliceFeatures.values`:

isoline_mm: mean distance of the LOW and HIGH isolines (area between them over the contour's length). outward_mm,
weak_outward_mm: how far the LOW and the WEAK isoline stray outside the contour. inward_mm, strong_inward_mm: how far
inside it the HIGH and the STRONG isoline stay behind. crf_shift_mm: how far the CRF-RNN moved the border on average.
neighbour_shift_mm: how far, on average, the border moves to the next slice, per mm between them. area_mm2, end_mm:
the contour's area and the distance to the organ's nearer end. evidence_logit: of the whole contour. faint_share: of the
contour's length, where the smoothed CT changes by less than FAINT_HU_PER_MM across it. dent_mm: area of the dents that
a disc of radius DENT_MM does not enter, over the contour's length.
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


def slice_features(ct: Volume, cnn_probability: Volume, mask: Volume, evidence: float) -> SliceFeatures:
    """What is known of every slice of `mask` (uint8, on the CT's grid).

    The CNN's probability, before the CRF-RNN, is on any grid.
    """
    box = bounding_box(mask.array)
    if box is None:
        return SliceFeatures(0, np.empty((0, len(FEATURES))))
    x_mm, y_mm, z_mm = mask.geometry.spacing_mm
    rows = widened(box[1], NEIGHBOURHOOD_MM / y_mm, mask.array.shape[1])
    columns = widened(box[2], NEIGHBOURHOOD_MM / x_mm, mask.array.shape[2])
    inside = mask.array[box[0], rows, columns] > 0
    around = mask.geometry.region((columns.start, rows.start, box[0].start), inside.shape[::-1])
    seen = coverage(ct.geometry, cnn_probability.geometry)
    values = resample_known(cnn_probability, seen, around, fill=0.0).array
    hu = smoothed(in_scale(ct.array[box[0], rows, columns]), around.spacing_mm, SMOOTH_MM)
    pixel_mm2 = mask.geometry.pixel_mm2
    last = len(inside) - 1
    found = np.empty((len(inside), len(FEATURES)))
    for number, (layer, p) in enumerate(zip(inside, values, strict=True)):
        length_mm = _contour_length_mm(layer, x_mm, y_mm)
        neighbours = [inside[other] for other in (number - 1, number + 1) if 0 <= other <= last]
        outside_mm = _distance_mm(layer, (x_mm, y_mm))
        found[number] = (
            np.count_nonzero((p > LOW) & (p < HIGH)) * pixel_mm2 / length_mm,
            _farthest_mm((p > LOW) & ~layer, outside_mm),
            _farthest_mm((p > WEAK) & ~layer, outside_mm),
            _farthest_mm(layer & (p < HIGH), _distance_mm(layer & (p >= HIGH), (x_mm, y_mm))),
            _farthest_mm(layer & (p < STRONG), _distance_mm(layer & (p >= STRONG), (x_mm, y_mm))),
            np.count_nonzero((p >= 0.5) ^ layer) * pixel_mm2 / length_mm,
            max(
                (np.count_nonzero(layer ^ other) * pixel_mm2 / length_mm / z_mm for other in neighbours), default=END_MM
            ),
            np.count_nonzero(layer) * pixel_mm2,
            min(min(number, last - number) * z_mm, END_MM),
            logit(evidence),
            _faint_share(layer, hu[number], (x_mm, y_mm)),
            _dents_mm2(layer, outside_mm, (x_mm, y_mm)) / length_mm,
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


def _farthest_mm(points: np.ndarray, distance_mm: np.ndarray) -> float:
    """The largest distance at one of `points` (y, x), at most FARTHEST_MM; 0 where there is none."""
    return float(distance_mm[points].max(initial=0.0))


def _distance_mm(target: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """The distance (y, x) of pixels from `target`: 0 inside it, at most FARTHEST_MM."""
    if not target.any():
        return np.full(target.shape, FARTHEST_MM)
    return signed_distance_mm(target, spacing_mm).clip(0.0, FARTHEST_MM)


def _faint_share(inside: np.ndarray, hu: np.ndarray, spacing_mm: tuple[float, float]) -> float:
    """The share of the contour of `inside` (y, x) across which `hu` changes by less than FAINT_HU_PER_MM."""
    x_mm, y_mm = spacing_mm
    faint_mm = length_mm = 0.0
    for axis, step_mm, edge_mm in ((0, y_mm, x_mm), (1, x_mm, y_mm)):
        change = np.abs(np.diff(hu, axis=axis)[np.diff(inside, axis=axis)]) / step_mm
        faint_mm += np.count_nonzero(change < FAINT_HU_PER_MM) * edge_mm
        length_mm += change.size * edge_mm
    return faint_mm / length_mm if length_mm else 0.0


def _dents_mm2(inside: np.ndarray, outside_mm: np.ndarray, spacing_mm: tuple[float, float]) -> float:
    """What closing `inside` (y, x) with a disc of radius DENT_MM adds; `outside_mm` is the distance from it."""
    far = np.pad(outside_mm > DENT_MM, 1, constant_values=True)  # a picture that ends beside the organ is no dent
    closed = _distance_mm(far, spacing_mm)[1:-1, 1:-1] > DENT_MM
    return np.count_nonzero(closed & ~inside) * spacing_mm[0] * spacing_mm[1]


def _contour_length_mm(inside: np.ndarray, x_mm: float, y_mm: float) -> float:
    padded = np.pad(inside, 1)
    upright = np.count_nonzero(padded[:, 1:] != padded[:, :-1]) * y_mm
    level = np.count_nonzero(padded[1:] != padded[:-1]) * x_mm
    return max((upright + level) * _EDGES_TO_LENGTH, x_mm)
