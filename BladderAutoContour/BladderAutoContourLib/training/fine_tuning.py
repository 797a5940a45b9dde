"""The plan by which finished weights learn from a hospital's own patients, and do not forget the generated ones."""

import dataclasses

from ..networks.plan import Plan
from .plan import StageSchedule, TrainingPlan
from .trainer import SMALLEST_BF16_CROP

STEPS = 300
SEED = 2  # the shipped weights were trained with 1: generated pelves that they have not seen


def fine_tuning(start: Plan, steps: int = STEPS) -> TrainingPlan:
    """The plan that starts from the weights of `start`: its segmenter, at a tenth of the rate it was trained with.

    The localiser and the CRF-RNN stay. The new plan has a name of its own, and tells what it came from; the scores of
    `start` are not its own.
    """
    fits = min(start.segmenter.crop_voxels) >= SMALLEST_BF16_CROP
    schedule = StageSchedule(
        "segmenter",
        steps,
        rate=2e-4,
        warmup=max(1, min(20, steps // 10)),
        average=0.99,
        checkpoint_every=50,
        without_bladder=0.15,
        strata={"small": 0.25, "contrast": 0.1, "catheter": 0.05, "gas": 0.05, "fluid-bowel": 0.1},
        narrow=0.1,
        precision="bf16" if fits else "float32",
        patients=0.5,
    )
    origin = {"name": start.name, "sha256": start.sha256, "training": start.training}
    plan = dataclasses.replace(start, name=f"{start.name}-own", training={}, scores={}, sha256="")
    return TrainingPlan(SEED, plan, (schedule,), {"start_from": origin})
