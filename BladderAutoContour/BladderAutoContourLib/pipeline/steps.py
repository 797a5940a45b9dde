"""The steps of a run: what each is called, what it costs, and how far it is."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .. import host

Progress = Callable[[str, float], None]
"""Gets a step's name and the done fraction of that step; raises Cancelled when the user asked to stop."""

Tell = Callable[[float], None]
"""Gets the done fraction of the step at hand."""

USUAL_SHARES = {
    "read": 2.0,
    "localise": 1.5,
    "segment": 3.0,
    "restore": 0.5,
    "decide": 0.5,
    "structure-set": 2.0,
    "picture": 1.0,
    "write": 1.0,
}
"""The steps of a run in their order, each with its usual seconds on two cores (for the time left)."""


@dataclass(frozen=True)
class StepCost:
    """Seconds that a step took, and the most memory (MiB) that the process had held by its end."""

    name: str
    seconds: float
    peak_mb: float


class Steps:
    """Times steps and reports them.

    Usage::

        steps = Steps(events.progress)
        with steps.step("localise") as tell:
            tell(0.5)
        steps.costs   # (StepCost("localise", ...),)
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._costs: list[StepCost] = []

    @property
    def costs(self) -> tuple[StepCost, ...]:
        """What the finished steps cost, in order."""
        return tuple(self._costs)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Tell]:
        """Time the block as step `name`; the value tells how far it is."""
        self._progress(name, 0.0)
        begun = time.perf_counter()
        yield lambda fraction: self._progress(name, fraction)
        self._costs.append(StepCost(name, time.perf_counter() - begun, host.peak_memory_mb()))
        self._progress(name, 1.0)
