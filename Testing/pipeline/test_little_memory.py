"""A graphics card whose memory does not suffice: the engine makes do with less of it, then with none, and says so.

The card is the processor under another name, with a cap on what may stand on it at once.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from analytic import Body, ct_of, density_networks, scan_grid
from BladderAutoContourLib.networks.weights import Networks
from BladderAutoContourLib.pipeline.engine import Engine
from BladderAutoContourLib.pipeline.inference import Inference

CARD, PROCESSOR = torch.device("cuda"), torch.device("cpu")


def bytes_of(*modules: torch.nn.Module) -> int:
    return sum(value.nbytes for module in modules for value in module.state_dict().values())


class SmallCard(Inference):
    """A card that holds `cap` bytes of weights."""

    cap = 0

    def __init__(self, networks: Networks, device: torch.device, frugal: bool = False) -> None:
        super().__init__(networks, PROCESSOR, frugal)
        self.device = device
        if not frugal:
            self._hold(self._localiser, self._segmenter, self._crf)

    def _logits(self, network: torch.nn.Module, *rest: object) -> torch.Tensor:
        self._hold(network, *(() if self.frugal else (self._localiser, self._segmenter, self._crf)))
        with self._as_processor():
            return super()._logits(network, *rest)

    def _hold(self, *modules: torch.nn.Module) -> None:
        if bytes_of(*dict.fromkeys(modules)) > self.cap:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    @contextlib.contextmanager
    def _as_processor(self) -> Iterator[None]:
        self.device = PROCESSOR
        try:
            yield
        finally:
            self.device = CARD


def contour_on(card: type[SmallCard], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "small")
    networks = density_networks()
    engine = Engine(networks, "cpu")
    whole, card.cap = card.cap, 1 << 40  # the weights went on it; what they need at work is too much
    engine._inference = card(networks, CARD)
    card.cap = whole
    return engine.contour(ct_of(Body(), scan_grid()), lambda step, fraction: None)


def test_with_room_for_one_network_it_takes_turns_and_says_so(monkeypatch) -> None:
    networks = density_networks()
    one = max(bytes_of(networks.localiser), bytes_of(networks.segmenter))
    card = type("OneAtATime", (SmallCard,), {"cap": one})
    contouring = contour_on(card, monkeypatch)
    assert contouring.device.startswith("GPU (small)")
    (note,) = [warning for warning in contouring.warnings if warning.code == "fallback"]
    assert "one network at a time" in note.sentence
    plain = Engine(networks, "cpu").contour(ct_of(Body(), scan_grid()), lambda step, fraction: None)
    assert np.array_equal(contouring.mask.array, plain.mask.array)


def test_with_room_for_none_it_goes_to_the_processor_and_says_so(monkeypatch) -> None:
    contouring = contour_on(type("Full", (SmallCard,), {"cap": 0}), monkeypatch)
    assert contouring.device.startswith("CPU")
    (note,) = [warning for warning in contouring.warnings if warning.code == "fallback"]
    assert "on the processor" in note.sentence
    assert contouring.mask.array.any()


def test_another_failure_than_the_cards_is_not_hidden(monkeypatch) -> None:
    def fail(self: SmallCard, *rest: object) -> torch.Tensor:
        raise RuntimeError("shapes do not agree")

    with pytest.raises(RuntimeError, match="shapes"):
        contour_on(type("Faulty", (SmallCard,), {"cap": 1 << 40, "_logits": fail}), monkeypatch)
