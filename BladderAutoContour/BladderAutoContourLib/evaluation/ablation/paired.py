"""How far two methods differ on the same cases, with an interval: paired by case, by drawing cases with replacement."""

from dataclasses import dataclass

import numpy as np

RESAMPLINGS, AT_ONCE = 10_000, 500
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over cases and its bootstrap interval of LEVEL."""

    mean: float
    low: float
    high: float


def interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """The mean of `values`, one a case, and the percentiles of the means of as many cases drawn with replacement.

    Seeded: the same values give the same interval. Raises ValueError where there is no value.
    """
    values = np.asarray(values, dtype=float)
    if values.size == 0:
        raise ValueError("there is no case to draw from")
    rng = np.random.default_rng(0)
    means = np.concatenate(
        [
            values[rng.integers(values.size, size=(AT_ONCE, values.size))].mean(axis=1)
            for _ in range(RESAMPLINGS // AT_ONCE)
        ]
    )
    low, high = np.percentile(means, [50 * (1 - level), 50 * (1 + level)])
    return Interval(float(values.mean()), float(low), float(high))


def paired_interval(ours: np.ndarray, theirs: np.ndarray) -> Interval:
    """Mean difference of two methods with its interval; values (seeds, cases), the same seeds and cases in both.

    A case's difference is the mean over the seeds, and cases are drawn: the interval tells what other cases might give
    with these trainings. How far the seeds differ stands beside it, not in it. Raises ValueError: other cases or seeds.
    """
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    if ours.shape != theirs.shape or ours.ndim != 2:
        raise ValueError(f"{ours.shape} and {theirs.shape} are not the same seeds and cases")
    return interval((ours - theirs).mean(axis=0))
