"""The plan of a training: stages, data, loss, schedule, seed. One JSON file; a run keeps a copy of it."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import InputError
from ..networks.finer import finer_grid
from ..networks.plan import Plan, StagePlan, expect, is_from_zero, is_number, is_whole
from ..networks.vnet import VNet
from ..phantom.case import GENERATOR_VERSION, STRATA

STAGES = ("localiser", "segmenter", "joint")
LOSSES = ("dice+cross-entropy", "cross-entropy", "dice", "iou", "tversky")
OPTIMISERS = ("adamw", "sgd")
PRECISIONS = ("bf16", "float32")
SHARES = ("without_bladder", "narrow", "closer", "warped", "findings", "patients", "kept")
RESERVED = ("run", "patients", "held-out")
"""Names of what a training leaves beside its weights."""
UNSEEN = 10_000_000  # later rounds of a network see patients of their own


@dataclass(frozen=True)
class StageSchedule:
    """How one stage is trained.

    name: of its folder, the stage's own unless given; a network may be trained in several rounds. replays: how often a
    generated crop is shown, each time mirrored and shifted anew. accumulate: how many passes of `batch` crops each make
    one step of the optimiser; several processes share them, and learn the same as one. strata: share of the patients
    that are drawn from each of these strata of the generator; the rest is drawn freely. narrow: share of the crops
    whose field of view is smaller on all sides. closer: share of the segmenter's crops about a small bladder, or about
    none, that are made on a finer grid: seen larger. warped: share of the generated crops that are bent by a spline, at
    each showing by another. findings: share of the generated patients that have what the generator's priors leave out
    (training/findings.py). patients: share of the samples that show the hospital's own patients, half of them warped in
    the plane as in the paper. first_sample: where in the samples this stage begins; unless given, later rounds of a
    network see patients of their own. width: of the network in this stage, where a later stage that starts from this
    one widens it to the plan's; None: the plan's. kept: share of the weights that the stage begins with in those that
    it leaves, their weighted mean: what it is shown seldom it forgets less (Wortsman et al., CVPR 2022, 7959-7971).
    """

    stage: str
    steps: int
    name: str = ""
    batch: int = 2
    accumulate: int = 1
    rate: float = 2e-3
    warmup: int = 50
    optimiser: str = "adamw"
    weight_decay: float = 1e-2
    loss: str = "dice+cross-entropy"
    precision: str = "bf16"
    without_bladder: float = 0.2
    replays: int = 2
    strata: dict[str, float] = field(default_factory=dict)
    narrow: float = 0.0
    closer: float = 0.0
    warped: float = 0.0
    findings: float = 0.0
    patients: float = 0.0
    average: float = 0.995  # decay of the exponential moving average of the weights
    clip: float = 1.0  # largest norm of the gradient
    start_from: str = ""  # folder name of an earlier stage whose weights this one begins with
    checkpoint_every: int = 100  # steps that a kill costs at most
    train_network: bool = True  # False in the joint stage: the CRF-RNN learns, the CNN stays
    first_sample: int | None = None
    width: int | None = None
    kept: float = 0.0

    def __post_init__(self) -> None:
        choices = (
            (self.stage, STAGES),
            (self.loss, LOSSES),
            (self.optimiser, OPTIMISERS),
            (self.precision, PRECISIONS),
        )
        for value, allowed in choices:
            if value not in allowed:
                raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
        for name in ("steps", "batch", "accumulate", "replays", "checkpoint_every"):
            expect(f"{name} is {getattr(self, name)!r}: a whole number from 1 on", is_whole(getattr(self, name), 1))
        for name in ("rate", "clip"):
            expect(f"{name} is {getattr(self, name)!r}: a number above 0", is_number(getattr(self, name), above=0))
        for name in SHARES:
            expect(f"{name} is {getattr(self, name)!r}: a number from 0 to 1", is_from_zero(getattr(self, name), to=1))
        expect(
            f"average is {self.average!r}: a number from 0 on, below 1", is_from_zero(self.average) and self.average < 1
        )
        expect(f"weight_decay is {self.weight_decay!r}: a number from 0 on", is_from_zero(self.weight_decay))
        expect(f"warmup is {self.warmup!r}: a whole number from 0 on", is_whole(self.warmup, 0))
        expect(f"train_network is {self.train_network!r}: true or false", isinstance(self.train_network, bool))
        expect("train_network is false: that is for the joint stage", self.train_network or self.stage == "joint")
        first, width = self.first_sample, self.width
        expect(f"first_sample is {first!r}: a whole number from 0 on", first is None or is_whole(first, 0))
        expect(f"width is {width!r}: a whole number from 1 on", width is None or is_whole(width, 1))
        if self.closer and self.stage == "joint":
            raise ValueError("closer is for the segmenter's own stages: the CRF-RNN counts on the plan's spacing")
        if unknown := sorted(self.strata.keys() - set(STRATA)):
            raise ValueError(f"there is no stratum {unknown[0]!r}: {', '.join(STRATA)}")
        shares = self.strata.values()
        are_shares = all(map(is_from_zero, shares)) and sum(shares) <= 1 + 1e-9
        expect("the shares of the strata are numbers from 0 on, and at most 1 together", are_shares)
        _expect_name(self.folder, "a folder")

    @property
    def folder(self) -> str:
        """Name of the folder that holds this stage's checkpoint, curve and weights."""
        return self.name or self.stage

    @property
    def network(self) -> str:
        """Name of the network that this stage trains, in plans and among finished networks."""
        return "localiser" if self.stage == "localiser" else "segmenter"


def _expect_name(name: str, of: str) -> None:
    """Raise ValueError for what some system does not take as a file's or a folder's name."""
    if not re.fullmatch(r'(?!\.)[^/\\:*?"<>|\x00-\x1f]+', name):
        raise ValueError(f'{name!r} is no name for {of}: without a dot in front, and / \\ : * ? " < > |')


def _expect_readable(notes: Mapping[str, Any]) -> None:
    """Raise ValueError for notes on start weights, or on patients shown, that are not as a training writes them."""
    shown, origin = notes.get("shown"), notes.get("start_from")
    if shown is not None:
        kinds = {"salt": str, "identities": list}
        is_one = isinstance(shown, Mapping) and all(isinstance(shown.get(key), kind) for key, kind in kinds.items())
        expect('the note "shown" is not what a training writes', is_one)
    if origin is not None:
        kinds = {"name": str, "training": Mapping}
        is_one = isinstance(origin, Mapping) and all(isinstance(origin.get(key), kind) for key, kind in kinds.items())
        expect('the note "start_from" is not what a training writes', is_one)
        _expect_readable(origin["training"])


@dataclass(frozen=True)
class TrainingPlan:
    """A whole training. `plan` describes what comes out; `stages` run in their order.

    notes: what else its record tells; those on the weights it began with, and on whom it was shown, are read again.

    Raises ValueError for a negative seed, a name that no file of weights can have, networks that cannot be built or
    tell other than two classes apart, crops that they cannot halve, two stages of one folder, a stage whose network is
    wider than the plan's, narrower than that it starts from, or narrower than the plan's without a later one that goes
    on, a stage that learns nothing, and notes that nobody could read.
    """

    seed: int
    plan: Plan
    stages: tuple[StageSchedule, ...]
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        is_seed = is_whole(self.seed, 0) and self.seed < 2**63
        expect(f"the seed is {self.seed!r}: it is a whole number from 0 to 2^63 - 1", is_seed)
        _expect_name(self.plan.name, "a file of weights")
        if self.plan.name.casefold() in RESERVED:
            raise ValueError(f"{self.plan.name!r} is the name of something else that a training leaves")
        for stage in (self.plan.localiser, self.plan.segmenter):
            crop = stage.crop_voxels
            if any(size < VNet.factor or size % VNet.factor for size in crop):
                raise ValueError(f"crop_voxels are {crop}: each is a multiple of {VNet.factor}")
            if max(crop) == VNet.factor:
                raise ValueError(f"crop_voxels are {crop}: one is {2 * VNet.factor} at least")
            if stage.network.classes != 2:
                raise ValueError(f"classes are {stage.network.classes}: they are two, bladder and background")
        folders = [schedule.folder.casefold() for schedule in self.stages]  # some systems' folders know no case
        if twice := {name for name in folders if folders.count(name) > 1}:
            raise ValueError(f"two stages share the folder {min(twice)}: give one of them a name of its own")
        self._expect_networks()
        _expect_readable(self.notes)

    def _expect_networks(self) -> None:
        """Raise ValueError for widths that lead to no network, or not to the plan's; for one that learns nothing."""
        last = {schedule.network: schedule for schedule in self.stages}
        widths: dict[tuple[str, str], int] = {}
        for schedule in self.stages:
            stage: StagePlan = getattr(self.plan, schedule.network)
            most, channels = stage.network.width, stage.intensity.channels
            width = widths[schedule.folder, schedule.network] = most if schedule.width is None else schedule.width
            if width > most:
                raise ValueError(f"the stage {schedule.folder} has width {width}, its network in the plan {most}")
            if width < most and schedule in last.values():
                raise ValueError(f"no stage widens {schedule.folder} from {width} to {most}, as the plan has it")
            if width % channels:
                raise ValueError(f"the stage {schedule.folder} has width {width}: no multiple of {channels} channels")
            if widths.get((schedule.start_from, schedule.network), 0) > width:
                raise ValueError(f"the stage {schedule.folder} is narrower than {schedule.start_from}: it cannot go on")
            if not schedule.train_network and not self.plan.crf.iterations:
                raise ValueError(f"the stage {schedule.folder} learns nothing: its CRF-RNN has no iteration")

    @classmethod
    def load(cls, path: Path) -> "TrainingPlan":
        """Read a plan file. Raises InputError when it is missing or not a training plan."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8-sig"))  # editors of Windows begin files with a mark
            return cls(
                seed=raw["seed"],
                plan=Plan.from_json(json.dumps(raw["plan"])),
                stages=tuple(StageSchedule(**stage) for stage in raw["stages"]),
                notes=dict(raw.get("notes", {})),
            )
        except OSError as error:
            raise InputError(f"The training plan {path} cannot be read: {error.strerror}.", [path]) from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(f"{path} is not a training plan: {error}.", [path]) from error

    def grid(self, schedule: StageSchedule) -> StagePlan:
        """The plan of the network that a stage trains, on its samples' grid: in the joint stage the CRF-RNN's."""
        if schedule.stage == "localiser":
            return self.plan.localiser
        stage = self.plan.segmenter
        if schedule.stage == "segmenter":
            return stage
        size, spacing_mm = finer_grid(stage.crop_voxels, stage.spacing_mm, self.plan.crf.spacing_mm)
        return replace(stage, crop_voxels=size, spacing_mm=spacing_mm)

    def at(self, schedule: StageSchedule) -> Plan:
        """The plan as a stage has it: where the schedule says so, its network is narrower."""
        if schedule.width is None:
            return self.plan
        stage: StagePlan = getattr(self.plan, schedule.network)
        return replace(
            self.plan, **{schedule.network: replace(stage, network=replace(stage.network, width=schedule.width))}
        )

    def first_sample(self, schedule: StageSchedule) -> int:
        """Where in the samples of its network a stage begins."""
        if schedule.first_sample is not None:
            return schedule.first_sample
        rounds = [stage.folder for stage in self.stages if stage.network == schedule.network]
        return UNSEEN * rounds.index(schedule.folder)

    def record(self) -> dict[str, Any]:
        """What the shipped plan says about its own training."""
        return {
            **self.notes,
            "seed": self.seed,
            "generator": GENERATOR_VERSION,
            "software": __version__,
            "stages": [asdict(stage) for stage in self.stages],
        }
