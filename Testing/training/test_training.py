"""Training from outside: plans, samples, losses, a killed run that goes on, and weights that the engine accepts."""

import dataclasses
import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.networks.plan import NetworkPlan, StagePlan
from BladderAutoContourLib.networks.vnet import VNet
from BladderAutoContourLib.networks.weights import load_weights
from BladderAutoContourLib.networks.widen import widen
from BladderAutoContourLib.training.losses import segmentation_loss
from BladderAutoContourLib.training.plan import LOSSES, StageSchedule, TrainingPlan
from BladderAutoContourLib.training.ranks import Ranks
from BladderAutoContourLib.training.record import RUN
from BladderAutoContourLib.training.run import AVERAGE, run_training
from BladderAutoContourLib.training.samples import GeneratedSamples, Recipe, replay
from BladderAutoContourLib.training.trainer import StageModule
from tiny_training import ALONE, curve, silent, tiny_plan, train, write_plan

PLANS = Path(__file__).parents[2] / "BladderAutoContour" / "Resources" / "TrainingPlans"


def test_weights_of_another_network_are_told_with_file_and_layer(tmp_path: Path) -> None:
    wider = tiny_plan().plan
    wider = dataclasses.replace(wider, localiser=dataclasses.replace(wider.localiser, network=NetworkPlan(width=4)))
    (tmp_path / "localiser").mkdir()
    torch.save(StageModule("localiser", wider).state_dict(), tmp_path / "localiser" / AVERAGE)
    with pytest.raises(InputError, match=r"entry\.convolution.* is 4 x .* there, 2 x .* here") as told:
        run_training(tiny_plan(), tmp_path, Ranks(torch.device("cpu")), lambda name, share: None, only=["segmenter"])
    assert told.value.files == (str(tmp_path / "localiser" / AVERAGE),)


def test_a_wider_network_begins_with_what_the_narrow_one_says_and_learns_more(tmp_path: Path) -> None:
    training = tiny_plan()
    grid = dataclasses.replace(training.plan.segmenter, network=NetworkPlan(width=6))
    localiser, segmenter, joint = training.stages
    stages = (
        localiser,
        dataclasses.replace(segmenter, width=2, start_from=""),
        dataclasses.replace(joint, width=2),
        dataclasses.replace(segmenter, name="wide", start_from="segmenter", steps=1, rate=1e-9),
        dataclasses.replace(segmenter, name="wider", start_from="wide"),
    )
    training = dataclasses.replace(training, plan=dataclasses.replace(training.plan, segmenter=grid), stages=stages)
    weights = run_training(training, tmp_path, Ranks(torch.device("cpu")), lambda name, share: None)
    assert weights is not None
    hu = torch.randn(1, 16, 32, 32) * 60
    said = {}
    for stage in (stages[1], *stages[3:]):
        module = StageModule("segmenter", training.at(stage), "float32")
        module.load_state_dict(torch.load(tmp_path / stage.folder / AVERAGE, weights_only=True))
        with torch.no_grad():
            said[stage.folder] = module(hu)
    torch.testing.assert_close(said["wide"], said["segmenter"], rtol=1e-4, atol=1e-4)
    assert (said["wider"] - said["wide"]).abs().max() > 0.01
    shipped = load_weights(weights)
    assert shipped.segmenter.entry.convolution[0].out_channels == 6
    joint_state = torch.load(tmp_path / "joint" / AVERAGE, weights_only=True)
    for name, value in shipped.crf.state_dict().items():
        torch.testing.assert_close(value, joint_state[f"crf.{name}"].half().float())


def test_a_stage_may_keep_a_share_of_what_it_began_with(tmp_path: Path) -> None:
    training = tiny_plan(steps=2)
    first, *others = training.stages
    again = dataclasses.replace(first, name="again", start_from="localiser", first_sample=50)
    half = dataclasses.replace(again, name="half", kept=0.5)
    training = dataclasses.replace(training, stages=(first, again, half, *others))
    chosen = ["localiser", "again", "half"]
    run_training(training, tmp_path, ALONE, silent, only=chosen)
    before, learnt, kept = (torch.load(tmp_path / name / AVERAGE, weights_only=True) for name in chosen)
    for name, value in kept.items():
        torch.testing.assert_close(value, (before[name] + learnt[name]) / 2)
    assert any((learnt[name] - before[name]).abs().max() > 1e-4 for name in before)


def test_what_a_widened_stage_keeps_is_what_it_began_with(tmp_path: Path) -> None:
    """All of it kept: the wide network says what the narrow one said, however long it was trained."""
    localiser, segmenter, joint = (training := tiny_plan(steps=3, rate=0.05)).stages
    grid = dataclasses.replace(training.plan.segmenter, network=NetworkPlan(width=4))
    stages = (
        localiser,
        dataclasses.replace(segmenter, width=2, start_from=""),
        dataclasses.replace(segmenter, name="wide", start_from="segmenter", kept=1.0),
        dataclasses.replace(joint, start_from="wide"),
    )
    training = dataclasses.replace(training, plan=dataclasses.replace(training.plan, segmenter=grid), stages=stages)
    run_training(training, tmp_path, ALONE, silent, only=["segmenter", "wide"])
    hu, said = torch.randn(1, 16, 32, 32) * 60, []
    for stage in stages[1:3]:
        module = StageModule("segmenter", training.at(stage), "float32")
        module.load_state_dict(torch.load(tmp_path / stage.folder / AVERAGE, weights_only=True))
        with torch.no_grad():
            said.append(module(hu))
    torch.testing.assert_close(said[1], said[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("width", "fault"), [(4, "has width 4"), (0, "width is 0: a whole"), (1, "no stage widens")])
def test_a_plan_whose_widths_do_not_lead_to_its_network_is_refused(width: int, fault: str) -> None:
    localiser, segmenter, joint = (training := tiny_plan()).stages
    with pytest.raises(ValueError, match=fault):
        dataclasses.replace(training, stages=(localiser, segmenter, dataclasses.replace(joint, width=width)))


@pytest.mark.parametrize(("width", "channels"), [(2, 2), (8, 1)])
def test_no_network_is_widened_to_a_narrower_or_another_one(width: int, channels: int) -> None:
    with pytest.raises(ValueError, match="cannot be widened"):
        widen(VNet(2, NetworkPlan(width=4)), VNet(channels, NetworkPlan(width=width)))


def test_scans_end_within_bladders_more_often_than_by_chance() -> None:
    stage = StagePlan((6.0, 6.0, 6.0), (32, 32, 32))
    hu, label = torch.zeros(32, 32, 32), torch.zeros(32, 32, 32)
    label[14:18, 10:20, 10:20] = 1.0
    recipe = Recipe("localiser", stage, 7, 1, 1, 0.0)
    left = [replay(hu, label, recipe, np.random.default_rng(seed))[1].sum() / label.sum() for seed in range(600)]
    cut = sum(0 < share < 1 for share in left)
    assert 0.2 < cut / len(left) < 0.38  # 65 % of the scans end, two fifths of them in the bladder; by chance 8 %


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.json")), ids=lambda path: path.stem)
def test_the_shipped_plan_is_a_plan(path: Path) -> None:
    training = TrainingPlan.load(path)
    assert {stage.stage for stage in training.stages} == {"localiser", "segmenter", "joint"}


def test_a_plan_that_is_none_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "plan.json"
    broken.write_text('{"seed": 1, "stages": [{"stage": "dessert", "steps": 1}]}', encoding="utf-8")
    with pytest.raises(InputError, match="not a training plan"):
        TrainingPlan.load(broken)
    result = train("--plan", tmp_path / "missing.json", "--output", tmp_path / "out")
    assert result.returncode == 3
    assert "cannot be read" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_joint_stage_sees_nothing_from_closer() -> None:
    with pytest.raises(ValueError, match="CRF-RNN counts on the plan's spacing"):
        StageSchedule("joint", 3, closer=0.5)


def test_the_joint_stage_learns_on_the_grid_of_the_crf() -> None:
    training = tiny_plan()
    grids = [(grid.crop_voxels, grid.spacing_mm) for grid in map(training.grid, training.stages)]
    assert grids[1:] == [((32, 32, 16), (8, 8, 8)), ((64, 64, 16), (4, 4, 8))]
    torch.manual_seed(0)
    module = StageModule("joint", training.plan, "float32")
    logits = module(torch.randn(1, 16, 64, 64) * 60)
    assert logits.shape == (1, 2, 16, 64, 64)
    segmentation_loss(logits, torch.zeros(1, 16, 64, 64), "dice+cross-entropy").backward()
    for name, parameter in module.crf.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    assert any(parameter.grad.abs().sum() > 0 for parameter in module.network.parameters())


def test_samples_depend_on_their_index_alone() -> None:
    recipe = Recipe("segmenter", tiny_plan().plan.segmenter, 3, batch=2, replays=2, without_bladder=0.2)
    forwards = [GeneratedSamples(recipe, 8)[index] for index in range(4)]
    backwards = GeneratedSamples(recipe, 8)
    for index in reversed(range(4)):
        hu, label = backwards[index]
        assert torch.equal(hu, forwards[index][0])
        assert torch.equal(label, forwards[index][1])
    assert not torch.equal(forwards[0][0], forwards[2][0])  # the same anatomy, replayed


def test_small_bladders_are_seen_from_closer_and_large_ones_never() -> None:
    stage = StagePlan((6.0, 6.0, 6.0), (32, 32, 32))
    voxels = {}
    for closer in (0.0, 1.0):
        for stratum in ("small", "very-large"):
            recipe = Recipe("segmenter", stage, 7, 1, 1, 0.0, strata={stratum: 1.0}, closer=closer)
            samples = GeneratedSamples(recipe, 6)
            voxels[closer, stratum] = [float(samples[number][1].sum()) for number in range(6)]
    assert voxels[1.0, "very-large"] == voxels[0.0, "very-large"]
    # of 6 crops one or the other is farther off than the finer crop reaches
    assert sum(voxels[1.0, "small"]) > 1.3 * sum(voxels[0.0, "small"])


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_fall_towards_the_truth_and_have_gradients(kind: str) -> None:
    label = torch.zeros(1, 16, 16, 16)
    label[:, 4:12, 4:12, 4:12] = 1
    right = torch.stack((-(label * 2 - 1) * 4, (label * 2 - 1) * 4), dim=1)
    logits = torch.zeros_like(right, requires_grad=True)
    start = segmentation_loss(logits, label, kind)
    start.backward()
    assert segmentation_loss(right, label, kind) < 0.3 * start
    assert segmentation_loss(-right, label, kind) > start
    assert float(logits.grad.abs().sum()) > 0


def test_iou_and_dice_are_what_they_are_called() -> None:
    label = torch.zeros(1, 32, 32, 32)
    label[:, :, :, :16] = 1
    guess = torch.zeros_like(label)
    guess[:, :, :, 8:24] = 1  # half right: Dice 1/2, IoU 1/3
    logits = torch.stack((-(guess * 2 - 1) * 30, (guess * 2 - 1) * 30), dim=1)
    assert float(segmentation_loss(logits, label, "dice")) == pytest.approx(1 / 2, abs=2e-3)
    assert float(segmentation_loss(logits, label, "iou")) == pytest.approx(2 / 3, abs=2e-3)


def test_a_training_gives_weights_that_belong_to_their_plan(tmp_path: Path) -> None:
    result = train("--plan", write_plan(tiny_plan(), tmp_path / "p.json"), "--output", tmp_path / "o", "--calibrate", 0)
    assert result.returncode == 0, result.stderr
    networks = load_weights(tmp_path / "o" / "tiny.pt")
    assert networks.plan.training["seed"] == 5
    assert len(curve(tmp_path / "o" / "localiser")) == 7
    again = train("--plan", tmp_path / "p.json", "--output", tmp_path / "o")
    assert again.returncode == 3
    assert "--resume" in again.stderr


def test_a_killed_training_goes_on_to_the_same_curve(tmp_path: Path) -> None:
    training = tiny_plan(steps=12, checkpoint_every=3, batch=2, accumulate=2, replays=2)
    plan = write_plan(training, tmp_path / "plan.json")
    arguments = ("--plan", plan, "--stage", "localiser")
    assert train(*arguments, "--output", tmp_path / "whole").returncode == 0
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "BladderAutoContourLib", "train", "--device", "cpu"]
    process = subprocess.Popen(
        [*command, *map(str, arguments), "--output", str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline, checkpoint = time.monotonic() + 600, killed / "localiser" / "checkpoint.pt"
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert checkpoint.exists()
    process.kill()
    process.wait()
    assert not (killed / "localiser" / "average.pt").exists()
    for torn in (".checkpoint.pt.part", ".average.pt.part", ".curve.csv.part"):  # a kill while these are written
        (killed / "localiser" / torn).write_text("half a fi", encoding="utf-8")
    resumed = train(*arguments, "--output", killed, "--resume")
    assert resumed.returncode == 0
    first = next(json.loads(line) for line in resumed.stdout.splitlines() if "train localiser" in line)
    assert first["fraction"] > 0
    assert first["seconds_left"] is None  # nothing is known yet of a training that goes on
    resumed, whole = (curve(folder / "localiser")[1:] for folder in (killed, tmp_path / "whole"))
    assert [row[0] for row in resumed] == [row[0] for row in whole]
    assert [float(row[1]) for row in resumed] == pytest.approx([float(row[1]) for row in whole], rel=1e-4)


def test_a_crop_too_small_for_reduced_precision_is_refused(tmp_path: Path) -> None:
    result = train("--plan", write_plan(tiny_plan(precision="bf16"), tmp_path / "p.json"), "--output", tmp_path / "o")
    assert result.returncode == 3
    assert "float32" in result.stderr


def test_every_loss_and_optimiser_trains(tmp_path: Path) -> None:
    choices = [(loss, "adamw") for loss in LOSSES] + [("cross-entropy", "sgd")]
    base = tiny_plan(steps=2).stages[0]
    stages = tuple(
        dataclasses.replace(base, name=f"{loss} {optimiser}", loss=loss, optimiser=optimiser, clip=1e6)
        for loss, optimiser in choices
    )
    segmenter = dataclasses.replace(tiny_plan(steps=1).stages[1], start_from="")
    training = dataclasses.replace(tiny_plan(), stages=(*stages, segmenter))
    output = tmp_path / "o"
    result = train("--plan", write_plan(training, tmp_path / "p.json"), "--output", output, "--calibrate", "0")
    assert result.returncode == 0, result.stderr
    for stage in stages:
        rows = [[float(value) for value in row] for row in curve(output / stage.folder)[1:]]
        assert [row[0] for row in rows] == [1, 2]
        assert all(row[1] > 0 and row[3] > 0 for row in rows), stage.folder  # a loss, and a gradient to go down by
        assert (output / stage.folder / "curve.png").read_bytes().startswith(b"\x89PNG")
        written = list((output / stage.folder).glob("events/events.out.tfevents.*"))
        assert bool(written) == bool(find_spec("tensorboard"))
    states = [torch.load(output / stage.folder / "checkpoint.pt", weights_only=True)["module"] for stage in stages]
    head = "network.head.2.weight"
    assert len({tuple(state[head].flatten().tolist()) for state in states}) == len(stages)


def test_stages_of_another_plan_are_told_apart(tmp_path: Path) -> None:
    plan, options = tiny_plan(steps=2), ("--output", tmp_path / "out", "--calibrate", "0", "--resume")
    assert train("--plan", write_plan(plan, tmp_path / "plan.json"), *options).returncode == 0
    crf = dataclasses.replace(plan.plan.crf, temperature=None)
    other = dataclasses.replace(plan, plan=dataclasses.replace(plan.plan, crf=crf))
    (tmp_path / "out" / RUN).unlink()  # as in folders from before there was a record
    outcome = train("--plan", write_plan(other, tmp_path / "plan.json"), *options)
    assert outcome.returncode == 3
    assert "another plan" in outcome.stderr
    assert "log_temperature" in outcome.stderr
