"""A whole training: its stages one after the other, then the weights file and its plan."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from ..errors import InputError
from ..networks.plan import StagePlan
from ..networks.weights import NO_STATE_DICT, Networks, build_networks, save_weights
from ..networks.widen import widen
from .patients import Patient
from .plan import StageSchedule, TrainingPlan
from .ranks import Ranks
from .record import has_begun, keep_record
from .trainer import AVERAGE, StageModule, Trainer, check_stage, save_whole


def run_training(
    training: TrainingPlan,
    output: Path,
    ranks: Ranks,
    progress: Callable[[str, float], None],
    *,
    resume: bool = False,
    only: Sequence[str] = (),
    workers: int = 1,
    patients: Callable[[StagePlan], Sequence[Patient]] | None = None,
    start: Networks | None = None,
    stage_done: Callable[[Path], None] = lambda folder: None,
) -> Path | None:
    """Train every stage (or those in `only`) into `output`/<stage>; returns the weights file once all stages are done.

    Of several ranks the first alone writes; the others get None. stage_done: called there with the folder of a stage
    that has just been trained. patients: those that stages with a share of them show, on the grid of the stage. start:
    networks whose weights the first round of each network begins with; what is not trained stays as it was there.

    A finished stage leaves its averaged weights, and is not trained again when `resume` is set. Raises InputError for
    a plan that leaves a network untrained, an output that holds a training already and no `resume`, or one by another
    plan (see `keep_record`), a stage whose predecessor is missing, a training that diverges.
    """
    if start is None:
        _check_all_are_trained(training)
    chosen = _chosen(training, only)
    _check_all_can_begin(training, chosen, output, ranks)
    if not resume:
        expect_new(training, output, only)
    if ranks.first:
        keep_record(training, start.plan.sha256 if start else "", output)
    for schedule in chosen:
        folder = output / schedule.folder
        if (folder / AVERAGE).exists():
            continue
        shown = patients(training.grid(schedule)) if patients and schedule.patients else ()
        trainer = Trainer(training, schedule, folder, ranks, workers, shown)
        state, source = _begin_with(trainer, training, schedule, output, start)
        if not trainer.resume() and state:
            trainer.start_from(state, source)
        average = trainer.run(progress)
        if schedule.kept and state:
            average = {
                name: value.lerp(state.get(name, value).to(value), schedule.kept) for name, value in average.items()
            }
        if ranks.first:
            stage_done(folder)
            save_whole(average, folder / AVERAGE)
        ranks.wait()
    done = [output / schedule.folder / AVERAGE for schedule in training.stages]
    if not ranks.first or not all(path.exists() for path in done):
        return None
    return assemble(training, output, start)


def expect_new(training: TrainingPlan, output: Path, only: Sequence[str] = ()) -> None:
    """Raise InputError where `output` holds something of a stage of the plan (or of those in `only`) already."""
    for folder in (output / schedule.folder for schedule in _chosen(training, only)):
        if has_begun(folder):
            raise InputError(f"{folder} holds a training already: add --resume, or choose another folder.", [folder])


def _chosen(training: TrainingPlan, only: Sequence[str]) -> list[StageSchedule]:
    return [schedule for schedule in training.stages if not only or schedule.folder in only]


def assemble(training: TrainingPlan, output: Path, start: Networks | None = None) -> Path:
    """Put the averaged weights of all stages into one file beside its plan: `output`/<name>.pt and .json.

    What no stage has trained is that of `start`. Raises InputError for stages of another plan, and for weights that are
    none because the training diverged.
    """
    networks = build_networks(dataclasses.replace(training.plan, training=training.record()))
    if start:
        networks.modules().load_state_dict(start.modules().state_dict())
    for schedule in training.stages:
        state = read_average(output / schedule.folder)
        network, crf = _part(state, "network"), _part(state, "crf")
        trained = getattr(networks, schedule.network)
        if training.at(schedule) == training.plan:  # a narrower network lives on in the one that started from it
            _take_up(trained, network, output / schedule.folder)
        if crf:
            _take_up(networks.crf, crf, output / schedule.folder)
    path = output / f"{training.plan.name}.pt"
    try:
        save_weights(networks, path)
    except ValueError as error:
        raise InputError(
            f"The training in {output} has diverged: its weights are not finite. Lower the rate of its stages in the "
            "plan, and train into another folder.",
            [output],
        ) from error
    return path


def _check_all_are_trained(training: TrainingPlan) -> None:
    """Raise InputError for a network that no stage trains, or the last of its stages begins anew and does not train.

    Its weights would be random. The CRF's are the plan's.
    """
    last = {stage.network: stage for stage in training.stages}
    trained = {name for name, stage in last.items() if stage.train_network or stage.start_from}
    for network in (name for name in ("localiser", "segmenter") if name not in trained):
        raise InputError(
            f"No stage of the plan {training.plan.name} trains the {network}, whose weights would be random. Add one "
            f'with "stage": "{network}"; one that comes after it needs "start_from" and its folder.'
        )


def _check_all_can_begin(training: TrainingPlan, chosen: Sequence[StageSchedule], output: Path, ranks: Ranks) -> None:
    """Raise InputError for what would stop one of the stages when its turn has come, hours from now perhaps."""
    for number, schedule in enumerate(chosen):
        check_stage(training, schedule, ranks)
        before = output / schedule.start_from / AVERAGE
        if schedule.start_from not in ("", *(one.folder for one in chosen[:number])) and not before.exists():
            raise InputError(
                f"The stage {schedule.folder} starts from {schedule.start_from}, which has not been trained: no stage "
                f"before it has that name, and {before} is missing.",
                [before],
            )


def _begin_with(
    trainer: Trainer, training: TrainingPlan, schedule: StageSchedule, output: Path, start: Networks | None
) -> tuple[dict[str, torch.Tensor], Path]:
    """The weights that a stage begins with, none where it is the first of its network, and the file that has them."""
    own = _state(start, schedule) if start else {}
    if not schedule.start_from:
        return own, Path(f"{start.plan.name}.pt" if start else "")
    before = output / schedule.start_from
    # a joint stage goes on with the CRF-RNN of `start` too, which the stage before does not have
    return own | _of_width(trainer, training, schedule, before), before / AVERAGE


def _part(state: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """The weights of one module of a StageModule's state."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}


def _take_up(module: nn.Module, state: dict[str, torch.Tensor], folder: Path) -> None:
    """Fill a module with what a stage has trained. Raises InputError where that is a module of another plan."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        ours, theirs = ({(key, tuple(v.shape)) for key, v in one.items()} for one in (module.state_dict(), state))
        raise InputError(
            f"The stage {folder.name} was trained by another plan: its {type(module).__name__} and this plan's differ "
            f"in {min(ours ^ theirs)[0]}. Train that stage again, or take the plan that it was trained by.",
            [folder / AVERAGE],
        ) from error


def _of_width(
    trainer: Trainer, training: TrainingPlan, schedule: StageSchedule, before: Path
) -> dict[str, torch.Tensor]:
    """The weights of the stage before; of a narrower network, in the trainer's wide one, new as it still is."""
    state = read_average(before)
    earlier = next((stage for stage in training.stages if stage.folder == before.name), schedule)
    if earlier.width == schedule.width:
        return state
    wide = trainer.module.network
    narrow = StageModule(earlier.stage, training.at(earlier)).network.to(trainer.device)
    _take_up(narrow, _part(state, "network"), before)
    widen(narrow, wide)
    # copies: the trainer's own weights move on
    return state | {f"network.{key}": value.detach().clone() for key, value in wide.state_dict().items()}


def _state(start: Networks, schedule: StageSchedule) -> dict[str, torch.Tensor]:
    """The weights of a stage's network and of the CRF, named as the trainer names them."""
    parts = {"network": getattr(start, schedule.network), "crf": start.crf}
    return {f"{part}.{key}": value for part, module in parts.items() for key, value in module.state_dict().items()}


def read_average(folder: Path) -> dict[str, torch.Tensor]:
    """The averaged weights (a StageModule's state) that a finished stage left.

    Raises InputError where there are none, or damaged ones.
    """
    path = folder / AVERAGE
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"The stage before has not been trained: {path} is missing.", [path]) from error
    except NO_STATE_DICT as error:
        raise InputError(
            f"The weights {path} are damaged. Delete the file and go on with the training, which makes it anew.", [path]
        ) from error
