"""The CRF-RNN beside a peer and its own other route: wall time, memory, and error against brute-force mean field."""

import contextlib
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...events import Events
from ...networks.crf_rnn import CrfRnn, voxel_unit_plan
from ...networks.plan import CrfPlan
from .brute_force import Widths, mean_field
from .cosine_series import CosineCrfRnn
from .crf_problem import SPACING_MM, CrfProblem, generated_problem
from .crf_worker import COSINES, OURS, PEER
from .measured_program import MeasuredProgram

PEER_PACKAGES = ("numpy", "pydensecrf2==1.1")
PLANS = {
    "6 mm, 30 HU": CrfPlan(theta_alpha_mm=(6.0, 6.0, 6.0), theta_beta_hu=30.0),
    "4 mm, 20 HU": CrfPlan(theta_alpha_mm=(4.0, 4.0, 4.0), theta_beta_hu=20.0),
    "3 mm, 15 HU": CrfPlan(theta_alpha_mm=(3.0, 3.0, 3.0), theta_beta_hu=15.0),
    "the paper's": voxel_unit_plan(SPACING_MM, hu_range=(-1000.0, 1500.0)),
}
"""Widths of the appearance kernel that are measured; the shipped weights have the second."""


@dataclass(frozen=True)
class Extent:
    """How much is measured: voxels (x, y, z) of the timed problem, its runs, and the edge of the crops compared."""

    size: tuple[int, int, int] = (128, 128, 64)
    runs: int = 3
    crop: int = 24
    names: tuple[str, ...] = tuple(PLANS)


SMOKE = Extent((32, 32, 24), 1, 10, tuple(PLANS)[:1])


@dataclass(frozen=True)
class MethodCost:
    """A method at one width. seconds: median of the runs. error: mean absolute difference of the probabilities from
    brute force; labels: share of the voxels whose label differs; both on the crops. filters: how many spatial filters
    the appearance kernel is made of, where it is made of such."""

    widths: str
    method: str
    filters: int | None
    seconds: float
    peak_mb: float
    error: float
    labels: float


def compare(extent: Extent, python: Path, folder: Path, events: Events) -> list[MethodCost]:
    """Every width of `extent`, every method. `python` is the peer's; `folder` takes temporary files."""
    return [cost for name in extent.names for cost in _compare(name, extent, python, folder, events)]


def _compare(name: str, extent: Extent, python: Path, folder: Path, events: Events) -> list[MethodCost]:
    whole = generated_problem(PLANS[name], extent.size)
    crops = [whole.crop(start, extent.crop) for start in _crops(extent)]
    exact = np.stack([brute_force(crop) for crop in crops])
    files = [folder / f"{number}.npz" for number in range(1 + len(crops))]
    for file, problem in zip(files, (whole, *crops), strict=True):
        problem.save(file)
    interpreters = {OURS: Path(sys.executable), PEER: python, **dict.fromkeys(COSINES, Path(sys.executable))}
    runs: dict[str, list[tuple[float, float]]] = {method: [] for method in interpreters}
    with contextlib.ExitStack() as stack:
        workers = {
            method: stack.enter_context(MeasuredProgram(interpreter, "crf_worker", method, *files))
            for method, interpreter in interpreters.items()
        }
        for _ in range(extent.runs):
            for method, worker in workers.items():
                events.cancellation.check()
                runs[method].append(worker.solve(0))
        for worker in workers.values():
            for number in range(1, len(files)):
                worker.solve(number)
    costs = []
    for method, found in runs.items():
        probability = np.stack([np.load(file.with_suffix(f".{method}.npy")) for file in files[1:]])
        costs.append(
            MethodCost(
                widths=name,
                method=method,
                filters=_filters(method, crops[0]),
                seconds=statistics.median(seconds for seconds, _ in found),
                peak_mb=found[-1][1],
                error=float(np.abs(probability - exact).mean()),
                labels=float(((probability >= 0.5) != (exact >= 0.5)).mean()),
            )
        )
    return costs


def as_data(costs: list[MethodCost], extent: Extent) -> dict[str, Any]:
    """Plain data, what was measured included."""
    return {
        "size": list(extent.size),
        "runs": extent.runs,
        "crops": {"edge": extent.crop, "count": len(_crops(extent))},
        "peer": PEER_PACKAGES[-1],
        "methods": [asdict(cost) for cost in costs],
    }


def as_text(costs: list[MethodCost]) -> str:
    """A table for people; the ratio is the seconds over the peer's at the same widths."""
    lines = [
        f"{'CRF':<14}{'method':<12}{'filters':>8}{'seconds':>9}{'ratio':>7}{'MiB':>7}{'error':>10}{'labels differ':>15}"
    ]
    peers = {cost.widths: cost.seconds for cost in costs if cost.method == PEER}
    lines += [
        f"{cost.widths:<14}{cost.method:<12}{cost.filters or '':>8}{cost.seconds:9.3f}"
        f"{cost.seconds / peers[cost.widths]:7.2f}{cost.peak_mb:7.0f}{cost.error:10.6f}{cost.labels:15.4%}"
        for cost in costs
    ]
    return "\n".join(lines)


def brute_force(problem: CrfProblem) -> np.ndarray:
    """Probability of label 1 (Z, Y, X) after the plan's iterations, every pair of voxels weighed."""
    plan = problem.plan
    _, margin = mean_field(
        torch.from_numpy(problem.logits),
        torch.from_numpy(problem.hu).clamp(*plan.window_hu),
        SPACING_MM,
        Widths(plan.theta_alpha_mm, plan.theta_beta_hu, plan.theta_gamma_mm),
        plan.iterations,
        plan.spatial_weight,
        plan.bilateral_weight,
    )
    return margin.sigmoid().numpy()


def _filters(method: str, problem: CrfProblem) -> int | None:
    if method == PEER:
        return None
    crf = CosineCrfRnn(problem.plan, COSINES[method]) if method in COSINES else CrfRnn(problem.plan)
    return crf.appearance(torch.from_numpy(problem.hu)[None], SPACING_MM).nodes


def _crops(extent: Extent) -> list[tuple[int, int, int]]:
    """Where the crops (z, y, x) begin: the middle of the bladder, and its sides."""
    z, y, x = ((n - extent.crop) // 2 for n in extent.size[::-1])
    aside = min(extent.crop, x)
    return [(z, y, x), (z, y, x - aside), (z, max(0, y - aside), x)]
