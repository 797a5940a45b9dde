"""Which of the voxels that were changed come from strokes in the sagittal and coronal views. No scene.

Nothing tells in which view a voxel was painted but the shape of the change: Slicer's brush paints one voxel thick
across the view, two where the view lies between voxels, and more where somebody painted on neighbouring planes. In an
axial slice such a stroke is a straight bar, and the same bar goes on through many slices. What is no such bar counts as
edited in the axial view, and so in doubt does all else: a small dab, a sphere brush, scissors.
"""

import functools

import numpy as np

THICKEST = 3
"""In voxels: what is thicker is no stroke of another view."""
LEAST_SLICES = 6
"""So many slices, one beside the other, does a stroke cross: the same bar on fewer can have been drawn one by one."""
MOST_BESIDE = 1 / 3
"""Of a bar's length so much may have other changes at its sides: a stroke of the third view that crosses it."""
LEAST_FILLED = 3 / 4
"""So much of a bar's rows, each as wide as the bar, is changed: less is a slanting line."""
LENGTH_PER_STEP = 3
"""For every voxel of thickness after the first, a bar is on average so many voxels longer: a square is no stroke."""


def in_other_views(changed: np.ndarray) -> np.ndarray:
    """Of the changed voxels, boolean (z, y, x), those that strokes in a sagittal or a coronal view changed."""
    turned = np.ascontiguousarray(changed.swapaxes(1, 2))
    return _sagittal(changed) | _sagittal(turned).swapaxes(1, 2)


def _sagittal(changed: np.ndarray) -> np.ndarray:
    """The voxels (z, y, x) of bars along y that go on from slice to slice."""
    found = np.zeros(changed.shape, bool)
    framed = np.pad(changed, ((0, 0), (1, 1), (1, 1)))
    near = framed[:, :-2] | framed[:, 1:-1] | framed[:, 2:]  # changed there, or one voxel before or behind
    for thick in range(1, min(THICKEST, changed.shape[2]) + 1):
        places = changed.shape[2] - thick + 1
        columns = [changed[:, :, first : first + places] for first in range(thick)]
        rows = functools.reduce(np.logical_or, columns)
        beside = rows & (near[:, :, :places] | near[:, :, thick + 1 :])
        length, filled = _counts(rows), sum(_counts(column) for column in columns)  # (z, first x)
        bar = length > 0
        bar &= _counts(beside) <= MOST_BESIDE * length
        bar &= filled >= LEAST_FILLED * thick * length
        for first in np.flatnonzero(bar.sum(axis=0) >= LEAST_SLICES):
            stroke = _going_on(bar[:, first], length[:, first], LENGTH_PER_STEP * (thick - 1))
            part = slice(first, first + thick)
            found[stroke, :, part] |= changed[stroke, :, part]
    return found


def _counts(voxels: np.ndarray) -> np.ndarray:
    """How many voxels (z, y, x) each column along y holds; numpy takes twenty times as long to count truths."""
    return voxels.view(np.uint8).sum(axis=1, dtype=np.int32)


def _going_on(bar: np.ndarray, length: np.ndarray, least_length: int) -> np.ndarray:
    """The slices, rising, whose bar is part of a stroke. Where the axial view was edited too, the stroke goes on."""
    ends = np.flatnonzero(np.diff(np.concatenate([[False], length > 0, [False]])))
    runs = [first + np.flatnonzero(bar[first:end]) for first, end in ends.reshape(-1, 2)]
    kept = [run for run in runs if len(run) >= LEAST_SLICES and length[run].mean() >= least_length]
    return np.concatenate([np.zeros(0, int), *kept])
