"""The field of the disagreement: how the outline moves on the planes between and beyond those that were corrected.

Everything is a signed distance in the plane (mm, below zero inside). Where prediction and edit both have an outline,
their difference is carried on to the neighbours; where the prediction has none, outlines are interpolated between the
corrected planes, and beyond the last of them the organ closes like a ball.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...imaging.components import fill_holes
from ...imaging.geometry import Triple
from .distance import FARTHEST_MM, in_plane_mm
from .planes import TouchedPlanes

LEAST_WEIGHT = 0.1
"""Of corrections at a voxel; with less it stays as it was."""


@dataclass(frozen=True)
class Reach:
    """How far a correction reaches; chosen on generated cases of the training family.

    beyond_mm: decay of a shift beyond the last corrected plane. emptied_mm: the same, away from an emptied plane, which
    tells where the organ is not, and little of where it is; so does one that kept less than the share `left` of its
    prediction. taper_mm: the most that an emptied plane takes off the outline of any other: a flat end is an end too.
    between_mm: the decay of a shift between two corrected planes, by the distance from the nearer.
    stroke_mm: decay in the plane, away from a stroke that touched only a part of it.
    distrust_mm: a disagreement so large that the prediction between two corrected planes counts no more than the
    interpolation between those. blend_mm: how far from a corrected plane that interpolation still is a good guess.
    closing: the height of the ball that closes the organ beyond its last plane, as a share of the plane's radius.
    loose: of the parts into which emptied planes cut the prediction, those of less than this share of the largest
    belong to nothing, if nothing is drawn on them. lacking: a prediction of less than this share of what was drawn says
    nothing of where the organ ends. end_mm: nor does an emptied plane farther than this from the last one drawn:
    something else was erased there. slope: how far, mm per mm between the planes, an outline may go past the nearest
    one drawn.
    """

    beyond_mm: float = 25.0
    emptied_mm: float = 6.0
    taper_mm: float = 2.0
    left: float = 0.4
    between_mm: float = 40.0
    stroke_mm: float = 10.0
    distrust_mm: float = 5.0
    blend_mm: float = 15.0
    closing: float = 0.8
    loose: float = 0.5
    lacking: float = 0.6
    end_mm: float = 40.0
    slope: float = 0.5


@dataclass(frozen=True)
class Field:
    """distance_mm: where the outlines are now expected. weight: in [0, 1], how much of that is due to corrections.

    Both float32 (z, y, x).
    """

    distance_mm: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class _Plane:
    """One corrected plane. shift_mm: edit minus prediction, which decays over reach_mm. cover: where it holds."""

    number: int
    present: bool
    edit_mm: np.ndarray
    shift_mm: np.ndarray
    reach_mm: float
    cover: np.ndarray


def disagreement(
    predicted: np.ndarray, edited: np.ndarray, touched: tuple[TouchedPlanes, ...], spacing_mm: Triple, reach: Reach
) -> Field:
    """The field of all touched planes. predicted, edited: boolean (z, y, x); spacing_mm: (x, y, z).

    Every further view corrects what those before it made of the prediction, and nothing where it was not touched:
    against the bare prediction a small stroke would take back what whole slices have drawn.
    """
    result = _of_one_view(predicted, edited, touched[0], spacing_mm, reach)
    for planes in touched[1:]:
        expected = np.where(result.weight >= LEAST_WEIGHT, result.distance_mm < 0, predicted)
        field = _of_one_view(expected, edited, planes, spacing_mm, reach)
        distance = (1 - field.weight) * result.distance_mm + field.weight * field.distance_mm
        result = Field(distance, np.maximum(result.weight, field.weight))
    return result


def _of_one_view(
    predicted: np.ndarray, edited: np.ndarray, planes: TouchedPlanes, spacing_mm: Triple, reach: Reach
) -> Field:
    """The field of the planes of one axis, in the order (z, y, x) of all that comes in."""
    axis, steps = planes.axis, spacing_mm[::-1]
    turned = [np.moveaxis(array, axis, 0) for array in (predicted, edited, planes.voxels)]
    rows, columns = (steps[other] for other in range(3) if other != axis)
    field = _of_one_axis(*turned, planes.numbers, (steps[axis], rows, columns), reach)
    return Field(np.moveaxis(field.distance_mm, 0, axis), np.moveaxis(field.weight, 0, axis))


def _of_one_axis(
    predicted: np.ndarray,
    edited: np.ndarray,
    voxels: np.ndarray,
    numbers: tuple[int, ...],
    steps_mm: Triple,
    reach: Reach,
) -> Field:
    """The field of the planes along axis 0; steps_mm: (plane, row, column)."""
    chosen = list(numbers)
    base = in_plane_mm(predicted, steps_mm[1:])
    # a hole is drawn where it is and carried nowhere: its depth would be far more than the organ has at its ends
    edits = in_plane_mm(fill_holes(edited[chosen]), steps_mm[1:])
    seen = predicted.any(axis=(1, 2))
    planes = []
    covers = _covers(voxels[chosen], steps_mm[1:], reach.stroke_mm)
    for number, edit, cover in zip(chosen, edits, covers, strict=True):
        present = bool(edited[number].any())
        if present and seen[number]:
            shift = edit - base[number]
        elif seen[number]:  # emptied: the smallest shift that empties it
            shift = np.full_like(edit, steps_mm[1] - base[number].min())
        else:
            shift = np.zeros_like(edit)
        is_left = np.count_nonzero(edit < 0) > reach.left * np.count_nonzero(base[number] < 0)
        reach_mm = reach.beyond_mm if present and is_left else reach.emptied_mm
        planes.append(_Plane(number, present, edit, shift, reach_mm, cover))
    base, filled = _filled(base, planes, seen, steps_mm, reach)
    shift, weight = _spread(planes, base.shape, steps_mm[0], reach)
    distance = base + np.where(filled[:, None, None] > 0, 0, shift)
    _bound(distance, base, planes, steps_mm[0], reach)
    _blend(distance, base, planes, steps_mm[0], reach)
    for plane in planes:
        if plane.present:
            distance[plane.number] = plane.cover * plane.edit_mm + (1 - plane.cover) * distance[plane.number]
    _end_beyond_emptied(distance, weight, planes, predicted, reach)
    np.maximum(weight, filled[:, None, None], out=weight)
    return Field(distance.clip(-FARTHEST_MM, FARTHEST_MM), weight)


def _covers(voxels: np.ndarray, spacing_mm: tuple[float, float], decay_mm: float) -> np.ndarray:
    """1 at the touched voxels of each plane, falling with the distance from them."""
    if voxels.all():
        return np.ones(voxels.shape, dtype=np.float32)
    away = np.maximum(in_plane_mm(voxels, spacing_mm), 0)
    return np.exp(-((away / decay_mm) ** 2)).astype(np.float32)


def _filled(
    base: np.ndarray, planes: list[_Plane], seen: np.ndarray, steps_mm: Triple, reach: Reach
) -> tuple[np.ndarray, np.ndarray]:
    """The prediction with outlines where it had none but a clinician drew: between planes, and beyond the last one.

    The second array (one value a plane) is the weight of what was filled.
    """
    filled = np.zeros(len(base), dtype=np.float32)
    areas = (base < 0).sum(axis=(1, 2))
    base = base.copy()
    drawn = {plane.number: plane for plane in planes}
    for number, plane in drawn.items():
        if plane.present and not seen[number]:
            base[number] = plane.edit_mm
    for number, plane in drawn.items():
        if not plane.present or areas[number] > reach.lacking * np.count_nonzero(plane.edit_mm < 0):
            continue
        for side in (-1, 1):
            other = number + side
            while 0 <= other < len(base) and not seen[other] and other not in drawn:
                other += side
            between = range(number + side, other, side)
            is_emptied = other in drawn and not drawn[other].present
            if not 0 <= other < len(base) or (is_emptied and abs(other - number) * steps_mm[0] > reach.end_mm):
                shrink = _closing(number, side, base, planes, steps_mm, reach)
                for k in between:
                    base[k] = np.minimum(plane.edit_mm + shrink(abs(k - number) * steps_mm[0]), FARTHEST_MM)
                    filled[k] = 1
                continue
            if is_emptied:
                end = plane.edit_mm + (1 - plane.edit_mm.min())
            else:
                end = drawn[other].edit_mm if other in drawn else base[other]
            for k in between:
                share = abs(k - number) / abs(other - number)
                base[k] = (1 - share) * plane.edit_mm + share * end
                filled[k] = 1
    return base, filled


def _closing(
    number: int, side: int, base: np.ndarray, planes: list[_Plane], steps_mm: Triple, reach: Reach
) -> Callable[[float], float]:
    """How far (mm) the outline of the last plane has shrunk at a distance beyond it: the cap of a ball.

    The ball goes through the last plane and the nearest one inwards that was drawn, or else predicted.
    """
    pixel_mm2 = steps_mm[1] * steps_mm[2]

    edits = {plane.number: plane.edit_mm for plane in planes}

    def square(k: int) -> float:
        return np.count_nonzero(edits.get(k, base[k]) < 0) * pixel_mm2 / np.pi

    inner = [plane.number for plane in planes if plane.present and (plane.number - number) * side < 0]
    if not inner:
        inner = [k for k in range(number - side, len(base) if side < 0 else -1, -side) if square(k) > 0]
    radius2, from_centre = square(number), 0.0
    if inner:
        nearest = min(inner, key=lambda k: abs(k - number))
        apart = abs(nearest - number) * steps_mm[0] / reach.closing
        from_centre = max((square(nearest) - radius2 + apart**2) / (2 * apart), 0.0)

    def shrink(away_mm: float) -> float:
        away = away_mm / reach.closing
        left = radius2 - 2 * from_centre * away - away**2
        return float(np.sqrt(radius2) - np.sqrt(left)) if left > 0 else FARTHEST_MM

    return shrink


def _spread(
    planes: list[_Plane], shape: tuple[int, ...], step_mm: float, reach: Reach
) -> tuple[np.ndarray, np.ndarray]:
    """Shift and weight on every plane: interpolated between corrected ones, decaying beyond them."""
    shift, weight = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    for k in range(shape[0]):
        low, high = _around(planes, k)
        if low is high or not (low.present or high.present):
            plane = low if abs(k - low.number) <= abs(k - high.number) else high
            decay = np.exp(-((abs(k - plane.number) * step_mm / plane.reach_mm) ** 2))
            shift[k], weight[k] = plane.cover * _faded(plane, k, step_mm, reach), decay * plane.cover
            continue
        share = (k - low.number) / (high.number - low.number)
        parts = ((1 - share) * low.cover, share * high.cover)
        nearer = min(k - low.number, high.number - k) * step_mm
        decay = np.exp(-((nearer / reach.between_mm) ** 2))
        total = np.maximum(parts[0] + parts[1], 1e-6)
        cover = np.maximum(low.cover, high.cover)
        # a plane that tells less than the other one counts near itself alone
        shifts = [
            plane.shift_mm if plane.reach_mm >= other.reach_mm else _faded(plane, k, step_mm, reach)
            for plane, other in ((low, high), (high, low))
        ]
        shift[k] = decay * cover * (parts[0] * shifts[0] + parts[1] * shifts[1]) / total
        weight[k] = decay * cover
    return shift, weight


def _faded(plane: _Plane, k: int, step_mm: float, reach: Reach) -> np.ndarray:
    """A plane's shift as plane k sees it; an emptied one takes off any other no more than an organ's end tapers."""
    away_mm = abs(k - plane.number) * step_mm
    shift_mm = plane.shift_mm if plane.present or not away_mm else np.minimum(plane.shift_mm, reach.taper_mm)
    return shift_mm * np.exp(-((away_mm / plane.reach_mm) ** 2))


def _around(planes: list[_Plane], k: int) -> tuple[_Plane, _Plane]:
    """The planes below and above k; twice the same where k is one of the outermost or beyond it."""
    if k <= planes[0].number or k >= planes[-1].number:
        plane = planes[0] if k <= planes[0].number else planes[-1]
        return plane, plane
    high = next(place for place, plane in enumerate(planes) if plane.number >= k)
    return planes[high - 1], planes[high]


def _bound(distance: np.ndarray, base: np.ndarray, planes: list[_Plane], step_mm: float, reach: Reach) -> None:
    """A shifted outline goes towards the edited one, not past it by more than the organ's wall may slope."""
    drawn = [plane for plane in planes if plane.present]
    for k in range(len(distance) if drawn else 0):
        nearest = min(drawn, key=lambda plane: abs(plane.number - k))
        slack = reach.slope * abs(nearest.number - k) * step_mm
        low, high = np.minimum(base[k], nearest.edit_mm - slack), np.maximum(base[k], nearest.edit_mm + slack)
        np.clip(distance[k], low, high, out=distance[k])


def _blend(distance: np.ndarray, base: np.ndarray, planes: list[_Plane], step_mm: float, reach: Reach) -> None:
    """Between two outlines, where the prediction was far off, the interpolation between them counts instead.

    Not where the prediction bulges between the two planes: an interpolation does not know of that.
    """
    for low, high in itertools.pairwise(planes):
        if not (low.present and high.present):
            continue
        off = np.minimum(np.abs(low.shift_mm), np.abs(high.shift_mm))
        for k in range(low.number + 1, high.number):
            share = (k - low.number) / (high.number - low.number)
            nearer = min(k - low.number, high.number - k) * step_mm
            between = (1 - share) * low.edit_mm + share * high.edit_mm
            distrust = off**2 / (off**2 + reach.distrust_mm**2) * np.exp(-((nearer / reach.blend_mm) ** 2))
            distrust *= np.minimum(low.cover, high.cover)
            bulge = base[k] - (1 - share) * base[low.number] - share * base[high.number]
            distrust *= reach.distrust_mm**2 / (bulge**2 + reach.distrust_mm**2)
            distance[k] += distrust * (between - distance[k])


def _end_beyond_emptied(
    distance: np.ndarray, weight: np.ndarray, planes: list[_Plane], predicted: np.ndarray, reach: Reach
) -> None:
    """The organ ends at an emptied plane: what was predicted beyond it, or between two, goes too.

    It stays where an outline was drawn, or, with none drawn on any side, where most of the prediction lies.
    """
    emptied = [plane.number for plane in planes if not plane.present and float(plane.cover.min()) >= 0.5]
    if not emptied:
        return
    distance[emptied], weight[emptied] = FARTHEST_MM, 1.0
    parts = [slice(below + 1, above) for below, above in itertools.pairwise([-1, *emptied, len(distance)])]
    areas = predicted.sum(axis=(1, 2))
    sizes = [int(areas[part].sum()) for part in parts]
    drawn = [any(part.start <= plane.number < part.stop for plane in planes if plane.present) for part in parts]
    for part, size, is_drawn in zip(parts, sizes, drawn, strict=True):
        if not is_drawn and (any(drawn) or size < reach.loose * max(sizes)):
            distance[part], weight[part] = FARTHEST_MM, 1.0
