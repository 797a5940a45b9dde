"""Connected parts of a mask, by how much probability they hold; holes closed. Voxels connect through faces."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

Index = tuple[float, float, float]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Component:
    """One connected part. `mass` sums its weights (voxels when they are probabilities of 1).

    label: its number in the label array; voxels: how many; centroid: weighted mean index (x, y, z).
    """

    label: int
    mass: float
    voxels: int
    centroid: Index


def components(mask: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, tuple[Component, ...]]:
    """The connected parts of a (z, y, x) mask, heaviest first, and the array of their labels (0: none)."""
    image = sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8)), False)
    labels = sitk.GetArrayFromImage(image)
    where = np.nonzero(labels)
    which = labels[where]
    if not which.size:
        return labels, ()
    weight = weights[where].astype(float)
    voxels = np.bincount(which)
    mass = np.bincount(which, weight)
    moments = [np.bincount(which, weight * axis) for axis in where[::-1]]
    found = [
        Component(
            label=label,
            mass=float(mass[label]),
            voxels=int(voxels[label]),
            centroid=tuple(float(moment[label] / mass[label]) for moment in moments),
        )
        for label in range(1, len(voxels))
        if mass[label] > 0
    ]
    return labels, tuple(sorted(found, key=lambda component: -component.mass))


def slice_parts(mask: np.ndarray) -> np.ndarray:
    """Labels (0: none) of the connected parts that a (z, y, x) mask has in each slice, apart from all other slices."""
    apart = np.zeros((2 * len(mask), *mask.shape[1:]), dtype=np.uint8)
    apart[::2] = mask
    return sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(apart), False))[::2]


def heaviest(mask: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The part of a (z, y, x) mask that holds the most weight, boolean; empty where the mask is."""
    box = bounding_box(mask)
    if box is None:
        return np.zeros(mask.shape, dtype=bool)
    result = np.zeros(mask.shape, dtype=bool)
    labels, found = components(mask[box], weights[box])
    if found:
        result[box] = labels == found[0].label
    return result


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """A (z, y, x) mask, boolean, without cavities in space and without holes in any slice of its first axis."""
    box = bounding_box(mask)
    if box is None:
        return mask.astype(bool)
    solid = np.pad(mask[box].astype(bool), 1)
    solid |= _enclosed(solid)
    # slices set apart by full ones, as in `slice_parts`: one labelling finds the holes of all of them
    apart = np.ones((2 * len(solid), *solid.shape[1:]), dtype=bool)
    apart[::2] = solid
    solid |= _enclosed(apart)[::2]
    result = mask.astype(bool)
    result[box] = solid[1:-1, 1:-1, 1:-1]
    return result


def _enclosed(solid: np.ndarray) -> np.ndarray:
    """Where the background does not reach the first corner of its slice (slices end in background)."""
    background = sitk.GetImageFromArray((~solid).astype(np.uint8))
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(background, False))
    return ~solid & (labels != labels[:, :1, :1])


def bounding_box(values: np.ndarray, margin: int = 0, above: float = 0) -> Box | None:
    """Slices (z, y, x) of the smallest box around what is greater than `above`, which is 0 or more: of a mask, or of a
    probability; widened by `margin` within the array. None where nothing is.
    """
    layers = np.flatnonzero(values.max(axis=(1, 2), initial=0) > above)
    if not layers.size:
        return None
    # one look at the whole array, the rest on its projection: a CT has forty million voxels
    shadow = values[layers[0] : layers[-1] + 1].max(axis=0) > above
    filled = (layers, np.flatnonzero(shadow.any(axis=1)), np.flatnonzero(shadow.any(axis=0)))
    return tuple(
        slice(max(int(which[0]) - margin, 0), min(int(which[-1]) + 1 + margin, size))
        for which, size in zip(filled, values.shape, strict=True)
    )


def as_mask(values: np.ndarray) -> np.ndarray:
    """1 where values (z, y, x) are greater than 0, uint8; memory is touched nowhere but in their box."""
    mask = np.zeros(values.shape, dtype=np.uint8)
    box = bounding_box(values)
    if box is not None:
        mask[box] = values[box] > 0
    return mask


def widened(part: slice, voxels: float, size: int) -> slice:
    """A part of an axis of `size` voxels, with so many more on both sides as there are."""
    return slice(max(part.start - round(voxels), 0), min(part.stop + round(voxels), size))


def box_of_both(one: Box | None, other: Box | None) -> Box | None:
    """The smallest box that holds both."""
    if one is None or other is None:
        return one or other
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
