"""How far two methods differ on the same cases, with an interval: paired, by drawing trainings and cases anew."""

from dataclasses import dataclass

import numpy as np

RESAMPLINGS, AT_ONCE = 10_000, 500
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over trainings and cases, and its bootstrap interval of LEVEL."""

    mean: float
    low: float
    high: float


def interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """The mean of `values`, (seeds, cases) or of one training (cases,), and the percentiles of means of such drawings.

    As many trainings and cases as there are, both drawn with replacement: other trainings differ as other cases do.
    With three trainings it is far too narrow for its level: where nothing but chance differs, one in four leaves out 0.
    Seeded: the same values give the same interval. Raises ValueError where there is no value.
    """
    values = np.atleast_2d(np.asarray(values, dtype=float))
    if values.size == 0:
        raise ValueError("there is no case to draw from")
    rng = np.random.default_rng(0)
    means = []
    for _ in range(RESAMPLINGS // AT_ONCE):
        seeds, cases = (rng.integers(count, size=(AT_ONCE, count)) for count in values.shape)
        means.append(values[seeds[:, :, None], cases[:, None, :]].mean(axis=(1, 2)))
    low, high = np.percentile(np.concatenate(means), [50 * (1 - level), 50 * (1 + level)])
    return Interval(float(values.mean()), float(low), float(high))


def paired_interval(ours: np.ndarray, theirs: np.ndarray) -> Interval:
    """Mean difference of two methods with its interval; values (seeds, cases), the same seeds and cases in both.

    Raises ValueError: other cases or seeds.
    """
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    if ours.shape != theirs.shape or ours.ndim != 2:
        raise ValueError(f"{ours.shape} and {theirs.shape} are not the same seeds and cases")
    return interval(ours - theirs)
