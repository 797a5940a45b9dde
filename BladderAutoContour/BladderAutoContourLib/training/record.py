"""What the training in a folder was begun with: RUN, its training plan with the SHA-256 of the weights it started from.

Whoever goes on with something else would get weights whose plan tells of a training that never was.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .. import host
from ..errors import InputError
from ..phantom.case import GENERATOR_VERSION
from .plan import StageSchedule, TrainingPlan
from .trainer import AVERAGE, CHECKPOINT

RUN = "run.json"
# what a stage of each kind learns by, and would be another training with
_PARTS = {"localiser": ("localiser",), "segmenter": ("segmenter",), "joint": ("segmenter", "crf")}


def has_begun(folder: Path) -> bool:
    """Whether a stage has left anything in its folder that a training could go on with."""
    return (folder / CHECKPOINT).exists() or (folder / AVERAGE).exists()


def keep_record(training: TrainingPlan, origin: str, output: Path) -> None:
    """Write RUN into `output`. origin: SHA-256 of the weights that the training starts from; "" where there are none.

    Stages that have begun there must be those of the record; a folder without one is believed. New stages may come and
    those not begun may change, name and notes too, and how many steps a stage takes that is not finished. Raises
    InputError where anything else differs, OSError where nothing can be written.
    """
    path = output / RUN
    if path.exists():
        before, started_from, generator = _read(path)
        begun = [schedule for schedule in before.stages if has_begun(output / schedule.folder)]
        differences = list(_differences(before, training, begun, output))
        if begun and generator != GENERATOR_VERSION:
            differences.append(_told("the generator of the pelves", generator, GENERATOR_VERSION))
        if begun and started_from != origin:
            differences.append("the weights that it starts from")
        if differences:
            raise InputError(
                f"The training in {output} was begun with another plan. These differ: {'; '.join(differences)}. Go on "
                f"with what it was begun with, which {RUN} there tells, or choose another folder; a stage whose folder "
                "is deleted is trained anew.",
                [path],
            )
    output.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**asdict(training), "start_from": origin, "generator": GENERATOR_VERSION}, indent=1) + "\n"
    host.put_text(path, text)


def _read(path: Path) -> tuple[TrainingPlan, str, int]:
    """The plan, the weights that it started from, and the generator that it began with."""
    try:
        training = TrainingPlan.load(path)
        raw = json.loads(path.read_text(encoding="utf-8"))
        return training, str(raw["start_from"]), int(raw["generator"])
    except (InputError, KeyError) as error:
        raise InputError(
            f"{path}, which tells what the training was begun with, is damaged. Delete it if plan and weights are the "
            "same as then, or choose another folder.",
            [path],
        ) from error


def _differences(before: TrainingPlan, now: TrainingPlan, begun: list[StageSchedule], output: Path) -> Iterator[str]:
    """What is another in `now`, of all that the stages that have begun depend on."""
    if begun and before.seed != now.seed:
        yield _told("seed", before.seed, now.seed)
    for part in sorted({part for schedule in begun for part in _PARTS[schedule.stage]}):
        ours, theirs = asdict(getattr(now.plan, part)), asdict(getattr(before.plan, part))
        for fields in (ours, theirs):
            for name in ("shift_voxels", "closer_below_ml"):  # count at work alone
                fields.pop(name, None)
        yield from _fields(part, theirs, ours)
    stages = {schedule.folder: schedule for schedule in now.stages}
    for schedule in begun:
        if schedule.folder not in stages:
            yield f"the stage {schedule.folder} is missing"
            continue
        if schedule.start_from and not (output / schedule.start_from / AVERAGE).exists():
            yield f"{schedule.start_from}, which {schedule.folder} began with, is gone (delete {schedule.folder} too)"
        ours, theirs = _schedule(now, stages[schedule.folder]), _schedule(before, schedule)
        if not (output / schedule.folder / AVERAGE).exists():
            ours["steps"] = theirs["steps"]
        yield from _fields(f"stage {schedule.folder}", theirs, ours)


def _schedule(training: TrainingPlan, schedule: StageSchedule) -> dict[str, Any]:
    """A stage's schedule; another place among the rounds of its network shows in its first sample."""
    return asdict(replace(schedule, first_sample=training.first_sample(schedule)))


def _fields(name: str, before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for key in sorted(before.keys() | now.keys()):
        one, other = before.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _fields(f"{name}, {key}", one, other)
        elif one != other:
            yield _told(f"{name}, {key}", one, other)


def _told(name: str, before: object, now: object) -> str:
    return f"{name} ({json.dumps(before)} there, {json.dumps(now)} here)"
