"""`train`: weights from a training plan."""

import argparse
import dataclasses
from pathlib import Path

from ..events import Events

NAME = "train"
HELP = "train the localiser, the network and the CRF-RNN as a plan file says"
CALIBRATION_SCANS = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--plan", type=Path, required=True, help="training plan (JSON)")
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints, curves and weights")
    parser.add_argument("--resume", action="store_true", help="go on where the folder's training stopped")
    parser.add_argument("--stage", action="append", default=[], help="train this stage alone (may be repeated)")
    parser.add_argument("--workers", type=int, default=1, help="processes that generate samples (default 1)")
    parser.add_argument(
        "--calibrate",
        type=int,
        default=CALIBRATION_SCANS,
        metavar="N",
        help="scans with and without a bladder that the confidence is fitted on (0: leave it)",
    )
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Train; code 0 when the stages are done."""
    import torch

    from ..errors import EnvironmentFault
    from ..training.plan import TrainingPlan
    from ..training.run import run_training

    training = TrainingPlan.load(arguments.plan)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise EnvironmentFault("No CUDA device is available; choose --device cpu or auto.")
    device = torch.device("cuda" if arguments.device != "cpu" and torch.cuda.is_available() else "cpu")
    arguments.output.mkdir(parents=True, exist_ok=True)
    weights = run_training(
        training,
        arguments.output,
        device,
        events.progress,
        resume=arguments.resume,
        only=arguments.stage,
        workers=arguments.workers,
    )
    if weights is None:
        events.note("The chosen stages are done; others are not trained yet.")
    else:
        if arguments.calibrate:
            _calibrate(weights, arguments.calibrate, events)
        events.note(f"Weights: {weights}")
    events.result(arguments.output)
    return 0


def _calibrate(weights: Path, scans: int, events: Events) -> None:
    """Fit the confidence on generated scans, and save the plan with it."""
    from ..evaluation.calibration import fit, gather
    from ..networks.weights import load_weights, save_weights
    from ..pipeline.engine import Engine

    networks = load_weights(weights, "cpu")
    evidence = gather(Engine(networks, "cpu"), scans, events.progress)
    decision = fit(evidence, networks.plan.decision)
    save_weights(dataclasses.replace(networks, plan=dataclasses.replace(networks.plan, decision=decision)), weights)
