"""Trainings that cannot go well: told in a sentence that says what to do, and nothing torn is left."""

import dataclasses
import json
import math
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.networks.crf_rnn import CrfRnn
from BladderAutoContourLib.networks.plan import NetworkPlan
from BladderAutoContourLib.networks.weights import load_weights
from BladderAutoContourLib.training.plan import TrainingPlan
from BladderAutoContourLib.training.ranks import Ranks
from BladderAutoContourLib.training.run import AVERAGE, run_training
from BladderAutoContourLib.training.trainer import StageModule
from tiny_training import ALONE, curve, silent, tiny_plan, train, write_plan


def told(result: CompletedProcess[str], code: int, *words: str) -> None:
    """Check that a training ended with this code and a sentence that holds these words."""
    assert result.returncode == code, (result.returncode, result.stderr)
    assert "Traceback" not in result.stderr
    message = json.loads(result.stdout.splitlines()[-1])["error"]["message"]
    for word in words:
        assert word in message, (word, message)


def test_a_full_disk_is_told_and_leaves_no_torn_checkpoint(tmp_path: Path, full_disk: Path) -> None:
    plan = write_plan(tiny_plan(steps=2), tmp_path / "plan.json")
    told(train("--plan", plan, "--output", full_disk, "--workers", "0"), 6, "disk is full")
    assert [file.name for file in full_disk.rglob("*.p*")] == []


@pytest.mark.parametrize("name", ["average.pt", "checkpoint.pt"])
def test_damaged_weights_are_told_with_their_file(tmp_path: Path, name: str) -> None:
    training = tiny_plan(steps=1)
    run_training(training, tmp_path, ALONE, silent, only=["localiser"])
    damaged = tmp_path / "localiser" / name
    whole = damaged.read_bytes()
    if name == "checkpoint.pt":
        (tmp_path / "localiser" / "average.pt").unlink()
    for content in (whole[: len(whole) // 2], b"", bytes(len(whole))):
        damaged.write_bytes(content)
        with pytest.raises(InputError, match="damaged") as caught:
            run_training(training, tmp_path, ALONE, silent, resume=True, only=["localiser", "segmenter"])
        assert caught.value.files == (str(damaged),)


def test_a_diverged_training_is_told(tmp_path: Path) -> None:
    training = tiny_plan(steps=60, batch=1, replays=30, rate=1e30, optimiser="sgd", clip=1e9, checkpoint_every=1)
    with pytest.raises(InputError, match=r"localiser has diverged: 50 steps .* Lower its .rate. in the plan"):
        run_training(training, tmp_path, ALONE, silent, workers=0)
    assert not (tmp_path / "localiser" / "average.pt").exists()
    assert len(curve(tmp_path / "localiser")) < 60


def test_weights_that_no_file_can_hold_are_a_training_that_diverged(tmp_path: Path) -> None:
    training = tiny_plan(steps=1)
    for stage in training.stages:
        state = StageModule(stage.stage, training.plan).state_dict()
        (tmp_path / stage.folder).mkdir()
        torch.save({name: value * 1e30 for name, value in state.items()}, tmp_path / stage.folder / AVERAGE)
    with pytest.raises(InputError, match="has diverged") as caught:
        run_training(training, tmp_path, ALONE, silent, resume=True)
    assert caught.value.files == (str(tmp_path),)
    assert not (tmp_path / "tiny.pt").exists()


def test_a_stage_that_the_plan_lacks_is_refused(tmp_path: Path) -> None:
    plan = write_plan(tiny_plan(), tmp_path / "plan.json")
    result = train("--plan", plan, "--output", tmp_path / "out", "--stage", "segmentor")
    told(result, 2, "no stage segmentor", "localiser, segmenter, joint")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("kept", "missing"), [(slice(1, 3), "localiser"), (slice(0, 1), "segmenter"), (slice(0), "")])
def test_a_plan_that_leaves_a_network_random_is_refused(tmp_path: Path, kept: slice, missing: str) -> None:
    training = tiny_plan()
    training = dataclasses.replace(training, stages=training.stages[kept])
    with pytest.raises(InputError, match=f"trains the {missing}"):
        run_training(training, tmp_path / "out", ALONE, silent)
    assert not (tmp_path / "out").exists()


def test_a_last_stage_that_begins_anew_and_does_not_train_is_refused(tmp_path: Path) -> None:
    """Its untrained network would take the place of the trained one."""
    localiser, segmenter, joint = (training := tiny_plan()).stages
    training = dataclasses.replace(training, stages=(localiser, segmenter, dataclasses.replace(joint, start_from="")))
    with pytest.raises(InputError, match=r'trains the segmenter.*"start_from"'):
        run_training(training, tmp_path / "out", ALONE, silent)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start_from": "localizer"}, "starts from localizer, which has not been trained"),
        ({"precision": "bf16"}, "too small for bf16"),
        ({"accumulate": 3}, "2 processes cannot share them"),
    ],
)
def test_what_would_stop_a_later_stage_is_told_before_the_first(tmp_path: Path, changes: dict, words: str) -> None:
    localiser, segmenter, joint = (training := tiny_plan(accumulate=2)).stages
    stages = (localiser, dataclasses.replace(segmenter, **changes), joint)
    ranks = Ranks(torch.device("cpu"), 0, 2) if "accumulate" in changes else ALONE
    with pytest.raises(InputError, match=words):
        run_training(dataclasses.replace(training, stages=stages), tmp_path / "out", ranks, silent)
    assert not (tmp_path / "out").exists()


def test_a_plan_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    plan = write_plan(tiny_plan(), tmp_path / "plan.json")
    plan.write_text(plan.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert TrainingPlan.load(plan) == tiny_plan()


def test_notes_do_not_change_what_the_record_tells() -> None:
    training = dataclasses.replace(tiny_plan(), notes={"seed": 99, "hospital": "ours"})
    assert (training.record()["seed"], training.record()["hospital"]) == (5, "ours")


def test_a_crf_that_no_stage_trains_is_the_plans(tmp_path: Path) -> None:
    training = tiny_plan(steps=1)
    weights = run_training(dataclasses.replace(training, stages=training.stages[:2]), tmp_path, ALONE, silent)
    spatial = load_weights(weights).crf.spatial_weights
    torch.testing.assert_close(spatial, CrfRnn(training.plan.crf, 2).spatial_weights)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("seed",), -1, "the seed is -1"),
        (("stages", 0, "strata"), {"smal": 0.5}, "no stratum 'smal': small, medium"),
        (("stages", 0, "strata"), {"small": 0.7, "gas": 0.7}, "at most 1 together"),
        (("stages", 0, "strata"), ["small"], "'list' object"),
        (("plan", "name"), "site/own", "'site/own' is no name for a file of weights"),
        (("plan", "name"), "", "is no name for a file of weights"),
        (("plan", "name"), "Held-Out", "'Held-Out' is the name of something else that a training leaves"),
        (("plan", "name"), "run", "is the name of something else"),
        (("plan", "segmenter", "network", "classes"), 3, "classes are 3: they are two"),
        (("plan", "segmenter", "network", "width"), 3, "segmenter has width 3: no multiple of 2 channels"),
        (("plan", "crf", "iterations"), 0, "joint learns nothing"),
        (("stages", 1, "train_network"), False, "train_network is false: that is for the joint stage"),
        (("notes",), {"start_from": "text"}, 'the note "start_from" is not what a training writes'),
        (("notes",), {"shown": "text"}, 'the note "shown" is not what a training writes'),
        (("stages", 0, "name"), "../esc", "is no name for a folder"),
        (("stages", 0, "name"), "a\\b", "is no name for a folder"),
        (("stages", 0, "name"), "Segmenter", "two stages share the folder segmenter"),
        (("plan", "localiser", "crop_voxels"), [40, 40, 20], "each is a multiple of 16"),
        (("plan", "segmenter", "crop_voxels"), [0, 32, 32], "each is a multiple of 16"),
        (("plan", "segmenter", "crop_voxels"), [16, 16, 16], "one is 32 at least"),
        (("plan", "segmenter", "crop_voxels"), [32, 32], "three whole numbers"),
        (("plan", "segmenter", "spacing_mm"), [0, 0, 0], "spacing_mm is (0, 0, 0): three numbers above 0"),
        (("plan", "segmenter", "spacing_mm"), ["8", "8", "8"], "spacing_mm is ('8', '8', '8'): three numbers above 0"),
        (("plan", "segmenter", "spacing_mm"), [10**400, 8, 8], "three numbers above 0"),
        (("plan", "segmenter", "crop_voxels"), [80.9, 32, 32], "crop_voxels is (80.9, 32, 32): three whole numbers"),
        (("plan", "segmenter", "crop_voxels"), ["32", "32", "16"], "three whole numbers"),
        (("plan", "segmenter", "shift_voxels"), 2.9, "shift_voxels is 2.9: a whole number from 0 on"),
        (("plan", "segmenter", "closer_below_ml"), math.nan, "closer_below_ml is nan: a number from 0 on"),
        (("plan", "segmenter", "closer_below_ml"), -5, "closer_below_ml is -5: a number from 0 on"),
        (("plan", "segmenter", "intensity", "density_map"), "false", "density_map is 'false': true or false"),
        (("plan", "localiser", "network", "normalisation"), "foo", "'foo' is not one of instance, batch, none"),
        (("plan", "localiser", "network", "width"), 0, "width is 0: a whole number from 1 on"),
        (("plan", "localiser", "network", "kernel"), 2, "kernel is 2: an odd number"),
        (("plan", "segmenter", "intensity", "window_hu"), [5], "two numbers, the second greater"),
        (("plan", "crf", "theta_alpha_mm"), [4, 4], "three numbers above 0"),
        (("plan", "crf", "iterations"), "3", "iterations is '3': a whole number"),
        (("plan", "decision", "minimum_confidence"), "x", "minimum_confidence is 'x': a number"),
        (("plan", "doubt", "weights"), [], "each with a name"),
        (("stages", 0, "steps"), 2.5, "steps is 2.5: a whole number from 1 on"),
        (("stages", 0, "rate"), "fast", "rate is 'fast': a number above 0"),
        (("stages", 0, "warmup"), "x", "warmup is 'x': a whole number from 0 on"),
        (("stages", 0, "first_sample"), "x", "first_sample is 'x': a whole number from 0 on"),
        (("stages", 0, "without_bladder"), 2, "without_bladder is 2: a number from 0 to 1"),
        (("stages", 0, "without_bladder"), -1, "without_bladder is -1: a number from 0 to 1"),
        (("stages", 0, "without_bladder"), "0.2", "without_bladder is '0.2': a number from 0 to 1"),
        (("stages", 0, "narrow"), 3, "narrow is 3: a number from 0 to 1"),
        (("stages", 0, "closer"), -1, "closer is -1: a number from 0 to 1"),
        (("stages", 0, "warped"), 7, "warped is 7: a number from 0 to 1"),
        (("stages", 0, "patients"), 1.5, "patients is 1.5: a number from 0 to 1"),
        (("stages", 0, "average"), 5, "average is 5: a number from 0 on, below 1"),
        (("stages", 0, "average"), 1, "average is 1: a number from 0 on, below 1"),
        (("stages", 0, "weight_decay"), -3, "weight_decay is -3: a number from 0 on"),
        (("stages", 0, "train_network"), "false", "train_network is 'false': true or false"),
        (("stages", 0, "width"), 1.5, "width is 1.5: a whole number from 1 on"),
        (("stages", 0, "strata"), {"small": math.nan}, "numbers from 0 on"),
        (("seed",), 1.9, "the seed is 1.9: it is a whole number"),
        (("seed",), 10**40, "from 0 to 2^63 - 1"),
        (("plan", "segmenter", "intensity", "scaling"), "min-max", "'min-max' is not one of window, minmax"),
    ],
)
def test_a_plan_of_impossible_values_is_refused(
    tmp_path: Path, place: tuple[str | int, ...], value: object, words: str
) -> None:
    raw = json.loads(write_plan(tiny_plan(), tmp_path / "plan.json").read_text(encoding="utf-8"))
    part = raw
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    (tmp_path / "plan.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(InputError, match="is not a training plan") as caught:
        TrainingPlan.load(tmp_path / "plan.json")
    assert words in caught.value.message


def test_a_plan_may_say_whole_numbers_where_fractions_could_stand(tmp_path: Path) -> None:
    raw = json.loads(write_plan(tiny_plan(), tmp_path / "plan.json").read_text(encoding="utf-8"))
    raw["plan"]["segmenter"] |= {"spacing_mm": [8, 8, 8], "closer_below_ml": 0}
    raw["stages"][0] |= {"without_bladder": 1, "narrow": 0, "average": 0, "weight_decay": 0, "patients": 0}
    (tmp_path / "plan.json").write_text(json.dumps(raw), encoding="utf-8")
    training = TrainingPlan.load(tmp_path / "plan.json")
    assert all(isinstance(step, float) for step in training.plan.segmenter.spacing_mm)
    assert training.stages[0].without_bladder == 1


def test_a_training_for_which_memory_does_not_suffice_says_what_to_plan(tmp_path: Path) -> None:
    training = tiny_plan()
    # weights of more bytes than any processor can address
    wide = dataclasses.replace(training.plan.localiser, network=NetworkPlan(width=2**21, kernel=1))
    training = dataclasses.replace(training, plan=dataclasses.replace(training.plan, localiser=wide))
    result = train("--plan", write_plan(training, tmp_path / "plan.json"), "--output", tmp_path / "out")
    told(result, 5, "for this training", '"batch"', '"accumulate"')
