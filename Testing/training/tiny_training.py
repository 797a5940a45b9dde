"""Small trainings that the tests share: plans of tiny networks, the command, and what its folders hold."""

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import torch
from BladderAutoContourLib.networks.plan import CrfPlan, NetworkPlan, Plan, StagePlan
from BladderAutoContourLib.training.plan import StageSchedule, TrainingPlan
from BladderAutoContourLib.training.ranks import Ranks

TINY = NetworkPlan(width=2)
ALONE = Ranks(torch.device("cpu"))


def silent(name: str, share: float) -> None:
    """Progress that nobody hears."""


def tiny_plan(steps: int = 6, **changes) -> TrainingPlan:
    """Localiser, segmenter and a joint stage that take seconds; `changes` hold for the first two stages."""
    plan = Plan(
        name="tiny",
        localiser=StagePlan((12, 12, 12), (32, 32, 16), network=TINY),
        segmenter=StagePlan((8, 8, 8), (32, 32, 16), network=TINY),
        crf=CrfPlan(spacing_mm=(4, 4, 8), temperature=2.0),
    )
    changes = {"precision": "float32", **changes}
    stages = (
        StageSchedule("localiser", steps, warmup=2, **changes),
        StageSchedule("segmenter", steps, warmup=2, start_from="localiser", **changes),
        StageSchedule("joint", 2, batch=1, start_from="segmenter", train_network=False, precision="float32"),
    )
    return TrainingPlan(5, plan, stages)


def write_plan(training: TrainingPlan, path: Path) -> Path:
    """The plan as a file that the command reads."""
    raw = dataclasses.asdict(training)
    path.write_text(json.dumps(raw), encoding="utf-8")
    return path


def train(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command, on the processor."""
    command = [sys.executable, "-m", "BladderAutoContourLib", "train", "--device", "cpu", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def curve(folder: Path) -> list[tuple[str, ...]]:
    """The rows of a stage's curve, headings first."""
    with (folder / "curve.csv").open(encoding="utf-8") as file:
        return [tuple(row) for row in csv.reader(file)]
