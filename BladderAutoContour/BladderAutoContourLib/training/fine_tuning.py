"""The plan by which finished weights are trained on: one of a user's own, or one made for a hospital's own patients,
by which they do not forget the generated ones."""

import dataclasses
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..networks.plan import Plan, StagePlan
from .plan import StageSchedule, TrainingPlan
from .trainer import SMALLEST_BF16_CROP

STEPS = 300
ALWAYS_THEIRS = ("network", "intensity")
"""What weights cannot be moved to another kind of."""
OF_PATIENTS = ("patients", "held_out", "shown")
"""What a plan's notes say of the patients of one training."""
CLOSER = 0.35  # of the generated small bladders, as in the shipped weights' training; patients are read on one grid
PROCESSES = 2  # of torchrun, at most
SEED = 2  # the shipped weights were trained with 1: generated pelves that they have not seen


def fine_tuning(start: Plan, steps: int = STEPS) -> TrainingPlan:
    """The plan that starts from the weights of `start`: localiser and segmenter, each at a tenth of the usual rate.

    The localiser learns too, because what it misses on another scanner no segmenter sees; the CRF-RNN stays. The new
    plan has a name of its own, and tells what it came from; the scores of `start` are not its own.
    """
    stages = (_schedule("localiser", start.localiser, steps, 0.3), _schedule("segmenter", start.segmenter, steps, 0.15))
    plan = dataclasses.replace(start, name=f"{start.name}-own", training={}, scores={}, sha256="")
    return TrainingPlan(SEED, plan, stages, _origin(start))


def going_on(training: TrainingPlan, start: Plan, weights: Path) -> TrainingPlan:
    """A plan that starts from the weights of `start`, a file: its confidence and doubt until they are calibrated anew.

    The new plan tells what it came from; whom another training was shown it does not. Raises InputError for the name
    that `start` has, for networks or a CRF-RNN that could not begin with the weights, for settings that what no stage
    trains was not trained with, and for a second round of a network that would begin with the weights once more.
    """
    if training.plan.name == start.name:
        raise InputError(
            f"The plan and the weights {weights} are both named {start.name}. Give the plan a name of its own: it "
            "becomes the name of the new weights.",
            [weights],
        )
    rounds = [(schedule.folder, schedule.network, schedule) for schedule in training.stages]
    first = {part: folder for folder, part, _ in reversed(rounds)}
    for folder, part, schedule in rounds:
        if folder != first[part] and not schedule.start_from:
            raise InputError(
                f"The stage {folder} would begin with the weights {weights} again, as {first[part]} does. Write "
                f'"start_from" and the stage before into it, such as "{first[part]}".',
                [weights],
            )
    trained = {part for _, part, schedule in rounds if schedule.train_network}
    if any(schedule.stage == "joint" for schedule in training.stages):
        trained.add("crf")
    for part in ("localiser", "segmenter", "crf"):
        theirs, ours = (dataclasses.asdict(getattr(plan, part)) for plan in (start, training.plan))
        wrong = [key for key in ours if ours[key] != theirs[key] and (part not in trained or key in ALWAYS_THEIRS)]
        if part == "crf" and (ours["temperature"] is None) != (theirs["temperature"] is None):
            wrong.append("temperature")
        if wrong:
            raise InputError(
                f"The {part} of the plan {training.plan.name} is not that of the weights {weights}: "
                f"{', '.join(dict.fromkeys(wrong))} differ. Take {part} over from the JSON beside the weights.",
                [weights],
            )
    calibration = {name: getattr(start.decision, name) for name in ("calibration_slope", "calibration_offset")}
    decision = dataclasses.replace(training.plan.decision, **calibration)
    plan = dataclasses.replace(training.plan, decision=decision, doubt=start.doubt, training={}, scores={}, sha256="")
    notes = {key: value for key, value in training.notes.items() if key not in OF_PATIENTS}
    return dataclasses.replace(training, plan=plan, notes={**notes, **_origin(start)})


def _origin(start: Plan) -> dict[str, Any]:
    return {"start_from": {"name": start.name, "sha256": start.sha256, "training": start.training}}


def _schedule(stage: str, grid: StagePlan, steps: int, without_bladder: float) -> StageSchedule:
    fits = min(grid.crop_voxels) >= SMALLEST_BF16_CROP
    return StageSchedule(
        stage,
        steps,
        batch=1,  # one after the other: half the memory, and two processes can share a step
        accumulate=PROCESSES,
        rate=2e-4,
        warmup=max(1, min(20, steps // 10)),
        average=0.99,
        checkpoint_every=50,
        without_bladder=without_bladder,
        strata={"small": 0.25, "contrast": 0.1, "catheter": 0.05, "gas": 0.05, "fluid-bowel": 0.1},
        narrow=0.1,
        closer=CLOSER if grid.closer_below_ml else 0.0,  # or it would forget what small bladders look like from there
        precision="bf16" if fits else "float32",
        patients=0.5,
    )
