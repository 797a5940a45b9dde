"""Dual-channel preprocessing: HU in, the network's two channels out (paper, "Dual-channel preprocessing")."""

import torch

from .plan import IntensityPlan

AIR_HU = -1000.0  # what stands where a crop or a window reaches beyond the scan
BODY_HU = -300.0  # what is brighter belongs to the patient, or to the couch


def density_map(hu: torch.Tensor, centre_hu: float, width_hu: float) -> torch.Tensor:
    """`exp(-((I - centre) / width)^2)`, bright at the bladder's density; no factor 2, as in the paper.

    The paper's centre is 1030, read as 30 HU with an offset of 1000, its width 20.
    """
    return torch.exp(-(((hu - centre_hu) / width_hu) ** 2))


def scale_intensity(hu: torch.Tensor, plan: IntensityPlan) -> torch.Tensor:
    """HU (B, Z, Y, X) to [0, 1]: by the plan's fixed window, or by each volume's own minimum and maximum (paper)."""
    if plan.scaling == "minmax":
        low = hu.amin(dim=(-3, -2, -1), keepdim=True)
        high = hu.amax(dim=(-3, -2, -1), keepdim=True)
        return (hu - low) / (high - low).clamp(min=1.0)
    low, high = plan.window_hu
    return (hu.clamp(low, high) - low) / (high - low)


def dual_channel(hu: torch.Tensor, plan: IntensityPlan) -> torch.Tensor:
    """HU (B, Z, Y, X) to channels (B, C, Z, Y, X): the scaled CT, and the density map when the plan has one."""
    channels = [scale_intensity(hu, plan)]
    if plan.density_map:
        channels.append(density_map(hu, plan.density_centre_hu, plan.density_width_hu))
    return torch.stack(channels, dim=1)
