"""The CRF-RNN solved again: what it changes in the logits of a box, on a grid near its own."""

from collections.abc import Callable

import numpy as np
import torch

from ...imaging.geometry import Triple

Solve = Callable[[torch.Tensor, np.ndarray, Triple], torch.Tensor]
"""Logits (1, 2, z, y, x), HU (z, y, x) and spacing (x, y, z) in mm to refined logits, before any temperature."""


def crf_change(
    unary: np.ndarray, hu: np.ndarray, spacing_mm: Triple, solve: Solve, crf_spacing_mm: Triple
) -> np.ndarray:
    """What the CRF-RNN adds to the logits of the bladder; all arrays (z, y, x), spacings (x, y, z).

    It works on means of so many voxels as come nearest to its own spacing, along the CT's axes, oblique or not; its
    change, not its result, is interpolated back, so that the outlines keep the CT's own sharpness.
    """
    steps = [max(1, round(crf / own)) for crf, own in zip(crf_spacing_mm, spacing_mm, strict=True)]
    kernel = (steps[2], steps[1], steps[0])
    logits = torch.from_numpy(np.stack((np.zeros_like(unary), unary)))[None].float()
    coarse = _averaged(logits, kernel)
    coarse_hu = _averaged(torch.from_numpy(hu.astype(np.float32))[None, None], kernel)[0, 0].numpy()
    solved = solve(coarse, coarse_hu, tuple(step * mm for step, mm in zip(steps, spacing_mm, strict=True)))
    change = solved.cpu() - coarse
    margin = change[:, 1:] - change[:, :1]
    if max(kernel) > 1:
        fine = [n * k for n, k in zip(margin.shape[2:], kernel, strict=True)]
        margin = torch.nn.functional.interpolate(margin, size=fine, mode="trilinear", align_corners=False)
    z, y, x = unary.shape
    return margin[0, 0, :z, :y, :x].numpy()


def _averaged(values: torch.Tensor, kernel: tuple[int, int, int]) -> torch.Tensor:
    """Means of blocks of `kernel` (z, y, x) voxels; the last block of an axis repeats the outermost voxels."""
    if max(kernel) == 1:
        return values
    pads = [pad for n, k in zip(values.shape[:1:-1], kernel[::-1], strict=True) for pad in (0, -n % k)]
    padded = torch.nn.functional.pad(values, pads, mode="replicate") if any(pads) else values
    return torch.nn.functional.avg_pool3d(padded, kernel)
