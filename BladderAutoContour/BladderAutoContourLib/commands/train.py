"""`train`: weights from a training plan, or finished weights trained on with a hospital's own patients."""

import argparse
import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutOfMemoryError, OutputError, UsageError
from ..events import Events
from ..failures import as_bladder_error, is_process_lost
from .own_patients import OwnPatients, add_patient_arguments, find_patients
from .parser import at_least

if TYPE_CHECKING:
    from ..evaluation.before_after import Judged
    from ..networks.weights import Networks
    from ..training.plan import TrainingPlan
    from ..training.ranks import Ranks

HELP = "Train the localiser, the network and the CRF-RNN as a plan file says, or finished weights on."
CALIBRATION_SCANS = 30
COMPARED_CROPS = 8
PLAN_LESS = (
    'write a smaller "batch" into the stage of the plan, and a larger "accumulate" instead, or plan a smaller crop or '
    "network"
)
"""What helps a training that lacks memory."""
ON_PROCESSOR = "train on the processor (--device cpu)"
"""What helps one that has no plan to write into."""
FEWER = "give it fewer patients or other processes less to hold (--workers 0)"
"""What helps one that is on the processor already."""
CANCELLED = "Cancelled. What was finished before stays: the same command with --resume goes on from there."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--plan", type=Path, metavar="FILE", help="training plan (JSON)")
    parser.add_argument(
        "--start-from",
        type=Path,
        metavar="WEIGHTS",
        help="train these weights on: with own patients (--patients), or as --plan says",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for checkpoints, curves and weights"
    )
    parser.add_argument("--resume", action="store_true", help="go on where the folder's training stopped")
    parser.add_argument("--stage", action="append", default=[], help="train this stage alone (may be repeated)")
    parser.add_argument("--steps", type=at_least(1), metavar="N", help="without --plan: steps of each network (300)")
    parser.add_argument(
        "--workers", type=at_least(0), default=1, metavar="N", help="processes that generate samples (default 1)"
    )
    parser.add_argument(
        "--calibrate",
        type=at_least(0),
        default=CALIBRATION_SCANS,
        metavar="N",
        help="fit the confidence on N generated scans with a bladder and N without, and the CRF-RNN's temperature and "
        f"the doubt of slices on N others (default {CALIBRATION_SCANS}; 0: leave all three as they are)",
    )
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
    add_patient_arguments(parser)


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Train; code 0 when the stages are done. Raises the family's errors.

    Of the processes that `torchrun` starts, the first alone speaks, judges and writes.
    """
    import torch

    from ..networks.number_type import number_type
    from ..output_files import check_output
    from ..pipeline.device import processor_instead, resolve_device
    from ..training.fine_tuning import PROCESSES
    from ..training.ranks import joined
    from ..training.run import expect_new, run_training
    from .curve_picture import draw_curve

    start, training = _training(arguments)
    _check_stages(arguments.stage, training)
    patients = _patients(arguments, training)
    device = resolve_device(arguments.device)
    check_output(arguments.output)
    if not arguments.resume:
        expect_new(training, arguments.output, arguments.stage)  # before patients are read and contoured
    arguments.output.mkdir(parents=True, exist_ok=True)
    events.cancellation.sentence = CANCELLED
    with joined(device) as ranks, Path(os.devnull).open("w") as nowhere:
        heard = events if ranks.first else Events(nowhere, events.cancellation)
        if arguments.plan is None and PROCESSES % ranks.count:
            raise UsageError("--start-from trains in one process or in two: start torchrun with --nproc-per-node 2.")
        if instead := processor_instead(arguments.device):
            heard.note(instead)
        if number_type(device) == torch.float32 and any(stage.precision == "bf16" for stage in training.stages):
            heard.note("This machine does not compute in bfloat16: it trains in float32, which takes longer.")
        before = None
        if patients:
            training = _prepare_patients(patients, training, arguments.output, ranks, heard)
            if start and ranks.first:
                before = _judge_before(patients, start, arguments.device, heard)
        advice = PLAN_LESS if arguments.plan else ON_PROCESSOR if device.type == "cuda" else FEWER
        with memory_told(advice), _place_told(arguments.output):
            weights = run_training(
                training,
                arguments.output,
                ranks,
                heard.progress,
                resume=arguments.resume,
                only=arguments.stage,
                workers=arguments.workers,
                patients=patients.reader(heard) if patients else None,
                start=start,
                stage_done=draw_curve,
            )
    if ranks.first:
        with _place_told(arguments.output):
            _conclude(arguments, weights, patients, before, events)
        events.result(arguments.output)
    return 0


def _prepare_patients(
    patients: OwnPatients, training: "TrainingPlan", output: Path, ranks: "Ranks", events: Events
) -> "TrainingPlan":
    """The plan with notes on the patients that it is shown. The first process writes down who is held out.

    Raises InputError for a patient held out who cannot be used, and for a folder that held out others.
    """
    if ranks.first:
        patients.keep_split(output)
        patients.expect_usable(events)
    counts = {"patients": len(patients.shown), "held_out": len(patients.held_out)}
    told = dataclasses.replace(training, notes={**training.notes, **counts, "shown": patients.seal()})
    events.note(f"{counts['patients']} patients are trained on, {counts['held_out']} are held out.")
    return told


def _judge_before(patients: OwnPatients, start: "Networks", device: str, events: Events) -> "Judged":
    """What the weights that the training starts from make of the patients held out. Raises InputError."""
    from ..pipeline.engine import Engine

    return patients.judge(Engine(start, device), "before", events)


def _conclude(
    arguments: argparse.Namespace,
    weights: Path | None,
    patients: OwnPatients | None,
    before: "Judged | None",
    events: Events,
) -> None:
    """Say what has come of the stages; calibrate finished weights, and judge them by the patients held out.

    before: what was made of those before the training, which the printed comparison stands beside. Raises InputError
    and OutputError.
    """
    if weights is None:
        events.note("The chosen stages are done; others are not trained yet.")
        return
    if arguments.calibrate:
        _calibrate(weights, arguments.calibrate, events)
    if patients:
        from ..evaluation.before_after import write_comparison
        from ..pipeline.engine import Engine

        after = patients.judge(Engine.load(weights, arguments.device), "after", events)
        print(write_comparison(arguments.output, before, after), flush=True)
    events.note(f"Weights: {weights}")


@contextlib.contextmanager
def memory_told(advice: str) -> Iterator[None]:
    """Raise OutOfMemoryError in a training's words where its memory does not suffice, the graphics card's included.

    advice: what helps, such as PLAN_LESS.
    """
    from ..pipeline.device import is_out_of_memory

    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if is_process_lost(error):  # another advice helps there, if memory it was
            raise
        if is_out_of_memory(error) or isinstance(as_bladder_error(error), OutOfMemoryError):
            raise OutOfMemoryError(
                f"The memory does not suffice for this training. Close other programs, or {advice}."
            ) from error
        raise


@contextlib.contextmanager
def _place_told(output: Path) -> Iterator[None]:
    """Raise OutputError where a file of the training's folder cannot be replaced, held open by a viewer perhaps."""
    try:
        yield
    except OSError as error:
        if as_bladder_error(error) or output.absolute() not in Path(str(error.filename)).absolute().parents:
            raise
        raise OutputError(
            f"{error.filename} cannot be written ({error.strerror}): another program may hold it open, or its folder "
            "be closed. Close that program, then go on with --resume.",
            [error.filename],
        ) from error


def _training(arguments: argparse.Namespace) -> "tuple[Networks | None, TrainingPlan]":
    """The weights to start from, if any, and the plan. Raises InputError, UsageError, WeightsError."""
    from ..networks.weights import load_weights
    from ..training.fine_tuning import STEPS, fine_tuning, going_on
    from ..training.plan import TrainingPlan

    if arguments.plan is None and arguments.start_from is None:
        raise UsageError("Give a training plan (--plan), finished weights to train on (--start-from), or both.")
    if arguments.plan is None and arguments.patients is None:
        raise UsageError(
            "--start-from needs --patients: the folder of the patients that the weights shall learn from. To train "
            "them on otherwise, add a training plan (--plan)."
        )
    if arguments.plan and arguments.steps is not None:
        raise UsageError("--steps is for trainings without --plan: a plan says itself how long its stages are.")
    start = load_weights(arguments.start_from, "cpu") if arguments.start_from else None
    if arguments.plan is None:
        return start, fine_tuning(start.plan, arguments.steps or STEPS)
    training = TrainingPlan.load(arguments.plan)
    if start:
        return start, going_on(training, start.plan, arguments.start_from)
    if "start_from" in training.notes:  # the record that a training has left
        name = training.notes["start_from"]["name"]
        raise UsageError(f"The plan {arguments.plan} began with the weights {name}: add --start-from and their file.")
    return None, training


def _check_stages(names: Sequence[str], training: "TrainingPlan") -> None:
    """Raise UsageError for a stage that the plan does not have."""
    there = [schedule.folder for schedule in training.stages]
    for name in names:
        if name not in there:
            raise UsageError(f"The plan has no stage {name}. Its stages: {', '.join(there)}.")


def _patients(arguments: argparse.Namespace, training: "TrainingPlan") -> OwnPatients | None:
    """The patients of the command line, if any. Raises InputError, UsageError."""
    wanted = any(schedule.patients for schedule in training.stages)
    if arguments.patients is None:
        if arguments.roi or arguments.hold_out or arguments.hold_out_share is not None:
            raise UsageError("--roi, --hold-out and --hold-out-share say something about --patients, which is missing.")
        if wanted:
            raise UsageError(f"The plan {arguments.plan} wants own patients: add --patients and their folder.")
        return None
    if arguments.hold_out and arguments.hold_out_share is not None:
        raise UsageError("--hold-out names who is held out: leave out --hold-out-share, which would choose them.")
    if not wanted:
        raise UsageError(
            f'No stage of the plan {arguments.plan} shows own patients: write a share, such as "patients": 0.5, into '
            "the stages that shall."
        )
    return find_patients(arguments, training.notes)


def _calibrate(weights: Path, scans: int, events: Events) -> None:
    """Fit confidence, temperature and the doubt of a slice on generated scans, and save the weights with them.

    The plan also says how the masks of this processor's number type agree with float32 ones.
    """
    from ..evaluation import precision
    from ..evaluation.calibration import confidence, doubt, temperature
    from ..evaluation.calibration.known_scans import contoured_scans
    from ..networks.weights import load_weights, save_weights
    from ..pipeline.engine import Engine

    networks = load_weights(weights, "cpu")
    engine = Engine(networks, "cpu")
    decision = confidence.fit(confidence.gather(engine, scans, events.progress), networks.plan.decision)
    plan = dataclasses.replace(networks.plan, decision=decision)
    slices, voxels = [], []
    for found, bladder in contoured_scans(engine, scans, events.progress):
        slices.append(doubt.known_slices(found, bladder))
        voxels.append(temperature.near_contour(found, bladder))
    if slices:
        plan = dataclasses.replace(plan, doubt=doubt.fit(slices))
        networks = temperature.with_temperature(networks, temperature.fit(voxels))
    agreement = precision.measured(networks, min(scans, COMPARED_CROPS), events.progress)
    plan = dataclasses.replace(plan, scores={"precision": agreement})  # others were reached with other numbers
    save_weights(dataclasses.replace(networks, plan=plan), weights)
