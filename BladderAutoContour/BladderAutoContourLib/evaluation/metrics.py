"""How well a predicted bladder agrees with a reference: overlap, volume, and distances between the surfaces.

One case at a time, on the CT's own grid, both directions alike (the paper pools cases on its crop and measures surfaces
one way). A surface is the set of mask voxels with a face on the outside; what lies beyond the grid is outside.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..imaging.geometry import Triple

TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class Scores:
    """The agreement of one case. Shares lie in [0, 1]; distances are NaN where one of the masks is empty.

    dice: DSC. iou: intersection over union; voe: 1 - iou. rvd: (predicted - reference) / reference volume, signed.
    pixel_accuracy: share of all voxels of the grid with the right label. asd_mm, msd_mm: mean and largest distance from
    a surface voxel to the other surface, over both surfaces. hd95_mm: the larger of the two directed 95th percentiles.
    surface_dice_2mm: share of both surfaces' voxels within 2 mm of the other surface.
    """

    dice: float
    iou: float
    voe: float
    rvd: float
    pixel_accuracy: float
    asd_mm: float
    msd_mm: float
    hd95_mm: float
    surface_dice_2mm: float
    volume_ml: float
    reference_ml: float


def score(predicted: np.ndarray, reference: np.ndarray, spacing_mm: Triple) -> Scores:
    """Compare two masks (z, y, x) of one grid; spacing_mm is (x, y, z).

    An empty prediction scores 0 (surface Dice too). Raises ValueError for an empty reference or different shapes.
    """
    predicted, reference = np.asarray(predicted) > 0, np.asarray(reference) > 0
    if predicted.shape != reference.shape:
        raise ValueError(f"the prediction's grid {predicted.shape} is not the reference's {reference.shape}")
    found, true = int(predicted.sum()), int(reference.sum())
    if true == 0:
        raise ValueError("the reference is empty: there is nothing to compare with")
    both = int((predicted & reference).sum())
    union = found + true - both
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    there, back = surface_distances_mm(predicted, reference, spacing_mm)
    return Scores(
        dice=2 * both / (found + true),
        iou=both / union,
        voe=1 - both / union,
        rvd=(found - true) / true,
        pixel_accuracy=1 - (union - both) / predicted.size,
        **_distance_scores(there, back),
        volume_ml=found * voxel_ml,
        reference_ml=true * voxel_ml,
    )


def dice(predicted: np.ndarray, reference: np.ndarray) -> float:
    """DSC of two masks of one grid; 0 where either is empty."""
    predicted, reference = np.asarray(predicted) > 0, np.asarray(reference) > 0
    total = int(predicted.sum()) + int(reference.sum())
    return 2 * int((predicted & reference).sum()) / total if total else 0.0


def surface_distances_mm(
    predicted: np.ndarray, reference: np.ndarray, spacing_mm: Triple, axes: tuple[int, ...] = (0, 1, 2)
) -> tuple[np.ndarray, np.ndarray]:
    """Distance from every surface voxel of `predicted` to the surface of `reference`, and the other way round.

    Boolean masks (z, y, x) of one grid; only faces across `axes` make a surface. Both results are empty where one of
    the masks is.
    """
    if not (predicted.any() and reference.any()):
        return np.empty(0), np.empty(0)
    box = _box(predicted | reference)
    ours, theirs = surface(predicted[box], axes), surface(reference[box], axes)
    return distances_mm(theirs, spacing_mm)[ours], distances_mm(ours, spacing_mm)[theirs]


def hd95_mm(there: np.ndarray, back: np.ndarray) -> float:
    """The larger 95th percentile of the distances of both directions, neither of them empty."""
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def surface(mask: np.ndarray, axes: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    """The voxels of a boolean mask (z, y, x) that have a face on the outside; only faces across `axes` count."""
    padded = np.pad(mask, 1)
    inner = mask.copy()
    for axis in axes:
        for shift in (-1, 1):
            inner &= np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1]
    return mask & ~inner


def distances_mm(points: np.ndarray, spacing_mm: Triple) -> np.ndarray:
    """Distance (mm, float32) from every voxel of the grid to the nearest True voxel of `points` (z, y, x).

    The exact Euclidean distance transform, an axis after the other: squared distances along x, then their minimum over
    y, then over z (Felzenszwalb and Huttenlocher 2012), the minimum taken over all pairs. Infinite where none is True.
    """
    squared = torch.where(torch.from_numpy(np.ascontiguousarray(points)), 0.0, torch.inf)
    for axis, step_mm in zip((2, 1, 0), spacing_mm, strict=True):
        squared = _minimum_along(squared.movedim(axis, 0), step_mm).movedim(0, axis)
    return squared.sqrt_().numpy()


def _minimum_along(squared: torch.Tensor, step_mm: float) -> torch.Tensor:
    """min over j of squared[j] + (step_mm * (i - j))^2, for all i along the first axis."""
    squared = squared.contiguous()
    position = torch.arange(len(squared), dtype=torch.float32) * step_mm
    result = torch.full_like(squared, torch.inf)
    for j in range(len(squared)):
        if bool(torch.isinf(squared[j]).all()):
            continue  # a plane that reaches nothing cannot be the nearest
        away = (position - position[j]) ** 2
        torch.minimum(result, squared[j] + away[:, None, None], out=result)
    return result


def _distance_scores(there: np.ndarray, back: np.ndarray) -> dict[str, float]:
    if not (there.size and back.size):
        return {"asd_mm": np.nan, "msd_mm": np.nan, "hd95_mm": np.nan, "surface_dice_2mm": 0.0}
    both = np.concatenate((there, back)).astype(float)
    return {
        "asd_mm": float(both.mean()),
        "msd_mm": float(both.max()),
        "hd95_mm": hd95_mm(there, back),
        "surface_dice_2mm": float((both <= TOLERANCE_MM + 1e-4).mean()),
    }


def _box(mask: np.ndarray) -> tuple[slice, slice, slice]:
    ends = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        ends.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(ends)
