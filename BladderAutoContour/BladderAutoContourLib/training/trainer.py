"""One stage of a training: a seeded loop that a kill at any moment only interrupts."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from ..errors import InputError
from ..networks.channels import dual_channel
from ..networks.crf_rnn import CrfRnn
from ..networks.plan import Plan, StagePlan
from ..networks.vnet import VNet
from .losses import segmentation_loss
from .plan import StageSchedule, TrainingPlan
from .samples import GeneratedSamples, Recipe

# Where the deepest level is thinner than 3 voxels, torch 2.13's bf16 convolutions give wrong gradients on the CPU.
SMALLEST_BF16_CROP = 3 * VNet.factor
UNSEEN = 10_000_000  # later rounds of a network see patients of their own
CRF_RATE = 10.0  # the CRF's few numbers learn faster than the network's many (the authors: x1000 and x100)


class StageModule(nn.Module):
    """HU in, logits out: the network of one stage, with the CRF-RNN behind it in the joint stage."""

    def __init__(self, stage: str, plan: Plan, precision: str = "bf16") -> None:
        super().__init__()
        self.precision = precision
        self.plan: StagePlan = plan.localiser if stage == "localiser" else plan.segmenter
        self.network = VNet(self.plan.intensity.channels, self.plan.network)
        self.crf = CrfRnn(plan.crf, self.plan.network.classes) if stage == "joint" else None

    def forward(self, hu: torch.Tensor) -> torch.Tensor:
        """hu (B, Z, Y, X) to logits (B, 2, Z, Y, X)."""
        with torch.autocast(hu.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.network(dual_channel(hu, self.plan.intensity))
        logits = logits.float()
        return logits if self.crf is None else self.crf(logits, hu, self.plan.spacing_mm)


class Trainer:
    """Trains one stage into `folder`: checkpoint.pt (bounded: one file, replaced), curve.csv."""

    def __init__(
        self, training: TrainingPlan, schedule: StageSchedule, folder: Path, device: torch.device, workers: int = 1
    ) -> None:
        self.training, self.schedule, self.folder, self.device = training, schedule, folder, device
        torch.manual_seed(training.seed)
        self.module = StageModule(schedule.stage, training.plan, schedule.precision).to(device)
        smallest = min(self.module.plan.crop_voxels)
        if device.type == "cpu" and schedule.precision == "bf16" and smallest < SMALLEST_BF16_CROP:
            raise InputError(
                f"The crop of the {schedule.stage} stage is too small for bf16 on the CPU ({smallest} voxels, at least "
                f'{SMALLEST_BF16_CROP} are needed). Write "precision": "float32" into the stage of the plan.'
            )
        self.average = {name: value.detach().clone() for name, value in self.module.state_dict().items()}
        self.optimiser = self._optimiser()
        self.workers = workers
        localiser = schedule.stage == "localiser"
        rounds = [stage.folder for stage in training.stages if (stage.stage == "localiser") == localiser]
        self._round = rounds.index(schedule.folder)
        self.step = 0

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

    def start_from(self, state: dict[str, torch.Tensor]) -> None:
        """Begin with these weights: a StageModule's state, or a part of it (the CNN before the joint stage)."""
        self.module.load_state_dict(state, strict=False)
        self.average = {name: value.detach().clone() for name, value in self.module.state_dict().items()}

    @property
    def checkpoint(self) -> Path:
        """The one checkpoint file of this stage."""
        return self.folder / "checkpoint.pt"

    def resume(self) -> bool:
        """Take up the last checkpoint; False when there is none. Raises InputError when it is damaged."""
        if not self.checkpoint.exists():
            return False
        try:
            state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            self.module.load_state_dict(state["module"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.average, self.step = state["average"], int(state["step"])
        except (RuntimeError, KeyError, ValueError, EOFError) as error:
            message = f"The checkpoint {self.checkpoint} is damaged or of another plan; delete it to start again."
            raise InputError(message, [self.checkpoint]) from error
        return True

    def run(self, progress: Callable[[str, float], None]) -> dict[str, torch.Tensor]:
        """Train to the end of the schedule; returns the averaged weights (a StageModule's state)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._trim_curve()
        schedule = self.schedule
        self.module.train()
        with (self.folder / "curve.csv").open("a", newline="", encoding="utf-8") as curve:
            writer = csv.writer(curve)
            if curve.tell() == 0:
                writer.writerow(["step", "loss", "rate", "gradient"])
            for hu, label in self._batches():
                rate = self._set_rate()
                loss = segmentation_loss(self.module(hu.to(self.device)), label.to(self.device), schedule.loss)
                self.optimiser.zero_grad(set_to_none=True)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(self.module.parameters(), schedule.clip)
                # a crop of nothing but air has no variance to normalise by: its gradient may overflow
                if norm.isfinite():
                    self.optimiser.step()
                    self._update_average()
                self.step += 1
                writer.writerow([self.step, f"{loss.item():.5f}", f"{rate:.3g}", f"{float(norm):.3g}"])
                if self.step % schedule.checkpoint_every == 0 or self.step == schedule.steps:
                    curve.flush()
                    self._save()
                progress(f"train {schedule.stage}", self.step / schedule.steps)
        return self.average

    def _batches(self) -> DataLoader:
        schedule = self.schedule
        stage = self.module.plan
        recipe = Recipe(
            "localiser" if schedule.stage == "localiser" else "segmenter",
            stage,
            self.training.seed,
            schedule.batch,
            schedule.replays,
            schedule.without_bladder,
            schedule.strata,
            schedule.narrow,
        )
        first = self.step * schedule.batch + UNSEEN * self._round
        length = first + (schedule.steps - self.step) * schedule.batch
        return DataLoader(
            GeneratedSamples(recipe, length),
            batch_size=schedule.batch,
            sampler=range(first, length),
            num_workers=self.workers,
            prefetch_factor=4 if self.workers else None,
        )

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
        temporary = self.checkpoint.with_suffix(".partial")
        torch.save(state, temporary)
        os.replace(temporary, self.checkpoint)

    def _trim_curve(self) -> None:
        """Drop rows past the checkpoint: the steps that a kill cost are trained again, and recorded once."""
        path = self.folder / "curve.csv"
        if not path.exists():
            return
        rows = path.read_text(encoding="utf-8").splitlines()
        path.write_text("".join(f"{row}\n" for row in rows[: self.step + 1 if self.step else 0]), encoding="utf-8")
