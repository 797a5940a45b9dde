"""What a clinician should look at before using the contour, in plain words, with the slices concerned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..dicom.pixels import PADDING_BELOW_HU
from ..imaging.components import bounding_box, widened
from ..imaging.volume import Volume
from ..networks.channels import BODY_HU
from .suitability import off_by_hu

SMALLEST_PLAUSIBLE_ML = 20.0
LARGEST_PLAUSIBLE_ML = 1200.0
END_MM = 3.0
"""A contour that ends nearer to the scan's end than this is taken for one that the scan cuts."""
METAL_HU = 2500
METAL_REACH_MM = 60.0
METAL_SMALLEST_ML = 0.2  # a few bright voxels are cortical bone or a calcification
CONTRAST_MEAN_HU = 80.0
CONTRAST_LAYER_HU = 130
CONTRAST_LAYER_SHARE = 0.03
CONTRAST_FILLED_SHARE = 0.6  # of a bladder is bright: it is filled, no layer lies in it
UNSURE = 0.75  # doubt of a slice: three of four such slices have to be corrected
RIVAL_SHARE = 0.4  # a candidate of this share of the heaviest one's mass is worth a second look


@dataclass(frozen=True)
class QualityWarning:
    """One finding. severity: "warning" or "note"; slices: indices along the CT's slice axis, empty for all of it."""

    code: str
    severity: str
    sentence: str
    slices: tuple[int, ...] = ()


@dataclass(frozen=True)
class Contoured:
    """What the rules look at: the CT and the mask on its grid, and what the walk found on the way.

    candidate_masses_ml: the localiser's, that of the contoured one first. slice_doubt: of the slices `first_slice`,
    `first_slice` + 1, ..., in [0, 1]. beyond_field: whether it goes on beyond what the networks saw. contradicted:
    whether a closer look at a small bladder hardly saw it. rivals: how many other structures near it the CNN took for
    a bladder. scant: whether the localiser saw far more of a bladder here than the CNN.
    """

    ct: Volume
    mask: Volume
    volume_ml: float
    candidate_masses_ml: tuple[float, ...] = ()
    first_slice: int = 0
    slice_doubt: tuple[float, ...] = ()
    beyond_field: bool = False
    contradicted: bool = False
    rivals: int = 0
    scant: bool = False


def warnings_of(contoured: Contoured) -> tuple[QualityWarning, ...]:
    """Every warning that applies, in the order of RULES."""
    found = (rule(contoured) for rule in RULES)
    return tuple(warning for warning in found if warning is not None)


def cut_bladder(contoured: Contoured) -> QualityWarning | None:
    """The contour reaches the end of the scan, the picture's edge, or the edge of the scanner's round field.

    The scan ends where its body does: a volume that was resampled to a taller grid has slices of nothing there. A file
    may hold the planes across the patient along any of its axes.
    """
    mask, geometry = contoured.mask.array, contoured.mask.geometry
    box = bounding_box(mask, margin=1)
    part = mask[box] > 0
    low_field = contoured.ct.array[box] <= PADDING_BELOW_HU
    across = 2 - geometry.longitudinal_axis
    ends, sides = (np.zeros(part.shape, dtype=bool) for _ in range(2))
    filled = np.flatnonzero(part.any(axis=tuple({0, 1, 2} - {across})))
    first, last = _body_planes(contoured.ct, across)
    lowest, highest = (int(filled[end]) + box[across].start for end in (0, -1))
    for number, left in ((filled[0], lowest - first), (filled[-1], last - highest)):
        if left * geometry.spacing_mm[geometry.longitudinal_axis] < END_MM:
            _mark(ends, part, across, int(number))
    for axis in range(3):
        reached = ends if axis == across else sides
        for end, is_edge in ((0, box[axis].start == 0), (-1, box[axis].stop == mask.shape[axis])):
            if is_edge:
                _mark(reached, part, axis, end)
        for step in (1, -1):
            reached |= part & np.roll(low_field, step, axis=axis)
    slices = np.flatnonzero((ends | sides).any(axis=(1, 2))) + box[0].start
    if not slices.size:
        return None
    where = " and ".join(
        words for words, is_so in (("the end of the scan", ends.any()), ("the edge of the image", sides.any())) if is_so
    )
    return QualityWarning(
        "bladder-cut",
        "warning",
        f"The bladder reaches {where}: part of it was not imaged, so contour and volume are incomplete.",
        tuple(slices.tolist()),
    )


def _body_planes(ct: Volume, axis: int) -> tuple[int, int]:
    """The first and the last plane along an array axis that show anything of a body; of all where none does."""
    planes = np.moveaxis(ct.array, axis, 0)
    numbers = range(len(planes))
    first, last = (
        next((number for number in order if (planes[number] > BODY_HU).any()), order[0])
        for order in (numbers, numbers[::-1])
    )
    return first, last


def _mark(marked: np.ndarray, part: np.ndarray, axis: int, plane: int) -> None:
    """Mark what `part` has in one plane."""
    np.moveaxis(marked, axis, 0)[plane] |= np.moveaxis(part, axis, 0)[plane]


def implausible_volume(contoured: Contoured) -> QualityWarning | None:
    """The volume is one that bladders seldom have."""
    volume_ml = contoured.volume_ml
    if SMALLEST_PLAUSIBLE_ML <= volume_ml <= LARGEST_PLAUSIBLE_ML:
        return None
    if volume_ml < SMALLEST_PLAUSIBLE_ML:
        why = "a collapsed bladder, or another structure"
    else:
        why = "a very full bladder, or neighbouring fluid contoured with it"
    return QualityWarning(
        "implausible-volume", "warning", f"The contour holds {volume_ml:.0f} mL: {why}. Check every slice."
    )


def metal_nearby(contoured: Contoured) -> QualityWarning | None:
    """Metal in the same slices as the bladder, or close above or below it, within METAL_REACH_MM."""
    box = bounding_box(contoured.mask.array)
    steps_mm, shape = contoured.mask.geometry.spacing_mm[::-1], contoured.mask.array.shape
    around = tuple(
        widened(part, METAL_REACH_MM / step, size) for part, step, size in zip(box, steps_mm, shape, strict=True)
    )
    metal = contoured.ct.array[around] > METAL_HU
    if np.count_nonzero(metal) * contoured.mask.geometry.voxel_ml < METAL_SMALLEST_ML:
        return None
    affected = np.flatnonzero(metal.any(axis=(1, 2))) + around[0].start
    shared = affected[(affected >= box[0].start) & (affected < box[0].stop)]
    return QualityWarning(
        "metal",
        "warning",
        f"There is metal within {METAL_REACH_MM:.0f} mm of the bladder: streaks may have moved the contour.",
        tuple(shared.tolist()),
    )


def contrast_inside(contoured: Contoured) -> QualityWarning | None:
    """Contrast medium fills the bladder or lies in it as a layer."""
    box = bounding_box(contoured.mask.array)
    mask = contoured.mask.array[box] > 0
    hu = contoured.ct.array[box]
    inside = hu[mask]
    mean_hu = float(inside.mean(dtype=np.float64))
    bright = mask & (hu > CONTRAST_LAYER_HU)
    share = np.count_nonzero(bright) / inside.size
    # A bright layer alone lifts the mean of all. Little contrast medium, evenly mixed, lifts that of the rest too.
    rest = inside[inside <= CONTRAST_LAYER_HU]
    is_filled = share >= CONTRAST_FILLED_SHARE or float(rest.mean(dtype=np.float64)) > CONTRAST_MEAN_HU
    if is_filled and mean_hu > CONTRAST_MEAN_HU:
        sentence = f"The bladder is filled with contrast medium (mean {mean_hu:.0f} HU): check the wall all around."
        return QualityWarning("contrast", "note", sentence)
    if share > CONTRAST_LAYER_SHARE:
        slices = np.flatnonzero(bright.any(axis=(1, 2))) + box[0].start
        sentence = (
            "Part of the bladder is bright (a layer of contrast medium, a catheter or a stone): check the border there."
        )
        return QualityWarning("contrast", "note", sentence, tuple(slices.tolist()))
    return None


def off_scale(contoured: Contoured) -> QualityWarning | None:
    """Fat and muscle do not have the values that they have in a calibrated CT."""
    off_hu = off_by_hu(contoured.ct)
    if off_hu == 0:
        return None
    way = "high" if off_hu > 0 else "low"
    return QualityWarning(
        "hu-scale",
        "warning",
        f"All values of this CT seem to be about {abs(off_hu)} HU too {way}, as in some cone beam CT. The networks "
        "know calibrated CT alone: check every slice, or use a CT in which fat has about -100 HU.",
    )


def several_candidates(contoured: Contoured) -> QualityWarning | None:
    """Another structure looked like a bladder too."""
    masses = contoured.candidate_masses_ml
    on_the_whole = sum(mass >= RIVAL_SHARE * masses[0] for mass in masses[1:])
    rivals = max(on_the_whole, contoured.rivals)
    if not rivals:
        return None
    return QualityWarning(
        "several-candidates",
        "warning",
        f"{rivals + 1} structures look like a bladder (a fluid-filled bowel loop or a cyst?): "
        "check that the right one was contoured.",
    )


def unsure_slices(contoured: Contoured) -> QualityWarning | None:
    """Slices that somebody will probably have to correct."""
    slices = tuple(
        contoured.first_slice + number for number, doubt in enumerate(contoured.slice_doubt) if doubt > UNSURE
    )
    if not slices:
        return None
    where = "In one slice" if len(slices) == 1 else f"In {len(slices)} slices"
    return QualityWarning(
        "unsure-slices",
        "warning",
        f"{where} the contour probably has to be corrected: look at these first.",
        slices,
    )


def contradicted(contoured: Contoured) -> QualityWarning | None:
    """The networks do not agree with each other, or with themselves."""
    if contoured.scant:
        sentence = (
            "On the whole scan far more of a bladder was seen here than from close by, which the contour is from: part "
            "of it may be missing, or this is another structure. Check every slice of it."
        )
    elif contoured.contradicted:
        sentence = (
            "Looked at from closer, this small bladder was hardly seen, so the contour is that of the first look "
            "alone: check every slice of it."
        )
    else:
        return None
    return QualityWarning(
        "unsure-slices",
        "warning",
        sentence,
        tuple(np.flatnonzero(contoured.mask.array.any(axis=(1, 2))).tolist()),
    )


def too_large(contoured: Contoured) -> QualityWarning | None:
    """The contour goes on beyond what the networks see at once."""
    if not contoured.beyond_field:
        return None
    filled = np.flatnonzero(contoured.mask.array.any(axis=(1, 2)))
    return QualityWarning(
        "bladder-cut",
        "warning",
        "What was contoured is larger than the field that the network sees at once, and is cut off at its edge: "
        "complete it by hand, or take away what is no bladder.",
        (int(filled[0]), int(filled[-1])),
    )


RULES: Sequence[Callable[[Contoured], QualityWarning | None]] = (
    cut_bladder,
    implausible_volume,
    metal_nearby,
    contrast_inside,
    off_scale,
    several_candidates,
    unsure_slices,
    contradicted,
    too_large,
)


def geometry_warning(sentence: str, severity: str = "warning") -> QualityWarning:
    """What the CT's reader found in the series' geometry."""
    return QualityWarning("geometry", severity, sentence)


def contrast_warning(sentence: str) -> QualityWarning:
    """What contrast medium has changed in the way to the border."""
    return QualityWarning("contrast", "note", sentence)


def fallback_warning(sentence: str) -> QualityWarning:
    """The run took another way than asked."""
    return QualityWarning("fallback", "note", sentence)
