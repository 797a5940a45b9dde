"""A wider V-Net that computes at first what a narrow one does: training goes on, with room to learn more.

The narrow one's channels keep their weights and see none of the new ones. These look at all there is, with the weights
that a new network begins with, but nobody listens to them yet: their weights into the old channels are zero, and learn.
"""

from collections.abc import Sequence

import torch
from torch import nn

from .vnet import Residual, VNet


def widen(narrow: VNet, wide: VNet) -> None:
    """Fill `wide`, just built, so that its logits are those of `narrow`, which lies on the same device.

    Raises ValueError where `wide` is not at least as wide, or differs in anything but its width.
    """
    old, new = _widths(narrow), _widths(wide)
    inputs = [net.entry.convolution[0].in_channels for net in (narrow, wide)]
    classes = [net.head[2].out_channels for net in (narrow, wide)]
    if old[0] > new[0] or inputs[0] != inputs[1] or classes[0] != classes[1]:
        raise ValueError(f"a network of width {old[0]} cannot be widened to one of width {new[0]}")
    own = [list(range(width)) for width in old]
    # behind a concatenation the skip's channels begin where those that came up end
    beside = [[*kept, *(width + channel for channel in kept)] for kept, width in zip(own, new, strict=True)]
    seen, said = list(range(inputs[0])), list(range(classes[0]))

    with torch.no_grad():
        _convolution(narrow.entry.convolution, wide.entry.convolution, seen, own[0])
        _per_channel(narrow.entry.activation, wide.entry.activation, own[0])
        for level in range(4):
            _convolution(narrow.downs[level], wide.downs[level], own[level], own[level + 1])
            _residual(narrow.left[level], wide.left[level], own[level + 1])
        for number, level in enumerate(range(3, -1, -1)):
            below = own[4] if number == 0 else beside[level + 1]
            _convolution(narrow.ups[number], wide.ups[number], below, own[level])
            _residual(narrow.right[number], wide.right[number], beside[level])
        _convolution(narrow.head[0], wide.head[0], beside[0], said)
        _per_channel(narrow.head[1], wide.head[1], said)
        wide.head[2].load_state_dict(narrow.head[2].state_dict())


def _widths(network: VNet) -> list[int]:
    first = network.entry.convolution[0].out_channels
    return [first * 2**level for level in range(5)]


def _residual(narrow: Residual, wide: Residual, kept: Sequence[int]) -> None:
    for old, new in zip(narrow.convolutions, wide.convolutions, strict=True):
        _convolution(old, new, kept, kept)
    for old, new in zip(narrow.activations, wide.activations, strict=True):
        _per_channel(old, new, kept)


def _convolution(narrow: nn.Sequential, wide: nn.Sequential, seen: Sequence[int], kept: Sequence[int]) -> None:
    """A convolution and the normalisation or activation behind it."""
    _weights(narrow[0], wide[0], seen, kept)
    _per_channel(narrow[1], wide[1], kept)


def _weights(narrow: nn.Module, wide: nn.Module, seen: Sequence[int], kept: Sequence[int]) -> None:
    """Of a convolution, transposed or not: `seen` are its old inputs' channels, `kept` its old outputs'."""
    old, new = narrow.weight, wide.weight
    if isinstance(wide, nn.ConvTranspose3d):
        old, new = old.transpose(0, 1), new.transpose(0, 1)
    if old.shape[2:] != new.shape[2:]:
        raise ValueError(f"kernels of {tuple(old.shape[2:])} cannot become {tuple(new.shape[2:])}")
    rows = torch.zeros_like(new[kept])
    rows[:, seen] = old
    new[kept] = rows
    wide.bias[kept] = narrow.bias


def _per_channel(narrow: nn.Module, wide: nn.Module, kept: Sequence[int]) -> None:
    """Of an activation or a normalisation."""
    for old, new in zip(narrow.parameters(), wide.parameters(), strict=True):
        new[kept] = old
