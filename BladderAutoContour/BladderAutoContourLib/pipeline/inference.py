"""The networks at work on one device: HU arrays in, probabilities or logits out."""

import copy

import numpy as np
import torch

from ..networks.channels import dual_channel
from ..networks.plan import Plan, StagePlan, Triple
from ..networks.vnet import VNet
from ..networks.weights import Networks
from .device import autocast


def bladder_probability(logits: torch.Tensor) -> np.ndarray:
    """Probability of class 1 (the bladder), float32 (Z, Y, X), from the logits (1, L, Z, Y, X) of one crop."""
    return torch.softmax(logits.float(), dim=1)[0, 1].cpu().numpy()


class Inference:
    """Copies of the three networks on `device`, in evaluation mode. The given ones stay where they are."""

    def __init__(self, networks: Networks, device: torch.device) -> None:
        self.plan: Plan = networks.plan
        self.device = device
        self._localiser = copy.deepcopy(networks.localiser).to(device).eval()
        self._segmenter = copy.deepcopy(networks.segmenter).to(device).eval()
        self._crf = copy.deepcopy(networks.crf).to(device).eval()

    def localise(self, hu: np.ndarray) -> np.ndarray:
        """Bladder probability (Z, Y, X) of a coarse window."""
        return bladder_probability(self._logits(self._localiser, self.plan.localiser, hu))

    def segment(self, hu: np.ndarray) -> torch.Tensor:
        """The CNN's logits (1, L, Z, Y, X) of a crop at working resolution, float32 on the device."""
        return self._logits(self._segmenter, self.plan.segmenter, hu)

    def sharpen(self, logits: torch.Tensor, hu: np.ndarray, spacing_mm: Triple) -> torch.Tensor:
        """The CRF-RNN's logits of the CNN's `logits` on the crop `hu` (Z, Y, X)."""
        with torch.inference_mode():
            return self._crf(logits, self._tensor(hu), spacing_mm)

    def solve(self, logits: torch.Tensor, hu: np.ndarray, spacing_mm: Triple) -> torch.Tensor:
        """As `sharpen`, but before the CRF-RNN's temperature: in the scale of the `logits` that it was given."""
        refined = self.sharpen(logits.to(self.device), hu, spacing_mm)
        log_temperature = self._crf.log_temperature
        return refined if log_temperature is None else refined * log_temperature.detach().exp()

    def _logits(self, network: VNet, stage: StagePlan, hu: np.ndarray) -> torch.Tensor:
        with torch.inference_mode():
            channels = dual_channel(self._tensor(hu), stage.intensity)
            with autocast(self.device):
                logits = network(channels).float()
                if stage.mirrored:
                    logits = (logits + network(channels.flip(-1)).float().flip(-1)) / 2
            return logits

    def _tensor(self, hu: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(hu, dtype=np.float32))[None].to(self.device)
