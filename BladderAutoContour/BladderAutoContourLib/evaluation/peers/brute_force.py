"""Mean field of the fully connected CRF by its definition: every pair of voxels, O(N^2). Shares no code with us."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

ROWS = 32  # voxels i handled at once, against all voxels j


@dataclass(frozen=True)
class Widths:
    """Standard deviations of the kernels: position in mm (x, y, z), intensity in HU."""

    alpha_mm: tuple[float, float, float]
    beta_hu: float
    gamma_mm: tuple[float, float, float]


def mean_field(
    logits: torch.Tensor,
    hu: torch.Tensor,
    spacing_mm: tuple[float, float, float],
    widths: Widths,
    iterations: int,
    spatial_weight: float,
    bilateral_weight: float,
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Messages of label 1 (appearance, then smoothness, of every iteration) and the final logits of label 1 over 0.

    `logits` is (2, Z, Y, X), `hu` (Z, Y, X); Potts compatibility. Messages and result are (Z, Y, X).
    """
    shape = hu.shape
    unary = (logits[1] - logits[0]).flatten()
    margin = unary
    messages = []
    for _ in range(iterations):
        q = margin.sigmoid()
        appearance = _message(q, _features(shape, spacing_mm, widths.alpha_mm), hu.flatten() / widths.beta_hu)
        smoothness = _message(q, _features(shape, spacing_mm, widths.gamma_mm), None)
        messages += [appearance.view(shape), smoothness.view(shape)]
        # logits of label l gain weight * message_l, and the two messages add up to one
        gain = bilateral_weight * (2.0 * appearance - 1.0) + spatial_weight * (2.0 * smoothness - 1.0)
        margin = unary + gain
    return messages, margin.view(shape)


def _features(
    shape: torch.Size, spacing_mm: tuple[float, float, float], sigma_mm: tuple[float, float, float]
) -> torch.Tensor:
    """Position of every voxel in units of its axis' sigma (N, 3), centred on the crop."""
    axes = [
        (torch.arange(n) - (n - 1) / 2) * d / s for n, d, s in zip(shape, spacing_mm[::-1], sigma_mm[::-1], strict=True)
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).view(-1, 3)


def _message(q: torch.Tensor, position: torch.Tensor, intensity: torch.Tensor | None) -> torch.Tensor:
    """The kernel's weighted mean of q (N) around every voxel, itself included."""
    values = torch.stack((q, torch.ones_like(q)), dim=1)
    sums = torch.zeros_like(values)
    for start, stop, kernel in _kernel_rows(position, intensity):
        sums[start:stop] += kernel @ values[start:]
        # k_ij = k_ji: what the later voxels hear from these
        sums[stop:] += kernel[:, stop - start :].T @ values[start:stop]
    return sums[:, 0] / sums[:, 1]


def _kernel_rows(position: torch.Tensor, intensity: torch.Tensor | None) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Kernel between voxels [start, stop) and all voxels from `start` on."""
    square = 0.5 * (position**2).sum(dim=1)
    for start in range(0, len(position), ROWS):
        stop = min(start + ROWS, len(position))
        exponent = torch.addmm(
            -square[None, start:] - square[start:stop, None], position[start:stop], position[start:].T
        )
        if intensity is not None:
            apart = intensity[start:stop, None] - intensity[None, start:]
            exponent.addcmul_(apart, apart, value=-0.5)
        yield start, stop, exponent.clamp_(min=-60.0).exp_()
