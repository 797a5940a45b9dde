"""Where work is done: on the device asked for, with less of its memory, at last on the processor; and it is said."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..networks.weights import Networks
from .device import describe, is_device_failure, is_out_of_memory, resolve_device
from .inference import Inference

Result = TypeVar("Result")

LESS_MEMORY = (
    "The graphics card has little free memory: one network at a time was used on it, and the CRF-RNN ran on the "
    "processor."
)
ON_PROCESSOR = "The graphics card failed or has too little memory: the processor was used instead."


@dataclass(frozen=True)
class Computed(Generic[Result]):
    """What came of some work. device: where it was done, in words; fallback: a sentence where that was not as asked."""

    result: Result
    device: str
    fallback: str = ""


class Workplace:
    """The networks on the device of a wish (auto, cuda, cpu), and what to do where that device fails.

    A card that is full when the networks are to be loaded is tried again with every work. Raises EnvironmentFault for a
    device that is not there.
    """

    def __init__(self, networks: Networks, wish: str) -> None:
        self._networks = networks
        self._device = resolve_device(wish)
        self._loaded: Inference | None = None
        self.compute(lambda inference: None)  # loaded before the first CT comes

    @property
    def device(self) -> str:
        """The device that is tried first, in words."""
        return describe(self._device)

    def compute(self, work: Callable[[Inference], Result]) -> Computed[Result]:
        """Do `work`; where the card's memory does not suffice, with less of it; where the card fails, on the processor.

        Raises whatever `work` raises that is no failure of the card.
        """
        try:
            return Computed(work(self._as_asked()), self.device)
        except RuntimeError as error:
            if self._device.type == "cpu" or not is_device_failure(error):
                raise
            short_of_memory = is_out_of_memory(error)
        # outside the handler, whose traceback would keep alive what the failed attempt holds on the card
        if short_of_memory:
            try:
                return self._computed(work, Inference(self._networks, self._device, frugal=True), LESS_MEMORY)
            except RuntimeError as error:
                if not is_device_failure(error):
                    raise
        return self._computed(work, Inference(self._networks, resolve_device("cpu")), ON_PROCESSOR)

    def _as_asked(self) -> Inference:
        if self._loaded is None:
            self._loaded = Inference(self._networks, self._device)
        return self._loaded

    @staticmethod
    def _computed(work: Callable[[Inference], Result], inference: Inference, sentence: str) -> Computed[Result]:
        return Computed(work(inference), describe(inference.device), sentence)
