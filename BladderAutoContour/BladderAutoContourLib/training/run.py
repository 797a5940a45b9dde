"""A whole training: its stages one after the other, then the weights file and its plan."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..errors import InputError
from ..networks.weights import build_networks, save_weights
from .plan import TrainingPlan
from .trainer import Trainer

AVERAGE = "average.pt"


def run_training(
    training: TrainingPlan,
    output: Path,
    device: torch.device,
    progress: Callable[[str, float], None],
    *,
    resume: bool = False,
    only: Sequence[str] = (),
    workers: int = 1,
) -> Path | None:
    """Train every stage (or those in `only`) into `output`/<stage>; returns the weights file once all stages are done.

    A finished stage leaves its averaged weights, and is not trained again when `resume` is set. Raises InputError for
    an output that holds another training and no `resume`, or a stage whose predecessor is missing.
    """
    for schedule in training.stages:
        folder = output / schedule.folder
        if only and schedule.folder not in only:
            continue
        if (folder / AVERAGE).exists() and resume:
            continue
        if (folder / "checkpoint.pt").exists() and not resume:
            raise InputError(f"{folder} holds a training already: add --resume, or choose another folder.", [folder])
        trainer = Trainer(training, schedule, folder, device, workers)
        if not trainer.resume() and schedule.start_from:
            trainer.start_from(_average(output / schedule.start_from))
        torch.save(trainer.run(progress), folder / AVERAGE)
    done = [output / schedule.folder / AVERAGE for schedule in training.stages]
    if not all(path.exists() for path in done):
        return None
    return assemble(training, output)


def assemble(training: TrainingPlan, output: Path) -> Path:
    """Put the averaged weights of all stages into one file beside its plan: `output`/<name>.pt and .json."""
    networks = build_networks(dataclasses.replace(training.plan, training=training.record()))
    for schedule in training.stages:
        state = _average(output / schedule.folder)
        network = {key.removeprefix("network."): v for key, v in state.items() if key.startswith("network.")}
        crf = {key.removeprefix("crf."): v for key, v in state.items() if key.startswith("crf.")}
        (networks.localiser if schedule.stage == "localiser" else networks.segmenter).load_state_dict(network)
        if crf:
            networks.crf.load_state_dict(crf)
    path = output / f"{training.plan.name}.pt"
    save_weights(networks, path)
    return path


def _average(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / AVERAGE
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"The stage before has not been trained: {path} is missing.", [path]) from error
