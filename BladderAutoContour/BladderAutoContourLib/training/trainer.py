"""One stage of a training: a seeded loop that a kill at any moment only interrupts."""

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from .. import host
from ..errors import InputError
from ..networks.channels import dual_channel
from ..networks.crf_rnn import CrfRnn
from ..networks.finer import finer_grid, on_grid
from ..networks.number_type import number_type
from ..networks.plan import Plan, StagePlan
from ..networks.vnet import VNet
from ..networks.weights import NO_STATE_DICT
from .curve import Curve
from .losses import segmentation_loss
from .patients import MixedSamples, Patient
from .plan import StageSchedule, TrainingPlan
from .ranks import Ranks
from .samples import GeneratedSamples, Recipe

CHECKPOINT = "checkpoint.pt"
AVERAGE = "average.pt"  # what a finished stage leaves: its averaged weights
# Where the deepest level is thinner than 3 voxels, torch 2.13's bf16 convolutions give wrong gradients on the CPU.
SMALLEST_BF16_CROP = 3 * VNet.factor
DIVERGED = 50  # steps in a row without a finite gradient: no rare crop any more, the weights themselves
CRF_RATE = 10.0  # the CRF's few numbers learn faster than the network's many (the authors: x1000 and x100)


class StageModule(nn.Module):
    """HU in, logits out: the network of one stage, with the CRF-RNN behind it in the joint stage.

    precision: "bf16" is float32 all the same where the device does not compute in it: emulated, it is ten times slower.
    """

    def __init__(self, stage: str, plan: Plan, precision: str = "bf16") -> None:
        super().__init__()
        self.precision = precision
        self.plan: StagePlan = plan.localiser if stage == "localiser" else plan.segmenter
        self.network = VNet(self.plan.intensity.channels, self.plan.network)
        self.crf = CrfRnn(plan.crf, self.plan.network.classes) if stage == "joint" else None

    def forward(self, hu: torch.Tensor) -> torch.Tensor:
        """hu (B, Z, Y, X) to logits (B, 2, Z, Y, X), in the joint stage both on the CRF-RNN's grid."""
        shape = self.plan.crop_voxels[::-1]
        seen = hu if self.crf is None else on_grid(hu[:, None], shape)[:, 0]
        mixed = self.precision == "bf16" and number_type(hu.device) == torch.bfloat16
        with torch.autocast(hu.device.type, dtype=torch.bfloat16, enabled=mixed):
            logits = self.network(dual_channel(seen, self.plan.intensity))
        logits = logits.float()
        if self.crf is None:
            return logits
        _, spacing_mm = finer_grid(self.plan.crop_voxels, self.plan.spacing_mm, self.crf.plan.spacing_mm)
        return self.crf(on_grid(logits, hu.shape[1:]), hu, spacing_mm)


class Trainer:
    """Trains one stage into `folder`: CHECKPOINT (bounded: one file, replaced) and the curve.

    Of several ranks each trains its share; all of them hold the same weights after every step. samples: what is shown
    instead of samples made for this stage alone, (HU, soft label) pairs as those are.
    """

    def __init__(
        self,
        training: TrainingPlan,
        schedule: StageSchedule,
        folder: Path,
        ranks: Ranks,
        workers: int = 1,
        patients: Sequence[Patient] = (),
        samples: Dataset | None = None,
    ) -> None:
        self.training, self.schedule, self.folder, self.ranks = training, schedule, folder, ranks
        self.device = device = ranks.device
        check_stage(training, schedule, ranks)
        torch.manual_seed(training.seed)
        self.module = StageModule(schedule.stage, training.at(schedule), schedule.precision).to(device)
        self.average = {name: value.detach().clone() for name, value in self.module.state_dict().items()}
        self.optimiser = self._optimiser()
        self._together = ranks.together(self.module)
        self.workers, self.patients, self.samples = workers, patients, samples
        self.step = self._idle = 0

    def _optimiser(self) -> torch.optim.Optimizer:
        schedule = self.schedule
        for parameter in self.module.network.parameters():
            parameter.requires_grad_(schedule.train_network)
        groups = [{"params": [p for p in self.module.network.parameters() if p.requires_grad], "factor": 1.0}]
        if self.module.crf is not None:
            groups.append({"params": list(self.module.crf.parameters()), "factor": CRF_RATE, "weight_decay": 0.0})
        groups = [group for group in groups if group["params"]]
        if schedule.optimiser == "sgd":  # the paper's
            return torch.optim.SGD(groups, lr=schedule.rate, momentum=0.99, weight_decay=schedule.weight_decay)
        return torch.optim.AdamW(groups, lr=schedule.rate, weight_decay=schedule.weight_decay)

    def start_from(self, state: dict[str, torch.Tensor], source: Path) -> None:
        """Begin with these weights: a StageModule's state, or a part of it (the CNN before the joint stage).

        source: the file that they are from. Raises InputError where they are another network's.
        """
        for name, own in self.module.state_dict().items():
            if name in state and state[name].shape != own.shape:
                there, here = (" x ".join(map(str, tensor.shape)) for tensor in (state[name], own))
                raise InputError(
                    f"The stage {self.schedule.folder} cannot begin with the weights {source}, which are another "
                    f"network's: {name} is {there} there, {here} here. Give both the same network and channels in the "
                    "plan, or start from other weights.",
                    [source],
                )
        self.module.load_state_dict(state, strict=False)
        self.average = {name: value.detach().clone() for name, value in self.module.state_dict().items()}

    @property
    def checkpoint(self) -> Path:
        """The one checkpoint file of this stage."""
        return self.folder / CHECKPOINT

    def resume(self) -> bool:
        """Take up the last checkpoint; False when there is none.

        Raises InputError when it is damaged, or has more steps than the plan.
        """
        if not self.checkpoint.exists():
            return False
        try:
            # modules and optimiser take over what belongs on their device; AdamW's step counts stay off a card
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            self.module.load_state_dict(state["module"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.average = {name: value.to(self.device) for name, value in state["average"].items()}
            self.step = int(state["step"])
        except NO_STATE_DICT as error:
            message = f"The checkpoint {self.checkpoint} is damaged or of another plan; delete it to start again."
            raise InputError(message, [self.checkpoint]) from error
        if self.step > self.schedule.steps:
            raise InputError(
                f"The stage {self.schedule.folder} has taken {self.step} steps already, more than the "
                f"{self.schedule.steps} of the plan. Plan at least as many, or delete {self.folder} to start again.",
                [self.checkpoint],
            )
        return True

    def run(self, progress: Callable[[str, float], None]) -> dict[str, torch.Tensor]:
        """Train to the end of the schedule; returns the averaged weights (a StageModule's state).

        Raises InputError for a training that diverges.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        schedule = self.schedule
        name = f"train {schedule.folder}"
        self.module.train()
        batches = iter(self._batches())
        progress(name, self.step / schedule.steps)
        with Curve(self.folder, self.step) if self.ranks.first else contextlib.nullcontext() as curve:
            while self.step < schedule.steps:
                rate = self._set_rate()
                loss, norm = self._learn(batches)
                self.step += 1
                if curve:
                    curve.add(self.step, loss, rate, norm)
                    if self.step % schedule.checkpoint_every == 0 or self.step == schedule.steps:
                        curve.flush()
                        self._save()
                progress(name, self.step / schedule.steps)
        return self.average

    def _learn(self, batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> tuple[float, float]:
        """One step of the optimiser; returns the mean loss over all passes and ranks, and the gradient's norm."""
        self.optimiser.zero_grad(set_to_none=True)
        passes = len(self.ranks.share(self.schedule.accumulate))
        total = torch.zeros((), device=self.device)
        for left in reversed(range(passes)):
            hu, label = (part.to(self.device) for part in _next_of(batches))
            with self.ranks.only_last_together(self._together, last=left == 0):
                loss = segmentation_loss(self._together(hu), label, self.schedule.loss) / passes
                loss.backward()
            total += loss.detach()
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.schedule.clip)
        # a crop of nothing but air has no variance to normalise by: its gradient may overflow
        if norm.isfinite():
            self.optimiser.step()
            self._update_average()
            self._idle = 0
        else:
            self._expect_no_divergence()
        return float(self.ranks.mean(total)), float(norm)

    def _expect_no_divergence(self) -> None:
        """Count a step that was idle. Raises InputError when there were too many in a row."""
        self._idle += 1
        if self._idle >= DIVERGED:
            raise InputError(
                f"The stage {self.schedule.folder} has diverged: {DIVERGED} steps in a row gave no finite gradient. "
                f'Lower its "rate" in the plan, delete {self.folder}, and train it again.',
                [self.folder],
            )

    def _batches(self) -> DataLoader:
        schedule = self.schedule
        size = schedule.batch * schedule.accumulate
        first = self.training.first_sample(schedule)
        begin, end = (step * size + first for step in (self.step, schedule.steps))
        shares = [number * schedule.batch for number in self.ranks.share(schedule.accumulate)]
        return DataLoader(
            self._samples(end) if self.samples is None else self.samples,
            batch_sampler=[
                range(step + share, step + share + schedule.batch)
                for step in range(begin, end, size)
                for share in shares
            ],
            num_workers=self.workers,
            prefetch_factor=4 if self.workers else None,
        )

    def _samples(self, end: int) -> Dataset:
        schedule = self.schedule
        generated = GeneratedSamples(recipe_of(self.training, schedule), end)
        return MixedSamples(generated, self.patients, schedule.patients) if schedule.patients else generated

    def _set_rate(self) -> float:
        """Linear warm-up, then cosine decay to zero."""
        schedule = self.schedule
        done = self.step / max(1, schedule.steps)
        rate = schedule.rate * min(1.0, (self.step + 1) / max(1, schedule.warmup))
        rate *= 0.5 * (1 + float(torch.cos(torch.tensor(done * torch.pi))))
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        return rate

    def _update_average(self) -> None:
        decay = min(self.schedule.average, (1 + self.step) / (10 + self.step))
        for name, value in self.module.state_dict().items():
            self.average[name].lerp_(value.detach(), 1 - decay)

    def _save(self) -> None:
        state = {
            "step": self.step,
            "module": self.module.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
        }
        save_whole(state, self.checkpoint)


def _next_of(batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """The next batch. Where its process is killed while it hands that over, torch's own words for one that ended."""
    try:
        return next(batches)
    except (ConnectionError, EOFError) as error:
        raise RuntimeError("DataLoader worker (pid unknown) ended while it handed over a sample") from error


def check_stage(training: TrainingPlan, schedule: StageSchedule, ranks: Ranks) -> None:
    """Raise InputError for a stage that these processes cannot share, or that their device would train wrongly."""
    if schedule.accumulate % ranks.count:
        raise InputError(
            f"A step of the stage {schedule.folder} has {schedule.accumulate} passes: {ranks.count} processes "
            f'cannot share them. Write "accumulate": {ranks.count}, or a multiple, into the stage of the plan.'
        )
    smallest = min(getattr(training.plan, schedule.network).crop_voxels)
    if ranks.device.type == "cpu" and schedule.precision == "bf16" and smallest < SMALLEST_BF16_CROP:
        raise InputError(
            f"The crop of the {schedule.stage} stage is too small for bf16 on the CPU ({smallest} voxels, at least "
            f'{SMALLEST_BF16_CROP} are needed). Write "precision": "float32" into the stage of the plan.'
        )


def recipe_of(training: TrainingPlan, schedule: StageSchedule) -> Recipe:
    """What the generated samples of a stage are made by."""
    return Recipe(
        schedule.network,
        training.grid(schedule),
        training.seed,
        schedule.batch * schedule.accumulate,  # all of a step are different; its replays come in the next
        schedule.replays,
        schedule.without_bladder,
        schedule.strata,
        narrow=schedule.narrow,
        warped=schedule.warped,
        closer=schedule.closer,
        findings=schedule.findings,
    )


def save_whole(state: Mapping[str, Any], path: Path) -> None:
    """Write tensors to a file, whole or not at all. Raises OSError."""
    # not straight into the file: there torch tells a full disk as a bare RuntimeError about its archive
    buffer = io.BytesIO()
    torch.save(state, buffer)
    host.put_file(path, lambda temporary: temporary.write_bytes(buffer.getbuffer()))
