"""The networks at work on one device: HU arrays in, probabilities or logits out."""

import contextlib
import copy
from collections.abc import Iterator

import numpy as np
import torch

from ..imaging.geometry import Triple
from ..networks.channels import dual_channel
from ..networks.number_type import autocast
from ..networks.plan import Plan, StagePlan
from ..networks.vnet import VNet
from ..networks.weights import Networks
from .device import free_memory


def bladder_probability(logits: torch.Tensor) -> np.ndarray:
    """Probability of class 1 (the bladder), float32 (Z, Y, X), from the logits (1, L, Z, Y, X) of one crop."""
    return torch.softmax(logits.float(), dim=1)[0, 1].cpu().numpy()


class Inference:
    """Copies of the three networks on `device`, in evaluation mode. The given ones stay where they are.

    frugal: a network stands on the device only while it computes, and the CRF-RNN, which needs the most memory,
    computes on the processor.
    """

    def __init__(self, networks: Networks, device: torch.device, frugal: bool = False) -> None:
        self.plan: Plan = networks.plan
        self.device = device
        self.frugal = frugal
        at_rest = torch.device("cpu") if frugal else device
        self._crf_device = at_rest
        self._localiser = copy.deepcopy(networks.localiser).to(at_rest).eval()
        self._segmenter = copy.deepcopy(networks.segmenter).to(at_rest).eval()
        self._crf = copy.deepcopy(networks.crf).to(at_rest).eval()

    def localise(self, hu: np.ndarray) -> np.ndarray:
        """Bladder probability (Z, Y, X) of a coarse window."""
        return bladder_probability(self._logits(self._localiser, self.plan.localiser, hu))

    def segment(self, hu: np.ndarray, mirrored: bool = False) -> torch.Tensor:
        """The CNN's logits (1, L, Z, Y, X) of a crop (Z, Y, X) at working resolution, float32 on the device.

        mirrored: shown to the CNN with left and right exchanged, and its answer exchanged back.
        """
        logits = self._logits(self._segmenter, self.plan.segmenter, hu[..., ::-1] if mirrored else hu)
        return logits.flip(-1) if mirrored else logits

    def sharpen(self, logits: torch.Tensor, hu: np.ndarray, spacing_mm: Triple) -> torch.Tensor:
        """The CRF-RNN's logits of the CNN's `logits` on the crop `hu` (Z, Y, X)."""
        with torch.inference_mode():
            return self._crf(logits.to(self._crf_device), self._tensor(hu, self._crf_device), spacing_mm)

    def solve(self, logits: torch.Tensor, hu: np.ndarray, spacing_mm: Triple) -> torch.Tensor:
        """As `sharpen`, but before the CRF-RNN's temperature: in the scale of the `logits` that it was given."""
        refined = self.sharpen(logits, hu, spacing_mm)
        log_temperature = self._crf.log_temperature
        return refined if log_temperature is None else refined * log_temperature.detach().exp()

    def _logits(self, network: VNet, stage: StagePlan, hu: np.ndarray) -> torch.Tensor:
        with torch.inference_mode(), self._at_work(network):
            channels = dual_channel(self._tensor(hu, self.device), stage.intensity)
            with autocast(self.device):
                return network(channels).float()

    @contextlib.contextmanager
    def _at_work(self, network: VNet) -> Iterator[None]:
        """Where memory is short, the network comes to the device and leaves it again."""
        if not self.frugal:
            yield
            return
        free_memory(self.device)
        try:
            network.to(self.device)
            yield
        finally:
            network.cpu()

    def _tensor(self, hu: np.ndarray, device: torch.device) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(hu, dtype=np.float32))[None].to(device)
