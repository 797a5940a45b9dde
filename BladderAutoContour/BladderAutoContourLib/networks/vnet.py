"""The paper's CNN: a V-Net with normalisation after every convolution (paper, fig. 1; blocks as in its code).

Every tensor is (batch, channels, z, y, x). Sizes along z, y, x must be divisible by 16.
"""

import itertools

import torch
from torch import nn

from .plan import NetworkPlan


class Normalisation(nn.Module):
    """Normalise by the statistics at hand, then scale and shift per channel.

    "instance" uses each volume's own statistics, in training and prediction alike; "batch" those of the current batch,
    which is what the authors' network does at test time too; "none" scales and shifts only.
    """

    epsilon = 1e-5

    def __init__(self, channels: int, kind: str) -> None:
        super().__init__()
        if kind not in ("instance", "batch", "none"):
            raise ValueError(f"unknown normalisation {kind!r}")
        self.kind = kind
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "instance":
            return nn.functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.epsilon)
        if self.kind == "batch":
            return nn.functional.batch_norm(
                x, None, None, weight=self.weight, bias=self.bias, training=True, eps=self.epsilon
            )
        return x * self.weight.view(1, -1, 1, 1, 1) + self.bias.view(1, -1, 1, 1, 1)


class Convolution(nn.Sequential):
    """The paper's CBS: convolution, normalisation, scale."""

    def __init__(self, inputs: int, outputs: int, plan: NetworkPlan) -> None:
        super().__init__(
            nn.Conv3d(inputs, outputs, plan.kernel, padding=plan.kernel // 2),
            Normalisation(outputs, plan.normalisation),
        )


class Residual(nn.Module):
    """`count` convolutions with a PReLU between them; the block's input is added before the last PReLU."""

    def __init__(self, channels: int, count: int, plan: NetworkPlan) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(Convolution(channels, channels, plan) for _ in range(count))
        self.activations = nn.ModuleList(nn.PReLU(channels) for _ in range(count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        last = len(self.convolutions) - 1
        for number, (convolution, activation) in enumerate(zip(self.convolutions, self.activations, strict=True)):
            y = convolution(y)
            y = activation(y + x if number == last else y)
        return y


class Entry(nn.Module):
    """First block: the input's channels, repeated, are added to its convolution."""

    def __init__(self, inputs: int, outputs: int, plan: NetworkPlan) -> None:
        super().__init__()
        self.repeats = outputs // inputs
        self.convolution = Convolution(inputs, outputs, plan)
        self.activation = nn.PReLU(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.convolution(x) + x.repeat(1, self.repeats, 1, 1, 1))


class VNet(nn.Module):
    """Score map of the bladder: channels (B, C, Z, Y, X) to logits (B, classes, Z, Y, X).

    With width 16, kernel 5 and two channels it is the paper's network of 61,989,582 parameters.
    """

    factor = 16  # what every size must be divisible by

    def __init__(self, channels: int, plan: NetworkPlan) -> None:
        super().__init__()
        widths = [plan.width * 2**level for level in range(5)]
        if widths[0] % channels:
            raise ValueError(f"first width {widths[0]} is no multiple of {channels} input channels")
        self.entry = Entry(channels, widths[0], plan)
        self.downs = nn.ModuleList(
            nn.Sequential(nn.Conv3d(low, high, 2, stride=2), nn.PReLU(high)) for low, high in itertools.pairwise(widths)
        )
        self.left = nn.ModuleList(
            Residual(width, count, plan) for width, count in zip(widths[1:], (1, 2, 3, 3), strict=True)
        )
        # deepest first: what comes up has as many channels as the skip it is concatenated with
        above = [widths[4], *(2 * width for width in widths[3:0:-1])]
        self.ups = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose3d(inputs, skip, 2, stride=2), nn.PReLU(skip))
            for inputs, skip in zip(above, widths[3::-1], strict=True)
        )
        self.right = nn.ModuleList(
            Residual(2 * skip, count, plan) for skip, count in zip(widths[3::-1], (3, 2, 1, 1), strict=True)
        )
        self.head = nn.Sequential(
            Convolution(2 * widths[0], plan.classes, plan),
            nn.PReLU(plan.classes),
            nn.Conv3d(plan.classes, plan.classes, 1),
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier weights, zero biases, as in the authors' code."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.entry(x)
        skips = []
        for down, block in zip(self.downs, self.left, strict=True):
            skips.append(x)
            x = block(down(x))
        for up, block, skip in zip(self.ups, self.right, reversed(skips), strict=True):
            x = block(torch.cat((up(x), skip), dim=1))
        return self.head(x)
