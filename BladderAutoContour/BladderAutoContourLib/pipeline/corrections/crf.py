"""The CRF-RNN solved again: what it changes in the logits of a box, on a grid near its own."""

from collections.abc import Callable

import numpy as np
import torch

from ...imaging.geometry import Triple
from ...imaging.resample import box_means

Solve = Callable[[torch.Tensor, np.ndarray, Triple], torch.Tensor]
"""Logits (1, 2, z, y, x), HU (z, y, x) and spacing (x, y, z) in mm to refined logits, before any temperature."""


def crf_change(
    unary: np.ndarray, hu: np.ndarray, spacing_mm: Triple, solve: Solve, crf_spacing_mm: Triple
) -> np.ndarray:
    """What the CRF-RNN adds to the logits of the bladder; all arrays (z, y, x), spacings (x, y, z).

    It works on means of so many voxels as come nearest to its own spacing, along the CT's axes, oblique or not; its
    change, not its result, is interpolated back, so that the outlines keep the CT's own sharpness.
    """
    steps = tuple(max(1, round(crf / own)) for crf, own in zip(crf_spacing_mm, spacing_mm, strict=True))
    means = torch.from_numpy(box_means(unary, steps))
    coarse = torch.stack((torch.zeros_like(means), means))[None]
    solved = solve(coarse, box_means(hu, steps), tuple(step * mm for step, mm in zip(steps, spacing_mm, strict=True)))
    change = solved.cpu() - coarse
    margin = change[:, 1:] - change[:, :1]
    if max(steps) > 1:
        fine = [n * step for n, step in zip(margin.shape[2:], reversed(steps), strict=True)]
        margin = torch.nn.functional.interpolate(margin, size=fine, mode="trilinear", align_corners=False)
    z, y, x = unary.shape
    return margin[0, 0, :z, :y, :x].numpy()
