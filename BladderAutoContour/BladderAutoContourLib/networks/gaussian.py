"""Exact-symmetric Gaussian filters over regular grids, made of small matrix products.

A Gaussian is the overlap of two narrower ones, `exp(-(a - b)^2 / 2s^2) ~ sum over t of A(a, t) A(b, t)` with
`A(a, t) = c exp(-((a - t) / s)^2)`, and a sum over nodes t that stand a step of the order of s apart is already as good
as the integral. Three such factors gather a volume to a coarse grid of nodes and spread it back: no scattering, no
border effect, deterministic, the same on CPU and CUDA up to rounding, and K = A A^T is symmetric: the filter is its own
adjoint. The bilateral kernel is factored along intensity as well: one spatial filter per intensity node.

Filtered volumes are (B, C, Z, Y, X); triples are (x, y, z).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..imaging.geometry import Triple

# Node distance in sigmas. K ripples by 2 exp(-pi^2 / 2 step^2) of itself, 1.4 %, most of which normalising cancels.
NODE_STEP = 1.0
# How many sigmas the nodes reach beyond the data; what lies further would add 0.1 %.
NODE_MARGIN = 1.5
# With more nodes than this a voxel, two products with A cost more than one with K.
NODES_PAY = 0.6
# What a slab's weights may take on the processor, whose cache they should fit, and on a graphics card.
SLAB_BYTES = (1 << 20, 128 << 20)
# Intensity nodes that are worked on together: they decide how much memory the filter needs.
NODES_AT_ONCE = 32
# Weights that take more than this are made anew at every use.
KEPT_BYTES = 256 << 20

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
    """One axis of a separable Gaussian: A (voxels, nodes), or K itself (voxels, voxels) where nodes do not pay.

    K = A A^T: `gather`, then `spread`, with whatever the other axes do in between. K itself is all in `spread`.
    """

    matrix: torch.Tensor
    factored: bool

    def gather(self, axis: int, q: torch.Tensor) -> torch.Tensor:
        """From voxels to nodes along axis 0 (z), 1 (y) or 2 (x) of the volumes q (..., Z, Y, X)."""
        return _along(axis, self.matrix.T, q) if self.factored else q

    def spread(self, axis: int, q: torch.Tensor) -> torch.Tensor:
        """From nodes back to voxels."""
        return _along(axis, self.matrix, q)


def axis_kernel(count: int, spacing: float, sigma: float) -> AxisKernel:
    """The Gaussian `exp(-d^2 / 2 sigma^2)` between `count` voxels that are `spacing` apart."""
    places = spacing * torch.arange(count, dtype=torch.float64)
    nodes = place_nodes(0.0, spacing * (count - 1), sigma)
    if len(nodes.positions) < NODES_PAY * count:
        away = (places[:, None] - nodes.positions[None, :]) / sigma
        return AxisKernel(nodes.scale * torch.exp(-(away**2)), factored=True)
    apart = (places[:, None] - places[None, :]) / sigma
    return AxisKernel(torch.exp(-0.5 * apart**2), factored=False)


def axis_kernels(
    shape: torch.Size, spacing_mm: Triple, sigma_mm: Triple, like: torch.Tensor
) -> tuple[AxisKernel, AxisKernel, AxisKernel]:
    """Of the axes z, y, x of a volume of `shape` (z, y, x); spacing and sigma are (x, y, z)."""
    kernels = [axis_kernel(shape[axis], spacing_mm[2 - axis], sigma_mm[2 - axis]) for axis in range(3)]
    return tuple(AxisKernel(kernel.matrix.to(like), kernel.factored) for kernel in kernels)


def _along(axis: int, matrix: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    if axis == 2:
        return q @ matrix.T
    if axis == 1:
        return matrix @ q
    return (matrix @ q.flatten(-2)).unflatten(-1, q.shape[-2:])


class SpatialGaussian:
    """Unnormalised sum over all voxels j of `exp(-|p_i - p_j|^2 / 2 sigma^2) q_j`, self included.

    `shape` is (z, y, x) in voxels, `spacing_mm` and `sigma_mm` are (x, y, z).
    """

    def __init__(self, shape: torch.Size, spacing_mm: Triple, sigma_mm: Triple, like: torch.Tensor) -> None:
        self._axes = axis_kernels(shape, spacing_mm, sigma_mm, like)

    def __call__(self, q: torch.Tensor) -> torch.Tensor:
        for axis in (2, 1, 0):  # each product makes the volume smaller for the next; z stays the innermost
            q = self._axes[axis].gather(axis, q)
        for axis in (0, 1, 2):
            q = self._axes[axis].spread(axis, q)
        return q


class BilateralGaussian:
    """Unnormalised sum over j of `exp(-|p_i - p_j|^2 / 2 sigma^2 - (I_i - I_j)^2 / 2 sigma_hu^2) q_j`, self included.

    `hu` is (B, Z, Y, X), clamped to `window_hu`; the rest is as for SpatialGaussian. Work goes slab by slab of a few
    slices, all intensity nodes together, so that what a slab makes is still in the processor's cache when it is used.
    """

    def __init__(
        self,
        hu: torch.Tensor,
        spacing_mm: Triple,
        sigma_mm: Triple,
        sigma_hu: float,
        window_hu: tuple[float, float],
    ) -> None:
        self._axes = axis_kernels(hu.shape[-3:], spacing_mm, sigma_mm, like=hu)
        low, high = window_hu
        self._nodes = self._place(low / sigma_hu, high / sigma_hu).to(hu).split(NODES_AT_ONCE)
        self._intensity = hu.clamp(low, high) / sigma_hu
        bytes_a_slice = len(self._nodes[0]) * hu[0, 0].nbytes
        self._slices = max(1, SLAB_BYTES[hu.device.type != "cpu"] // bytes_a_slice)
        self._kept: dict[tuple[int, int, int], torch.Tensor] = {}
        self._keep = self.weight_bytes <= KEPT_BYTES

    def __call__(self, q: torch.Tensor) -> torch.Tensor:
        total = torch.zeros_like(q, memory_format=torch.contiguous_format)
        for number, volumes in enumerate(q):
            for channel, values in enumerate(volumes):
                for part in range(len(self._nodes)):
                    self._add(total[number, channel], values, number, part)
        return total

    @property
    def nodes(self) -> int:
        """How many nodes of intensity there are: a spatial filter each."""
        return sum(map(len, self._nodes))

    @property
    def operations(self) -> int:
        """Multiplications and additions of one use on one volume, the products' alone."""
        slices, rows, columns = self._intensity.shape[1:]
        z, y, x = (kernel.matrix.shape[1] for kernel in self._axes)
        fewer_rows, fewer_columns = (y if self._axes[1].factored else rows), (x if self._axes[2].factored else columns)
        along_y = rows * columns * y * (2 if self._axes[1].factored else 1)
        along_x = fewer_rows * columns * x * (2 if self._axes[2].factored else 1)
        along_z = fewer_rows * fewer_columns * z * (2 if self._axes[0].factored else 1)
        return 2 * self.nodes * slices * (along_y + along_x + along_z)

    @property
    def weight_bytes(self) -> int:
        """What the weights of all intensity nodes take, whether they are kept or not."""
        return self.nodes * self._intensity.nbytes

    def _add(self, total: torch.Tensor, q: torch.Tensor, number: int, part: int) -> None:
        """Add to `total` (Z, Y, X) what comes of q by way of one part of the intensity nodes."""
        z, y, x = self._axes
        starts = range(0, len(q), self._slices)
        nodes = None  # (Z, nodes of intensity, of y, of x)
        for start in starts:
            weight = self._weights(number, start, part)
            gathered = x.gather(2, y.gather(1, weight * q[start : start + self._slices, None]))
            if nodes is None:
                nodes = gathered.new_empty((len(q), *gathered.shape[1:]))
            nodes[start : start + self._slices] = gathered
        nodes = z.spread(0, z.gather(0, nodes.flatten(1, 2))).view_as(nodes)
        for start in starts:
            values = y.spread(1, x.spread(2, nodes[start : start + self._slices]))
            total[start : start + self._slices] += values.mul_(self._weights(number, start, part)).sum(dim=1)

    def _weights(self, number: int, start: int, part: int) -> torch.Tensor:
        """A of a slab's voxels along intensity (slices, nodes, Y, X), kept for the next use where memory allows."""
        key = (number, start, part)
        if key in self._kept:
            return self._kept[key]
        intensity = self._intensity[number, start : start + self._slices, None]
        weight = self._factor(intensity, self._nodes[part][:, None, None])
        if self._keep:
            self._kept[key] = weight
        return weight

    def _place(self, low: float, high: float) -> torch.Tensor:
        """The nodes of intensities from `low` to `high`, all in sigmas."""
        nodes = place_nodes(low, high, 1.0)
        self._scale = nodes.scale
        return nodes.positions

    def _factor(self, intensity: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
        """A between intensities and nodes; a tensor of its own."""
        weight = intensity - nodes
        # exp(-30) is nothing beside a voxel's own weight, and the subnormal numbers further out are very slow
        return weight.square_().clamp_(max=30.0).neg_().exp_().mul_(self._scale)


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
