"""The engine's networks beside MONAI's: wall time and memory at equal voxels, with random weights, in turns."""

import contextlib
import dataclasses
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...errors import EnvironmentFault
from ...events import Events
from ...networks.number_type import number_type
from ...networks.plan import Plan, StagePlan
from ..speed.generated_ct import FULL_SIZE, FULL_SPACING_MM, generated_ct
from .measured_program import MeasuredProgram, peer_python
from .network_worker import MONAI_UNET, MONAI_VNET, MONAI_WINDOW, OUR_WINDOW, OURS

PEER_NEEDS = ("numpy", f"torch=={torch.__version__.partition('+')[0]}")
PEER_PACKAGE = "monai==1.6.1"
"""MONAI asks for nothing else that it needs at work, but for CUDA where torch comes with it."""


@dataclass(frozen=True)
class Extent:
    """How much is measured: the runs, and what is left of the plan's crops and of the whole CT along every axis."""

    runs: int = 5
    share: float = 1.0


SMOKE = Extent(1, 0.4)


@dataclass(frozen=True)
class Task:
    """The voxels that all methods of a task are given: hu (Z, Y, X), float32. stage: whose network looks at it."""

    name: str
    hu: np.ndarray
    stage: StagePlan
    ours: str
    peers: tuple[str, ...]

    @property
    def label(self) -> str:
        """The task in words, its voxels (x, y, z) included."""
        return f"{self.name}, {' x '.join(map(str, self.hu.shape[::-1]))}"


@dataclass(frozen=True)
class NetworkCost:
    """A method at one task. seconds: median of the runs. ratio: of them to ours. peak_mb: MiB above input, weights."""

    task: str
    method: str
    number_type: str
    seconds: float
    ratio: float
    peak_mb: float


@dataclass(frozen=True)
class Compared:
    """What was measured, and, where MONAI could not be installed, why it stands not beside it."""

    costs: list[NetworkCost]
    missing: str | None


def stages(plan: Plan, extent: Extent) -> dict[str, StagePlan]:
    """The plan's networks by name, their crops as small as the extent says."""
    return {
        name: dataclasses.replace(stage, crop_voxels=tuple(_share(n, extent.share) for n in stage.crop_voxels))
        for name, stage in (("localiser", plan.localiser), ("segmenter", plan.segmenter))
    }


def tasks(plan: Plan, extent: Extent) -> list[Task]:
    """A crop of the segmenter, a window of the localiser, and the localiser's windows over a whole CT."""
    of = stages(plan, extent)
    whole = tuple(
        _share(n * mm / step, extent.share)
        for n, mm, step in zip(FULL_SIZE, FULL_SPACING_MM, plan.localiser.spacing_mm, strict=True)
    )
    segmenter, localiser = (_hu(stage, stage.crop_voxels) for stage in (of["segmenter"], of["localiser"]))
    return [
        Task("segmenter", segmenter, of["segmenter"], OURS, (MONAI_VNET, MONAI_UNET)),
        Task("localiser", localiser, of["localiser"], OURS, ()),
        Task("whole CT", _hu(of["localiser"], whole), of["localiser"], OUR_WINDOW, (MONAI_WINDOW,)),
    ]


def compare(given: Sequence[Task], extent: Extent, environment: Path, folder: Path, events: Events) -> Compared:
    """Every task in float32 and in the engine's number type. MONAI is installed into `environment`; where that fails,
    ours alone are measured. `folder` takes temporary files."""
    python, missing = None, None
    try:
        peer_python(environment, *PEER_NEEDS)
        python = peer_python(environment, PEER_PACKAGE, alone=True)
    except EnvironmentFault as error:
        missing = error.message
    types = dict.fromkeys((torch.float32, number_type(torch.device("cpu"))))
    costs = [cost for one in types for task in given for cost in _compare(task, one, extent, python, folder, events)]
    return Compared(costs, missing)


def _compare(
    task: Task, numbers: torch.dtype, extent: Extent, python: Path | None, folder: Path, events: Events
) -> list[NetworkCost]:
    file, type_name = folder / "network.npz", _name(numbers)
    np.savez(file, hu=task.hu, stage=np.asarray(json.dumps(asdict(task.stage))), number_type=np.asarray(type_name))
    interpreters = {task.ours: Path(sys.executable)}
    if python is not None:
        interpreters |= dict.fromkeys(task.peers, python)
    runs: dict[str, list[tuple[float, float]]] = {method: [] for method in interpreters}
    with contextlib.ExitStack() as stack:
        workers = {
            method: stack.enter_context(MeasuredProgram(interpreter, "network_worker", method, file))
            for method, interpreter in interpreters.items()
        }
        for number in range(1 + extent.runs):
            for method, worker in workers.items():
                events.cancellation.check()
                found = worker.solve(0)
                if number:  # the first one chooses algorithms and takes memory
                    runs[method].append(found)
    seconds = {method: statistics.median(one for one, _ in found) for method, found in runs.items()}
    return [
        NetworkCost(task.label, method, type_name, seconds[method], seconds[method] / seconds[task.ours], found[-1][1])
        for method, found in runs.items()
    ]


def seconds_of(costs: Sequence[NetworkCost], name: str, numbers: torch.dtype) -> float:
    """What our network of the task `name` took in this number type."""
    wanted = (_name(numbers), OURS)
    return next(c.seconds for c in costs if c.task.startswith(name) and (c.number_type, c.method) == wanted)


def as_data(compared: Compared, extent: Extent) -> dict[str, Any]:
    """Plain data."""
    costs = [asdict(cost) for cost in compared.costs]
    return {"peer": PEER_PACKAGE, "missing": compared.missing, "runs": extent.runs, "methods": costs}


def as_text(compared: Compared) -> str:
    """A table for people; the ratio is the seconds over ours at the same task and number type."""
    lines = [f"{'network':<26}{'numbers':<10}{'method':<22}{'seconds':>9}{'ratio':>7}{'MiB':>7}"]
    lines += [
        f"{cost.task:<26}{cost.number_type:<10}{cost.method:<22}{cost.seconds:9.3f}{cost.ratio:7.2f}{cost.peak_mb:7.0f}"
        for cost in compared.costs
    ]
    return "\n".join([*lines, *([compared.missing] if compared.missing else [])])


def _name(numbers: torch.dtype) -> str:
    return str(numbers).removeprefix("torch.")


def _hu(stage: StagePlan, size: tuple[int, int, int]) -> np.ndarray:
    return generated_ct(size, stage.spacing_mm).array.astype(np.float32)


def _share(count: float, share: float) -> int:
    """All of so many voxels, or a share of them that a network can halve four times and still has two."""
    return round(count) if share == 1.0 else max(32, round(count * share / 16) * 16)
