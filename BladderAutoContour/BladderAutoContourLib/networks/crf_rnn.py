"""The 3-D fully connected CRF as a recurrent network (paper, "3-D fully connected CRF-RNN"; Zheng et al. 2015).

Behind the CNN, trained with it:      logits = crf(vnet(channels), hu, spacing_mm); loss(logits, labels).backward()
Behind a CNN that stays as it is:     for p in vnet.parameters(): p.requires_grad_(False), or detach the CNN's logits
Alone, as post-processing:            with torch.no_grad(): probability = crf(logits, hu, spacing_mm).softmax(1)[:, 1]
A probability map p (0 < p < 1) from elsewhere enters as logits (log(1 - p), log p).
"""

import torch
from torch import nn

from ..imaging.geometry import Triple
from .gaussian import BilateralGaussian, NormalisedFilter, SpatialGaussian
from .plan import CrfPlan


class CrfRnn(nn.Module):
    """Mean field over all pairs of voxels, unrolled `plan.iterations` times.

    The message of a label to voxel i is the mean of its probability over all voxels j, itself included, weighted by
    `exp(-|p_i - p_j|^2 / 2 theta_alpha^2 - (I_i - I_j)^2 / 2 theta_beta^2)` (appearance) or
    `exp(-|p_i - p_j|^2 / 2 theta_gamma^2)` (smoothness). Learned: how labels weigh in both messages, and their
    compatibility. And, where the plan has one, a temperature of the result: mean field makes sure of everything, so
    that a loss which punishes sure mistakes would otherwise teach the messages to vanish.
    """

    def __init__(self, plan: CrfPlan, classes: int = 2) -> None:
        """Weights and temperature start at the plan's values, the compatibility at -I (Potts)."""
        super().__init__()
        self.plan = plan
        self.spatial_weights = nn.Parameter(plan.spatial_weight * torch.eye(classes))
        self.bilateral_weights = nn.Parameter(plan.bilateral_weight * torch.eye(classes))
        self.compatibility = nn.Parameter(-torch.eye(classes))
        log_temperature = None if plan.temperature is None else nn.Parameter(torch.tensor(plan.temperature).log())
        self.register_parameter("log_temperature", log_temperature)

    def forward(self, logits: torch.Tensor, hu: torch.Tensor, spacing_mm: Triple) -> torch.Tensor:
        """Unary logits (B, L, Z, Y, X), CT numbers (B, Z, Y, X) and voxel spacing (x, y, z) to refined logits.

        Computes in float32, or in double when `logits` are double, whatever autocast says. No gradient flows to `hu`.
        Raises ValueError where batch or grid of the two differ.
        """
        if hu.shape != (logits.shape[0], *logits.shape[2:]):
            raise ValueError(f"logits {tuple(logits.shape)} and CT {tuple(hu.shape)} differ in batch or grid")
        unary = logits if logits.dtype == torch.float64 else logits.float()
        with torch.autocast(unary.device.type, enabled=False):
            smoothness, appearance = self._filters(hu.detach().to(unary), spacing_mm)
            # both steps are linear: compatibility (W_spatial s + W_bilateral b) is one product per voxel
            mixing = self.compatibility @ torch.cat((self.spatial_weights, self.bilateral_weights), dim=1)
            mixing = mixing.to(unary)
            refined = unary
            for _ in range(self.plan.iterations):
                # the messages of all labels add up to one, so the last label's needs no filtering
                most = refined.softmax(dim=1)[:, :-1].contiguous()
                messages = torch.cat((_complete(smoothness(most)), _complete(appearance(most))), dim=1)
                refined = unary - torch.einsum("kl,blzyx->bkzyx", mixing, messages)
            if self.log_temperature is not None:
                refined = refined / self.log_temperature.exp().to(refined)
            return refined

    def _filters(self, hu: torch.Tensor, spacing_mm: Triple) -> tuple[NormalisedFilter, NormalisedFilter]:
        ones = torch.ones_like(hu).unsqueeze(1)
        smoothness = SpatialGaussian(hu.shape[-3:], spacing_mm, self.plan.theta_gamma_mm, like=hu)
        return NormalisedFilter(smoothness, ones), NormalisedFilter(self.appearance(hu, spacing_mm), ones)

    def appearance(self, hu: torch.Tensor, spacing_mm: Triple) -> BilateralGaussian:
        """The appearance kernel between the voxels of `hu` (B, Z, Y, X), not normalised yet."""
        plan = self.plan
        return BilateralGaussian(hu, spacing_mm, plan.theta_alpha_mm, plan.theta_beta_hu, plan.window_hu)


def voxel_unit_plan(spacing_mm: Triple, hu_range: tuple[float, float], theta_alpha_voxels: float = 1.0) -> CrfPlan:
    """The plan of a CRF with the starting values of the paper's authors' code, which counts in voxels and scaled HU.

    `theta_alpha_voxels` is in voxels of `spacing_mm` (x, y, z); theta gamma is one such voxel. Theta beta is 0.005 of
    the CT scaled to [0, 1], where `hu_range` (minimum, maximum) is what that scaling spanned.
    """
    x, y, z = spacing_mm
    low, high = hu_range
    return CrfPlan(
        theta_alpha_mm=(theta_alpha_voxels * x, theta_alpha_voxels * y, theta_alpha_voxels * z),
        theta_beta_hu=0.005 * (high - low),
        theta_gamma_mm=spacing_mm,
        window_hu=(low, high),
        iterations=3,
        spatial_weight=1.0,
        bilateral_weight=15.0,
    )


def _complete(most: torch.Tensor) -> torch.Tensor:
    """The maps of all labels but the last (B, L - 1, Z, Y, X) to those of all labels."""
    return torch.cat((most, 1.0 - most.sum(dim=1, keepdim=True)), dim=1)
