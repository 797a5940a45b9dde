"""Losses on soft labels. logits (B, 2, Z, Y, X); label (B, Z, Y, X), the share of each voxel inside the bladder."""

import torch

SMOOTH = 30.0  # voxels; keeps the overlap losses tame where there is no bladder


def segmentation_loss(logits: torch.Tensor, label: torch.Tensor, kind: str) -> torch.Tensor:
    """One of `plan.LOSSES`, a scalar. Cross-entropy is the paper's; the others are what the literature adds."""
    if kind == "cross-entropy":
        return cross_entropy(logits, label)
    if kind == "dice+cross-entropy":
        return overlap(logits, label, 0.5, 0.5) + 2 * cross_entropy(logits, label)
    if kind == "dice":
        return overlap(logits, label, 0.5, 0.5)
    if kind == "iou":
        return overlap(logits, label, 1.0, 1.0)
    if kind == "tversky":
        return overlap(logits, label, 0.3, 0.7)
    raise ValueError(f"unknown loss {kind!r}")


def cross_entropy(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Mean voxel cross-entropy against a soft label."""
    log_odds = logits[:, 1] - logits[:, 0]
    return torch.nn.functional.binary_cross_entropy_with_logits(log_odds, label)


def overlap(logits: torch.Tensor, label: torch.Tensor, false_positive: float, false_negative: float) -> torch.Tensor:
    """1 - Tversky index per sample, averaged: weights 0.5 and 0.5 give Dice, 1 and 1 the Jaccard index (IoU)."""
    p = (logits[:, 1] - logits[:, 0]).sigmoid().flatten(1)
    q = label.flatten(1)
    both = (p * q).sum(dim=1)
    wrong = false_positive * (p * (1 - q)).sum(dim=1) + false_negative * ((1 - p) * q).sum(dim=1)
    return 1 - ((both + SMOOTH) / (both + wrong + SMOOTH)).mean()
