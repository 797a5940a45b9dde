"""Where work is done: on the device asked for, with less of its memory, at last on the processor; and it is said."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from .. import streams
from ..networks.weights import Networks
from .device import (
    CARD_ERRORS,
    describe,
    first_line,
    free_memory,
    is_device_failure,
    is_out_of_memory,
    processor_instead,
    resolve_device,
)
from .inference import Inference

Result = TypeVar("Result")

LESS_MEMORY = (
    "The graphics card has little free memory: part of the work was done on the processor, which takes longer."
)
ON_PROCESSOR = "The graphics card failed or has too little memory: the processor was used instead."


@dataclass(frozen=True)
class Computed(Generic[Result]):
    """What came of some work. device: where it was done, in words; fallback: a sentence where that was not as asked.

    failures: what the graphics card said of each attempt on it that failed.
    """

    result: Result
    device: str
    fallback: str = ""
    failures: tuple[str, ...] = ()


class Workplace:
    """The networks on the device of a wish (auto, cuda, cpu), and what to do where that device fails.

    A card that is full when the networks are to be loaded is tried again with every work. Raises EnvironmentFault for a
    device that is not there or cannot compute.
    """

    def __init__(self, networks: Networks, wish: str) -> None:
        self._networks = networks
        self._device = resolve_device(wish)
        self._instead = processor_instead(wish)
        self._words = ""
        self._loaded: Inference | None = None
        self.compute(lambda inference: None)  # loaded before the first CT comes

    @property
    def device(self) -> str:
        """The device that is tried first, in words; kept, because a card that has failed might not tell them again."""
        if not self._words:
            self._words = describe(self._device)
        return self._words

    def compute(self, work: Callable[[Inference], Result]) -> Computed[Result]:
        """Do `work`; where the card's memory does not suffice, with less of it; where the card fails, on the processor.

        Raises whatever `work` raises that is no failure of the card.
        """
        try:
            return self._compute(work)
        finally:
            self._free_card()

    def _compute(self, work: Callable[[Inference], Result]) -> Computed[Result]:
        failures: tuple[str, ...] = ()
        try:
            return Computed(work(self._as_asked()), self.device, self._instead)
        except CARD_ERRORS as error:
            if self._device.type == "cpu" or not is_device_failure(error):
                raise
            failures += (_told(error),)
            short_of_memory = is_out_of_memory(error)
        # outside the handler, whose traceback would keep alive what the failed attempt holds on the card
        self._loaded = None
        if short_of_memory:
            try:
                frugal = Inference(self._networks, self._device, frugal=True)
                return Computed(work(frugal), self.device, LESS_MEMORY, failures)
            except CARD_ERRORS as error:
                if not is_device_failure(error):
                    raise
                failures += (_told(error),)
        processor = torch.device("cpu")
        return Computed(work(Inference(self._networks, processor)), describe(processor), ON_PROCESSOR, failures)

    def _as_asked(self) -> Inference:
        if self._loaded is None:
            self._loaded = Inference(self._networks, self._device)
        return self._loaded

    def _free_card(self) -> None:
        """Leave to other programs what the next work can take again: it may be hours away."""
        try:
            free_memory(self._device)
        except CARD_ERRORS as error:
            if not is_device_failure(error):  # such a one concerns the next work, which tells it
                raise


def _told(error: Exception) -> str:
    """What the card said, put on standard error, too: the fallback's sentence alone would not help to mend it."""
    reason = first_line(error)
    streams.complain(f"The graphics card failed: {reason}")
    return reason
