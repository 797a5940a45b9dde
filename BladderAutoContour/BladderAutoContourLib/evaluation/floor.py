"""What the machine could do at best, in operations and in bytes a second, and the CRF-RNN's least work."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ..networks.gaussian import BilateralGaussian
from ..networks.plan import CrfPlan, Triple

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


@dataclass(frozen=True)
class Floor:
    """What the appearance kernel of a CRF-RNN must do: products (1e9 operations), bytes (1e9) that it must at least
    read and write, and the seconds of both at the machine's rates."""

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
    """Of a crop of `size` (x, y, z): the norm and every iteration filter once."""
    kernel = BilateralGaussian(
        torch.zeros(1, *size[::-1]), spacing_mm, plan.theta_alpha_mm, plan.theta_beta_hu, plan.window_hu
    )
    uses = plan.iterations + 1
    gflop = uses * kernel.operations / 1e9
    # the kept weights are written once, and read to gather and to spread
    gigabytes = (1 + 2 * uses) * kernel.weight_bytes / 1e9
    return Floor(gflop, gigabytes, gflop / machine.gflops, gigabytes / machine.gigabytes)


def as_data(machine: Machine, floor: Floor) -> dict[str, Any]:
    """Plain data."""
    return {"machine": asdict(machine), "crf": asdict(floor)}


def as_text(machine: Machine, floor: Floor) -> str:
    """Two lines for people."""
    return (
        f"machine: {machine.gflops:.0f} GFLOP/s in float32 ({machine.bfloat16_gflops:.0f} in bfloat16), "
        f"{machine.gigabytes:.1f} GB/s, {machine.threads} threads\n"
        f"CRF-RNN's floor: {floor.gflop:.1f} GFLOP, {floor.compute_seconds:.3f} s; {floor.gigabytes:.2f} GB, "
        f"{floor.memory_seconds:.3f} s"
    )


def _median_seconds(work: Callable[[], object]) -> float:
    work()
    seconds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)
