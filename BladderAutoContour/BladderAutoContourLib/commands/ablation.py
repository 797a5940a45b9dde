"""`ablation --output DIR`: the paper's seven networks, trained with one budget and judged on the same held-out cases.

torch and numpy suffice, so that a machine with a graphics card and little else can do a part of it; the picture alone
needs vtk. Whatever is finished is kept: a second start goes on.
"""

import argparse
import dataclasses
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import host
from ..errors import InputError, UsageError
from ..events import Events
from ..output_files import check_output, put, write_text
from .parser import at_least
from .train import ON_PROCESSOR, PLAN_LESS, memory_told

if TYPE_CHECKING:
    import torch

    from ..evaluation.ablation.scores import CaseScores, ScoresByRow
    from ..networks.plan import StagePlan
    from ..phantom.test_set import TestCase
    from ..training.ablation import Row
    from ..training.plan import StageSchedule, TrainingPlan
    from ..training.sample_bank import SampleBank

HELP = "Train the paper's seven networks with one budget each, and compare them on the same held-out generated cases."
RUN, TABLE, REPORT, PICTURE = "run.json", "ablation.md", "ablation.json", "ablation.png"
SCORES = "scores.json"
ROW_NAMES = ("v-net", "dual-channel", "batch-norm", "cnn", "crf-rnn", "crf-after", "all")
SEEDS = (1, 2, 3)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help=f"folder for {TABLE}, {REPORT}, {PICTURE}, weights and scores; a second start with the same goes on",
    )
    parser.add_argument(
        "--plan",
        type=Path,
        metavar="FILE",
        help="training plan (JSON) of the whole method: a segmenter stage and a joint stage (default: a lean one)",
    )
    parser.add_argument("--budget", type=int, metavar="N", help="steps of the optimiser that every row gets")
    parser.add_argument("--rows", nargs="+", choices=ROW_NAMES, default=ROW_NAMES, metavar="ROW", help="these alone")
    parser.add_argument(
        "--seeds", nargs="+", type=at_least(0), default=SEEDS, metavar="N", help="trainings of a row (1 2 3)"
    )
    parser.add_argument(
        "--cases", type=at_least(1), metavar="N", help="judge on the first so many held-out cases (all)"
    )
    parser.add_argument(
        "--workers", type=at_least(0), default=1, metavar="N", help="processes that generate samples (default 1)"
    )
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Train, judge and compare. Raises the family's errors."""
    from ..pipeline.device import processor_instead, resolve_device
    from ..training.ablation import LEAN, ROWS, check_plan, with_budget
    from ..training.plan import TrainingPlan

    training = TrainingPlan.load(arguments.plan) if arguments.plan else LEAN
    check_plan(training)
    if arguments.budget is not None:
        if arguments.budget < 2:
            raise UsageError("--budget is at least 2: a step of the CNN, and one of CNN and CRF-RNN together.")
        training = with_budget(training, arguments.budget)
    device = resolve_device(arguments.device)
    if instead := processor_instead(arguments.device):
        events.note(instead)
    check_output(arguments.output)
    cases = held_out_cases(arguments.cases)
    wanted = _what(training, cases)
    kept = arguments.output / RUN
    if kept.exists() and _begun_with(kept) != wanted:
        raise InputError(
            f"The ablation in {arguments.output} was begun with another plan, budget, generator or other cases. "
            "Choose another folder, or what it was begun with.",
            [kept],
        )
    write_text(kept, json.dumps(wanted, indent=1) + "\n")
    rows = [row for row in ROWS if row.name in arguments.rows]
    with memory_told(PLAN_LESS if arguments.plan else ON_PROCESSOR):
        study = _Study(training, arguments.output, device, arguments.workers, events, cases)
        missing = [(seed, row) for seed in arguments.seeds for row in rows if not study.scores_file(row, seed).exists()]
        for number, (seed, row) in enumerate(missing):
            study.do(row, seed, number, len(missing))
            _write_report(arguments.output, training, study.scores(), wanted)
    found = _write_report(arguments.output, training, study.scores(), wanted)
    events.progress("ablation", 1.0)
    if found is not None:
        print(found, flush=True)
        _draw(arguments.output, events)
    events.result(arguments.output)
    return 0


def _begun_with(kept: Path) -> Any:
    """What a folder's ablation was begun with; raises InputError where the file no longer says so."""
    try:
        return json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{kept} is damaged or cannot be read. Choose another folder.", [kept]) from error


def held_out_cases(count: int | None) -> "list[TestCase]":
    """The cases of the frozen test set that have a bladder, the first `count` of them.

    Their crops are whole: of a scan that ends in the bladder, the ablation sees what lies beyond.
    """
    from ..phantom.test_set import with_bladder

    return with_bladder() if count is None else with_bladder(count)


class _Study:
    """The folder of an ablation, and how a row of a seed comes to its scores."""

    def __init__(
        self,
        training: "TrainingPlan",
        output: Path,
        device: "torch.device",
        workers: int,
        events: Events,
        cases: "list[TestCase]",
    ) -> None:
        self._training, self._output, self._device, self._workers = training, output, device, workers
        self._events, self._cases = events, cases
        self._grid = training.grid(training.stages[1])  # the finest: where every row is judged
        self._crops = self._known_crops()

    def scores_file(self, row: "Row", seed: int) -> Path:
        """Where the scores of a row and a seed are kept."""
        from ..training.ablation import folder_of

        return folder_of(row.name, seed, self._output) / SCORES

    def scores(self) -> "ScoresByRow":
        """All that the folder holds."""
        found: dict[str, dict[int, list[CaseScores]]] = {}
        for name in ROW_NAMES:
            for file in sorted((self._output / name).glob(f"seed-*/{SCORES}")):
                seed = int(file.parent.name.partition("-")[2])
                found.setdefault(name, {})[seed] = json.loads(file.read_text(encoding="utf-8"))
        return found

    def do(self, row: "Row", seed: int, number: int, count: int) -> None:
        """Train and judge the `number`th of `count` rows."""
        import numpy as np

        from ..evaluation.ablation.scores import score_crop
        from ..training.ablation import bladder_probability, train_row

        def tell(fraction: float) -> None:
            self._events.progress("ablation", (number + fraction) / count)

        module = train_row(
            row,
            self._training,
            seed,
            self._output,
            self._device,
            lambda stage: self._bank(seed, stage),
            lambda fraction: tell(0.9 * fraction),
        )
        spacing_mm, scores = self._grid.spacing_mm, []
        for place, case in enumerate(self._cases):
            hu, label = self._crops[place]
            scores.append(score_crop(case, bladder_probability(module, hu), label.numpy(), spacing_mm))
            tell(0.9 + 0.1 * (place + 1) / len(self._cases))
        write_text(self.scores_file(row, seed), json.dumps(scores) + "\n")
        mean = np.mean([case["dice"] for case in scores])
        self._events.note(f"{row.name}, seed {seed}: mean Dice {mean:.4f} on {len(scores)} cases.")
        if all((self._output / name / f"seed-{seed}" / SCORES).exists() for name in ROW_NAMES):
            host.remove_folder(self._output / f"seed-{seed}")  # gigabytes that nobody needs any more

    def _bank(self, seed: int, stage: "StageSchedule") -> "SampleBank":
        from ..training.ablation import bank_of

        bank = bank_of(self._training, seed, stage, self._output / f"seed-{seed}")
        together = stage.batch * stage.accumulate * self._training.stages[0].replays
        bank.fill(self._told(f"generate seed {seed}"), self._workers, together)
        return bank

    def _known_crops(self) -> "SampleBank":
        from ..training.ablation import KnownCrops
        from ..training.sample_bank import SampleBank

        crops = KnownCrops([test.case for test in self._cases], self._grid)
        bank = SampleBank(self._output / "cases.bank", crops, self._grid.crop_voxels[::-1])
        bank.fill(self._told("generate cases"), self._workers)
        return bank

    def _told(self, step: str) -> Callable[[float], None]:
        return lambda fraction: self._events.progress(step, fraction)


def _what(training: "TrainingPlan", cases: "list[TestCase]") -> dict[str, Any]:
    """What the folder's numbers depend on, as JSON gives it back."""
    from ..phantom.case import GENERATOR_VERSION
    from ..phantom.test_set import FIRST_SEED
    from ..training.ablation import budget

    what = {
        "generator": GENERATOR_VERSION,
        "first_seed": FIRST_SEED,
        "budget": budget(training),
        "cases": [case.name for case in cases],
        "training": dataclasses.asdict(training),
    }
    return json.loads(json.dumps(what))


def _write_report(output: Path, training: "TrainingPlan", scores: "ScoresByRow", what: dict[str, Any]) -> str | None:
    """Write TABLE and REPORT of what there is; returns the table's text, None where there is no row yet."""
    from ..evaluation.ablation.scores import as_markdown, report

    if not scores:
        return None
    segmenter, joint = training.stages
    network = training.plan.segmenter.network
    text = (
        f"{len(what['cases'])} held-out generated cases (generator {what['generator']}, seeds from "
        f"{what['first_seed']}), crops centred on the known bladder. CNN: {_grid(training.grid(segmenter))}, "
        f"width {network.width}, kernel {network.kernel}, "
        f"normalisation {network.normalisation!r}; CRF-RNN and scores: {_grid(training.grid(joint))}. Every row: "
        f"{what['budget']} steps of {segmenter.batch * segmenter.accumulate} crops, the same ones in the same order, "
        f"{segmenter.optimiser} at a rate of {segmenter.rate:g} (a third of it without normalisation), loss "
        f"{segmenter.loss}. Rows trained end to end: {segmenter.steps} steps of the CNN, "
        f"then {joint.steps} of CNN and CRF-RNN together. Intensities come from a fixed window, not from each CT's "
        "least and greatest as in the paper. Intervals: trainings and cases drawn with replacement, which is too "
        "narrow where the trainings are few: with three, one difference in four that chance makes alone leaves out 0.\n"
    )
    found = report(scores)
    table = as_markdown(found)
    write_text(output / REPORT, json.dumps({"about": text.strip(), "run": what, **found, "scores": scores}) + "\n")
    write_text(output / TABLE, f"{text}\n{table}")
    return f"{text}\n{table}"


def _grid(stage: "StagePlan") -> str:
    """ "64 x 64 x 48 voxels of 4 x 4 x 4 mm"."""
    size, spacing = (" x ".join(f"{value:g}" for value in triple) for triple in (stage.crop_voxels, stage.spacing_mm))
    return f"{size} voxels of {spacing} mm"


def _draw(output: Path, events: Events) -> None:
    if importlib.util.find_spec("vtkmodules") is None:
        events.note(f"{PICTURE} is not drawn: vtk is not installed here. The same command draws it where it is.")
        return
    from ..evaluation.ablation.plot import ablation_plot
    from ..pipeline.lettering import write_png

    found = json.loads((output / REPORT).read_text(encoding="utf-8"))
    put(output / PICTURE, lambda temporary: write_png(ablation_plot(found), temporary))
