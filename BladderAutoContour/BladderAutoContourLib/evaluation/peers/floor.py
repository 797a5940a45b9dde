"""What the machine could do at best, in operations and in bytes a second, and the least work of CRF-RNN and CNN."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from ...imaging.geometry import Triple
from ...networks.gaussian import BilateralGaussian
from ...networks.plan import CrfPlan, StagePlan
from ...networks.vnet import VNet

GEMM = 1536
COPIED_BYTES = 1 << 28
ROUNDS = 7


@dataclass(frozen=True)
class Machine:
    """threads: of torch. gflops: float32 operations a second (1e9) of a large matrix product; bfloat16: of one in that
    type. gigabytes: memory read and written a second (1e9) by a large copy."""

    threads: int
    gflops: float
    bfloat16_gflops: float
    gigabytes: float

    def rate(self, number_type: torch.dtype) -> float:
        """1e9 operations a second in float32 or bfloat16."""
        return self.bfloat16_gflops if number_type == torch.bfloat16 else self.gflops


@dataclass(frozen=True)
class Floor:
    """What must be done: products (1e9 operations), bytes (1e9) that must at least be read and written, and the seconds
    of both at the machine's rates."""

    gflop: float
    gigabytes: float
    compute_seconds: float
    memory_seconds: float


def measure_machine() -> Machine:
    """Measure the rates. Takes a second or two, and half a GiB."""
    rates = []
    for dtype in (torch.float32, torch.bfloat16):
        a, b = (torch.rand(GEMM, GEMM).to(dtype) for _ in range(2))
        rates.append(2 * GEMM**3 / _median_seconds(lambda a=a, b=b: a @ b) / 1e9)
    source = torch.zeros(COPIED_BYTES // 4)
    target = torch.empty_like(source)
    seconds = _median_seconds(lambda: target.copy_(source))
    return Machine(torch.get_num_threads(), rates[0], rates[1], 2 * COPIED_BYTES / seconds / 1e9)


def crf_floor(plan: CrfPlan, size: tuple[int, int, int], spacing_mm: Triple, machine: Machine) -> Floor:
    """Of a CRF-RNN's appearance kernel on a crop of `size` (x, y, z): the norm and every iteration filter once."""
    kernel = BilateralGaussian(
        torch.zeros(1, *size[::-1]), spacing_mm, plan.theta_alpha_mm, plan.theta_beta_hu, plan.window_hu
    )
    uses = plan.iterations + 1
    # the kept weights are written once, and read to gather and to spread
    return _floor(uses * kernel.operations, (1 + 2 * uses) * kernel.weight_bytes, machine, torch.float32)


def network_floor(stage: StagePlan, number_type: torch.dtype, machine: Machine) -> Floor:
    """Of one look of a stage's network: its convolutions, each of which reads its input and its weights and writes its
    output once. Normalisation, PReLU, sums and copies are taken as free: at best they pass along with a convolution."""
    operations = numbers = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal operations, numbers
        # every weight meets every place of the smaller grid: the output's, or, transposed, the input's
        places = inputs[0] if isinstance(layer, nn.ConvTranspose3d) else output
        operations += 2 * layer.weight.numel() * places[0, 0].numel()
        numbers += inputs[0].numel() + layer.weight.numel() + output.numel()

    with torch.device("meta"), torch.no_grad():  # shapes alone: nothing is computed
        network = VNet(stage.intensity.channels, stage.network)
        for layer in network.modules():
            if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
                layer.register_forward_hook(count)
        network(torch.empty(1, stage.intensity.channels, *stage.crop_voxels[::-1]))
    return _floor(operations, numbers * number_type.itemsize, machine, number_type)


def as_data(machine: Machine, floors: dict[str, Floor]) -> dict[str, Any]:
    """Plain data."""
    return {"machine": asdict(machine), **{name: asdict(floor) for name, floor in floors.items()}}


def as_text(machine: Machine, floors: dict[str, Floor]) -> str:
    """Lines for people."""
    lines = [
        f"machine: {machine.gflops:.0f} GFLOP/s in float32 ({machine.bfloat16_gflops:.0f} in bfloat16), "
        f"{machine.gigabytes:.1f} GB/s, {machine.threads} threads"
    ]
    lines += [
        f"floor of {name}: {floor.gflop:.1f} GFLOP, {floor.compute_seconds:.3f} s; {floor.gigabytes:.2f} GB, "
        f"{floor.memory_seconds:.3f} s"
        for name, floor in floors.items()
    ]
    return "\n".join(lines)


def _floor(operations: float, moved_bytes: float, machine: Machine, number_type: torch.dtype) -> Floor:
    gflop, gigabytes = operations / 1e9, moved_bytes / 1e9
    return Floor(gflop, gigabytes, gflop / machine.rate(number_type), gigabytes / machine.gigabytes)


def _median_seconds(work: Callable[[], object]) -> float:
    work()
    seconds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)
