"""The other route to the appearance kernel, measured beside the engine's: a cosine series along intensity.

On differences d of up to R sigmas, `exp(-d^2 / 2) ~ sum over k of c_k cos(w_k d)` with `w_k = 2 pi k / P`: the Fourier
series of a Gaussian that comes again after every period P > R. And `cos(w (I_i - I_j))` is `cos(w I_i) cos(w I_j) +
sin(w I_i) sin(w I_j)`: cosine and sine take the place of the engine's intensity nodes, and everything else is the same,
slabs, kept weights and products included.
"""

import math
from typing import Any

import torch

from ...imaging.geometry import Triple
from ...networks.crf_rnn import CrfRnn
from ...networks.gaussian import BilateralGaussian
from ...networks.plan import CrfPlan


class CosineSeries(BilateralGaussian):
    """As its base, with a cosine series along intensity.

    Its nodes are the frequencies w, one over sigmas: 0, w_1, -w_1, w_2, ...; a negative one is a sine's.
    reach: at how many sigmas the series may err by what the Gaussian still has there, `exp(-reach^2 / 2)`: the period
    is so much longer than the window, and the highest frequency is as far out in the Gaussian's spectrum.
    """

    def __init__(self, reach: float, *kernel: Any) -> None:
        """reach, then what the base takes."""
        self._reach = reach
        super().__init__(*kernel)

    def _place(self, low: float, high: float) -> torch.Tensor:
        self._period = high - low + self._reach
        count = math.ceil(self._reach * self._period / (2 * math.pi))
        waves = 2 * math.pi / self._period * torch.arange(1, count + 1, dtype=torch.float64)
        return torch.cat((torch.zeros(1, dtype=torch.float64), torch.stack((waves, -waves), dim=1).flatten()))

    def _factor(self, intensity: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
        share = torch.where(nodes == 0, 1.0, 2.0) * math.sqrt(2 * math.pi) / self._period * torch.exp(-(nodes**2) / 2)
        phase = torch.where(nodes < 0, math.pi / 2, 0.0)
        return (intensity * nodes.abs()).sub_(phase).cos_().mul_(share.sqrt())


class CosineCrfRnn(CrfRnn):
    """The engine's CRF-RNN, but for the route of its appearance kernel."""

    def __init__(self, plan: CrfPlan, reach: float) -> None:
        super().__init__(plan)
        self._reach = reach

    def appearance(self, hu: torch.Tensor, spacing_mm: Triple) -> CosineSeries:
        """The kernel between the voxels of `hu` (B, Z, Y, X), as a cosine series."""
        plan = self.plan
        widths = (plan.theta_alpha_mm, plan.theta_beta_hu, plan.window_hu)
        return CosineSeries(self._reach, hu, spacing_mm, *widths)
