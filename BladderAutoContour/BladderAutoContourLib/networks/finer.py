"""From the CNN's grid to the CRF-RNN's finer one: the same field of view, the logits in between."""

import torch

from ..imaging.geometry import Triple

Size = tuple[int, int, int]


def finer_grid(size: Size, spacing_mm: Triple, finer_mm: Triple | None) -> tuple[Size, Triple]:
    """Voxels and spacing (x, y, z) of the grid of about `finer_mm` with the outer faces of `size` x `spacing_mm`.

    None: the grid itself.
    """
    if finer_mm is None:
        return size, spacing_mm
    field_mm = tuple(n * step for n, step in zip(size, spacing_mm, strict=True))
    finer = tuple(max(1, round(mm / step)) for mm, step in zip(field_mm, finer_mm, strict=True))
    return finer, tuple(mm / n for mm, n in zip(field_mm, finer, strict=True))


def on_grid(values: torch.Tensor, shape: Size) -> torch.Tensor:
    """Logits or CT numbers (B, L, Z, Y, X) on a grid of `shape` (z, y, x) with the same outer faces, linearly."""
    if tuple(values.shape[2:]) == tuple(shape):
        return values
    return torch.nn.functional.interpolate(values, size=tuple(shape), mode="trilinear", align_corners=False)
