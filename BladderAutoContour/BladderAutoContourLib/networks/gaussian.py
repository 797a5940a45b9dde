"""Exact-symmetric Gaussian filters over regular grids, made of small matrix products.

A Gaussian is the overlap of two narrower ones, `exp(-(a - b)^2 / 2s^2) ~ sum over t of A(a, t) A(b, t)` with
`A(a, t) = c exp(-((a - t) / s)^2)`, and a sum over nodes t that stand a step of the order of s apart is already as good
as the integral. Three such factors gather a volume to a coarse grid of nodes and spread it back: no scattering, no
border effect, deterministic, the same on CPU and CUDA, and K = A A^T is symmetric: the filter is its own adjoint. The
bilateral kernel is factored along intensity as well: one spatial filter per intensity node.

Filtered volumes are (B, C, Z, Y, X); triples are (x, y, z).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

# Node distance in sigmas. K ripples by 2 exp(-pi^2 / 2 step^2) of itself, 0.5 %, most of which normalising cancels.
NODE_STEP = 0.9
# How many sigmas the nodes reach beyond the data; what lies further would add 0.1 %.
NODE_MARGIN = 1.5

Triple = tuple[float, float, float]
Filter = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Nodes:
    """Where the nodes of one axis stand, in the axis' own unit, and the factor c of A."""

    positions: torch.Tensor
    scale: float


def place_nodes(low: float, high: float, sigma: float) -> Nodes:
    """Evenly spaced nodes, NODE_STEP sigmas apart, centred on [low, high] and covering it with its margin."""
    step = NODE_STEP * sigma
    count = math.ceil((high - low + 2.0 * NODE_MARGIN * sigma) / step) + 1
    positions = (low + high) / 2.0 + step * (torch.arange(count, dtype=torch.float64) - (count - 1) / 2.0)
    return Nodes(positions, math.sqrt(NODE_STEP / math.sqrt(math.pi / 2.0)))


@dataclass(frozen=True)
class AxisKernel:
    """One axis of a separable Gaussian: A (voxels, nodes), or K itself (voxels, voxels) where nodes are not fewer."""

    matrix: torch.Tensor
    factored: bool


def axis_kernel(count: int, spacing: float, sigma: float) -> AxisKernel:
    """The Gaussian `exp(-d^2 / 2 sigma^2)` between `count` voxels that are `spacing` apart."""
    places = spacing * torch.arange(count, dtype=torch.float64)
    nodes = place_nodes(0.0, spacing * (count - 1), sigma)
    if len(nodes.positions) < count:
        away = (places[:, None] - nodes.positions[None, :]) / sigma
        return AxisKernel(nodes.scale * torch.exp(-(away**2)), factored=True)
    apart = (places[:, None] - places[None, :]) / sigma
    return AxisKernel(torch.exp(-0.5 * apart**2), factored=False)


class SpatialGaussian:
    """Unnormalised sum over all voxels j of `exp(-|p_i - p_j|^2 / 2 sigma^2) q_j`, self included.

    `shape` is (z, y, x) in voxels, `spacing_mm` and `sigma_mm` are (x, y, z).
    """

    def __init__(self, shape: torch.Size, spacing_mm: Triple, sigma_mm: Triple, like: torch.Tensor) -> None:
        kernels = [axis_kernel(shape[axis], spacing_mm[2 - axis], sigma_mm[2 - axis]) for axis in range(3)]
        self._axes = [AxisKernel(kernel.matrix.to(like), kernel.factored) for kernel in kernels]

    def __call__(self, q: torch.Tensor) -> torch.Tensor:
        # x first: it is the contiguous axis, and every later product then works on a smaller volume
        factored = [axis for axis in (2, 1, 0) if self._axes[axis].factored]
        for axis in factored:
            q = _along(axis, self._axes[axis].matrix.T, q)
        for axis in (2, 1, 0):
            if not self._axes[axis].factored:
                q = _along(axis, self._axes[axis].matrix, q)
        for axis in reversed(factored):
            q = _along(axis, self._axes[axis].matrix, q)
        return q


def _along(axis: int, matrix: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """`matrix` applied along axis 0 (z), 1 (y) or 2 (x) of the volumes q (B, C, Z, Y, X)."""
    if axis == 2:
        return q @ matrix.T
    if axis == 1:
        return matrix @ q
    return (matrix @ q.flatten(-2)).unflatten(-1, q.shape[-2:])


class BilateralGaussian:
    """Unnormalised sum over j of `exp(-|p_i - p_j|^2 / 2 sigma^2 - (I_i - I_j)^2 / 2 sigma_hu^2) q_j`, self included.

    `hu` is (B, Z, Y, X), clamped to `window_hu`; the rest is as for SpatialGaussian. The nodes' weights are made anew
    at every use: a few copies of the input are all the memory that the filter needs.
    """

    def __init__(
        self,
        hu: torch.Tensor,
        spacing_mm: Triple,
        sigma_mm: Triple,
        sigma_hu: float,
        window_hu: tuple[float, float],
    ) -> None:
        self._space = SpatialGaussian(hu.shape[-3:], spacing_mm, sigma_mm, like=hu)
        low, high = window_hu
        nodes = place_nodes(low / sigma_hu, high / sigma_hu, 1.0)
        self._nodes = nodes.positions.tolist()
        self._scale = nodes.scale**2
        self._intensity = (hu.clamp(low, high) / sigma_hu).unsqueeze(1)

    def __call__(self, q: torch.Tensor) -> torch.Tensor:
        total = torch.zeros_like(q, memory_format=torch.contiguous_format)
        weight, part = torch.empty_like(self._intensity), torch.empty_like(total)
        for node in self._nodes:
            torch.sub(self._intensity, node, out=weight)
            # exp(-30) is nothing beside a voxel's own weight, and the subnormal numbers further out are very slow
            weight.square_().clamp_(max=30.0).neg_().exp_()
            torch.mul(q, weight, out=part)
            total.addcmul_(self._space(part), weight)
        return total.mul_(self._scale)


class _SymmetricFilter(torch.autograd.Function):
    """A linear filter that is its own adjoint: the gradient is filtered as the input was; nothing is kept for it."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, q: torch.Tensor, kernel: Filter) -> torch.Tensor:
        ctx.kernel = kernel
        # mixed precision would round positions and sums alike
        with torch.autocast(q.device.type, enabled=False):
            return kernel(q)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _SymmetricFilter.apply(gradient.contiguous(), ctx.kernel), None


class NormalisedFilter:
    """`sum_j k_ij q_j / sum_j k_ij`: the kernel's weighted mean around each voxel of q (B, C, Z, Y, X)."""

    def __init__(self, kernel: Filter, ones: torch.Tensor) -> None:
        """`ones` is (B, 1, Z, Y, X) of ones: its response, which depends on the image alone, is the norm."""
        self._kernel = kernel
        with torch.no_grad():
            self._norm = _SymmetricFilter.apply(ones, kernel)

    def __call__(self, q: torch.Tensor) -> torch.Tensor:
        return _SymmetricFilter.apply(q, self._kernel) / self._norm
