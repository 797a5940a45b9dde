"""The contour of one slice copied to another and snapped to the CT: its own border there, not far from the copy."""

import numpy as np

from ...errors import InputError
from ...imaging.components import as_mask, bounding_box, components, fill_holes, widened
from ...imaging.geometry import Triple
from ...imaging.smoothing import smoothed
from ...imaging.volume import Volume
from ..suitability import in_scale
from .appearance import log_odds
from .crf import Solve, crf_change
from .distance import in_plane_mm

MARGIN_MM = 15.0
FARTHEST_MOVE_MM = 8.0
MM_PER_LOGIT = 2.0
APPEARANCE = 1.0
SMOOTH_MM = 1.5
_SURE = 12.0


def copy_and_fit(ct: Volume, mask: Volume, source: int, target: int, solve: Solve, crf_spacing_mm: Triple) -> Volume:
    """The mask (uint8) with the contour of axial slice `source` on slice `target`, fitted to the CT (HU) there.

    The slices are indices along z; no other slice changes. How the organ looks is learned from the source slice. The
    border moves by FARTHEST_MOVE_MM at most. Raises InputError: a slice that is not there, the same one twice, a
    source slice without a contour, a target slice whose CT shows nothing like it.
    """
    last = len(mask.array) - 1
    if not (0 <= source <= last and 0 <= target <= last) or source == target:
        raise InputError(f"Copying needs two different slices between 0 and {last}; {source} and {target} were given.")
    drawn = mask.array[[source]] > 0
    if not drawn.any():
        raise InputError(f"Slice {source} has no contour to copy. Choose a slice on which the bladder is drawn.")
    x_mm, y_mm, z_mm = ct.geometry.spacing_mm
    _, rows, columns = bounding_box(drawn)
    rows = widened(rows, MARGIN_MM / y_mm, drawn.shape[1])
    columns = widened(columns, MARGIN_MM / x_mm, drawn.shape[2])
    pair = [source, target]
    copied = drawn[0, rows, columns]
    distance = np.repeat(in_plane_mm(copied[None], (y_mm, x_mm)), 2, axis=0)
    hu = in_scale(ct.array[pair][:, rows, columns])
    known = np.zeros(distance.shape, dtype=bool)
    known[0] = True
    odds = log_odds(smoothed(hu, ct.geometry.spacing_mm, SMOOTH_MM), distance, known)
    unary = -distance / MM_PER_LOGIT + APPEARANCE * odds
    unary[0] = np.where(copied, _SURE, -_SURE)
    apart_mm = max(abs(target - source) * z_mm, z_mm)
    solved = unary + crf_change(unary, hu, (x_mm, y_mm, apart_mm), solve, (*crf_spacing_mm[:2], apart_mm))
    fitted = ((solved[1] > 0) | (distance[1] < -FARTHEST_MOVE_MM)) & (distance[1] < FARTHEST_MOVE_MM)
    kept = _without_specks(fitted, copied)
    if not kept.any():
        raise InputError(f"The CT shows nothing like this contour in slice {target}. Draw it by hand there.")
    result = as_mask(mask.array)
    result[target] = 0
    result[target, rows, columns] = kept
    return Volume(result, mask.geometry)


def _without_specks(fitted: np.ndarray, copied: np.ndarray) -> np.ndarray:
    """The fitted parts (y, x) that overlap the copied contour by more than a tenth of themselves, without holes."""
    labels, parts = components(fitted[None], np.ones((1, *fitted.shape)))
    kept = [part.label for part in parts if (copied & (labels[0] == part.label)).sum() > 0.1 * part.voxels]
    return fill_holes(np.isin(labels, kept))[0]
