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
    """A plan that starts from the weights of `start`, a file: it tells what it came from.

    Raises InputError where it has other networks, which could not begin with the weights.
    """
    for part in ("localiser", "segmenter"):
        theirs, ours = (getattr(plan, part) for plan in (start, training.plan))
        if (theirs.network, theirs.intensity) != (ours.network, ours.intensity):
            raise InputError(
                f"The plan {training.plan.name} has another {part} than the weights {weights}: its network and its "
                'channels ("intensity") must be theirs. Take them over into the plan, or train without --start-from.',
                [weights],
            )
    return dataclasses.replace(training, notes={**training.notes, **_origin(start)})


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
