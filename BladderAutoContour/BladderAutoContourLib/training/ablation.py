"""The paper's ablation, trained: seven networks that differ in one thing each, with the same budget and samples.

A training plan describes the whole method, the last row: one stage that trains the CNN, one that trains CNN and CRF-RNN
together. Every row gets as many steps of the optimiser as these two have, and sees the same samples in the same order:
rows with a CRF-RNN divide the steps between the stages as the plan does, the others train the CNN all the time. The CRF
of the row that post-processes has the widths and weights that the CRF-RNN starts with; it costs no steps.

Where the CRF works on a finer grid than the CNN, the samples of the joint stage are rendered on that grid, the same
patients and fields of view; every row is judged there, the CNN's logits interpolated.

Learned from crops about the bladder and judged on such crops, as in the paper: what a localiser misses is no
difference between these networks.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from ..errors import InputError
from ..imaging.geometry import patient_grid
from ..networks.finer import on_grid
from ..networks.plan import CrfPlan, IntensityPlan, NetworkPlan, Plan, StagePlan
from ..phantom.case import Case
from ..phantom.render import bladder_centre_mm, render
from .plan import StageSchedule, TrainingPlan
from .ranks import Ranks
from .run import AVERAGE, read_average
from .sample_bank import SampleBank
from .samples import GeneratedSamples
from .trainer import StageModule, Trainer, recipe_of, save_whole

NO_CRF, AFTER, TOGETHER = "none", "after", "together"


@dataclass(frozen=True)
class Row:
    """One network of the ablation. crf: none, as post-processing, or trained together with the CNN."""

    name: str
    density_map: bool
    normalised: bool
    crf: str = NO_CRF

    @property
    def cnn(self) -> str:
        """Name of the row that trains this row's weights: its own, but for the row that post-processes."""
        return "batch-norm" if self.crf == AFTER else self.name


UNNORMALISED = 1 / 3
"""Of the plan's rate, for rows without normalisation. With all of it their loss rises tenfold now and then, and the
V-net alone ends where it calls nothing bladder."""

ROWS = (
    Row("v-net", density_map=False, normalised=False),
    Row("dual-channel", density_map=True, normalised=False),
    Row("batch-norm", density_map=False, normalised=True),
    Row("cnn", density_map=True, normalised=True),
    Row("crf-rnn", density_map=False, normalised=True, crf=TOGETHER),
    Row("crf-after", density_map=False, normalised=True, crf=AFTER),
    Row("all", density_map=True, normalised=True, crf=TOGETHER),
)
"""The rows of the paper's second table, in its order."""

LEAN = TrainingPlan(
    seed=1,
    plan=Plan(
        name="ablation",
        localiser=StagePlan((6.0, 6.0, 6.0), (64, 64, 48)),  # not trained: crops lie about the known bladder
        segmenter=StagePlan((5.0, 5.0, 5.0), (48, 48, 48), IntensityPlan(), NetworkPlan(width=8, kernel=3)),
        crf=CrfPlan(
            theta_alpha_mm=(4.0, 4.0, 4.0),
            theta_beta_hu=20.0,
            bilateral_weight=10.0,
            spacing_mm=(2.5, 2.5, 5.0),
            temperature=2.8,
        ),
    ),
    stages=(
        StageSchedule(
            "segmenter",
            2850,
            batch=1,
            rate=3e-3,
            warmup=100,
            without_bladder=0.1,
            strata={"small": 0.25, "contrast": 0.1},
        ),
        StageSchedule("joint", 150, batch=1, rate=2e-4, warmup=10, start_from="segmenter"),
    ),
)
"""The lean configuration: about the field of view of the paper's crops; a CNN of half the width at 5 mm, the CRF-RNN
on a grid that is finer in plane. A step of the CNN takes a fifth of a second on one processor core."""


def check_plan(training: TrainingPlan) -> None:
    """Raise InputError for a plan that is not one CNN stage and one joint stage of a whole method."""
    stages = [schedule.stage for schedule in training.stages]
    stage = training.plan.segmenter
    if stages != ["segmenter", "joint"]:
        raise InputError("The plan of an ablation has two stages: a segmenter, and the joint one that goes on with it.")
    if not stage.intensity.density_map or stage.network.normalisation == "none":
        raise InputError("The plan of an ablation is the whole method: with density map and normalisation.")
    segmenter, joint = training.stages
    if any(schedule.width or schedule.kept or schedule.patients for schedule in training.stages):
        raise InputError("The stages of an ablation have no width of their own, keep nothing and show no patients.")
    sizes = {schedule.batch * schedule.accumulate for schedule in training.stages}
    if len(sizes) > 1 or joint.start_from != segmenter.folder or not joint.train_network:
        raise InputError(
            f'The joint stage of an ablation has the batch of the segmenter, starts from "{segmenter.folder}", and '
            "trains the network too."
        )


def with_budget(training: TrainingPlan, steps: int) -> TrainingPlan:
    """The plan with as many steps in all, divided between its stages as before, each at least one."""
    segmenter, joint = training.stages
    share = joint.steps / (segmenter.steps + joint.steps)
    last = min(max(round(share * steps), 1), steps - 1)
    lengths = ((segmenter, steps - last), (joint, last))
    stages = tuple(
        dataclasses.replace(one, steps=count, warmup=max(1, min(one.warmup, count // 10))) for one, count in lengths
    )
    return dataclasses.replace(training, stages=stages)


def budget(training: TrainingPlan) -> int:
    """Steps of the optimiser that every row gets."""
    return sum(schedule.steps for schedule in training.stages)


def training_of(row: Row, training: TrainingPlan, seed: int) -> TrainingPlan:
    """How a row is trained."""
    segmenter, joint = (
        dataclasses.replace(schedule, rate=schedule.rate * (1 if row.normalised else UNNORMALISED))
        for schedule in training.stages
    )
    if row.crf == TOGETHER:
        shown = segmenter.steps * segmenter.batch * segmenter.accumulate
        stages = (
            dataclasses.replace(segmenter, first_sample=0),
            dataclasses.replace(joint, first_sample=shown),
        )
    else:
        stages = (dataclasses.replace(segmenter, steps=budget(training), first_sample=0),)
    grid = training.plan.segmenter
    normalisation = grid.network.normalisation if row.normalised else "none"
    grid = dataclasses.replace(
        grid,
        intensity=dataclasses.replace(grid.intensity, density_map=row.density_map),
        network=dataclasses.replace(grid.network, normalisation=normalisation),
    )
    plan = dataclasses.replace(training.plan, name=row.name, segmenter=grid)
    return TrainingPlan(seed, plan, stages, training.notes)


def bank_of(training: TrainingPlan, seed: int, stage: StageSchedule, folder: Path) -> SampleBank:
    """The samples that a stage of every row of a seed learns from, in a file of `folder`; not made yet.

    Where the CRF has a grid of its own there are two files: all on the CNN's grid, the joint stage's on the CRF's.
    """
    segmenter = training.stages[0]
    size = segmenter.batch * segmenter.accumulate
    count, grid = budget(training) * size, training.grid(stage)
    first = 0 if grid == training.grid(segmenter) else segmenter.steps * size
    recipe = dataclasses.replace(recipe_of(dataclasses.replace(training, seed=seed), segmenter), plan=grid)
    path = folder / f"{segmenter.stage if first == 0 else stage.stage}.bank"
    return SampleBank(path, GeneratedSamples(recipe, count), grid.crop_voxels[::-1], first)


def train_row(
    row: Row,
    training: TrainingPlan,
    seed: int,
    output: Path,
    device: torch.device,
    samples: Callable[[StageSchedule], Dataset],
    progress: Callable[[float], None],
) -> StageModule:
    """Train a row into `output`/<row>/seed-<seed>, or go on with it; returns its network, ready to predict.

    A finished stage leaves its averaged weights and is not trained again. samples: gives what is in `bank_of` a stage;
    called where something is left to train. Raises InputError for a damaged checkpoint.
    """
    own = training_of(row, training, seed)
    folder = folder_of(row.cnn, seed, output)
    total, done = sum(schedule.steps for schedule in own.stages), 0
    for schedule in own.stages:
        place = folder / schedule.folder
        if not (place / AVERAGE).exists():
            trainer = Trainer(own, schedule, place, Ranks(device), workers=0, samples=samples(schedule))
            if not trainer.resume() and schedule.start_from:
                before = folder / schedule.start_from
                trainer.start_from(read_average(before), before / AVERAGE)
            average = trainer.run(
                lambda name, fraction, done=done, steps=schedule.steps: progress((done + fraction * steps) / total)
            )
            save_whole(average, place / AVERAGE)
            trainer.checkpoint.unlink(missing_ok=True)
        done += schedule.steps
        progress(done / total)
    last = own.stages[-1]
    module = StageModule("segmenter" if row.crf == NO_CRF else "joint", own.plan, last.precision)
    # the CRF that post-processes is not among the weights: it stays as the plan has it
    module.load_state_dict(read_average(folder / last.folder), strict=row.crf != AFTER)
    return module.to(device).eval()


def folder_of(name: str, seed: int, output: Path) -> Path:
    """Where a row of a seed is kept."""
    return output / name / f"seed-{seed}"


def bladder_probability(module: StageModule, hu: torch.Tensor) -> np.ndarray:
    """Probability of the bladder, float32 (Z, Y, X), in a crop `hu` (Z, Y, X) on the grid of the joint stage."""
    hu = hu[None].to(next(module.parameters()).device)
    with torch.inference_mode():
        if module.crf is None:
            seen = on_grid(hu[None], module.plan.crop_voxels[::-1])[0]
            logits = on_grid(module(seen), hu.shape[1:])
        else:
            logits = module(hu)
        return logits.softmax(dim=1)[0, 1].cpu().numpy()


class KnownCrops(Dataset):
    """Crops centred on the known bladder, as the paper's test cases are: (HU, soft label), float32 (Z, Y, X)."""

    def __init__(self, cases: Sequence[Case], stage: StagePlan) -> None:
        self.cases, self.stage = tuple(cases), stage

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        case = self.cases[index]
        rendered = render(case, patient_grid(bladder_centre_mm(case), self.stage.spacing_mm, self.stage.crop_voxels))
        return rendered.hu, rendered.bladder
