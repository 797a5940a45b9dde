"""Training on a graphics card, as far as a machine without one can tell: see `pretend_card`."""

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from BladderAutoContourLib.networks.plan import NetworkPlan
from BladderAutoContourLib.networks.weights import load_weights
from BladderAutoContourLib.training.plan import TrainingPlan
from BladderAutoContourLib.training.ranks import Ranks
from BladderAutoContourLib.training.run import read_average, run_training
from BladderAutoContourLib.training.trainer import Trainer
from pretend_card import LARGE, OnCard, pretended_card
from tiny_training import tiny_plan, write_plan

CARD, PROCESSOR = torch.device("cuda"), torch.device("cpu")
COMMAND = """\
import sys
sys.path.append({testing!r})
from BladderAutoContourLib.__main__ import main
from pretend_card import pretended_card
with pretended_card({cap}) as card:
    card.failure = {failure}
    sys.exit(main({words!r}))
"""
NO_KERNELS = "CUDA error: no kernel image is available for execution on the device"
QUICK = ("--calibrate", "0", "--workers", "0")


def command(*words: str, cap: int = LARGE, failure: str = "None") -> subprocess.CompletedProcess[str]:
    """Run a command where there is a graphics card of so much memory; failure: an expression, what it then raises."""
    code = COMMAND.format(testing=str(Path(__file__).parents[1]), cap=cap, failure=failure, words=words)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)


def trained(training: TrainingPlan, output: Path, device: torch.device, **options) -> Path:
    path = run_training(training, output, Ranks(device), lambda name, share: None, workers=0, **options)
    assert path is not None
    return path


def losses(output: Path, stage: str) -> list[float]:
    with (output / stage / "curve.csv").open(encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_the_stand_in_refuses_what_a_card_does() -> None:
    with pretended_card() as card:
        rows = torch.zeros(4, 4, device="cuda")
        assert rows.device.type == "cuda"
        assert card.used == 64
        rows[:, [0, 1]] = torch.ones(4, 2, device="cuda")
        assert rows.sum().item() == 8
        with pytest.raises(RuntimeError, match="same device"):
            rows[:, [0, 1]] = torch.zeros(4, 2)
        with pytest.raises(RuntimeError, match="same device"):
            rows + torch.zeros(4, 4)
        with pytest.raises(RuntimeError):
            rows.numpy()
        card.cap = 100
        with pytest.raises(torch.OutOfMemoryError):
            rows + 1
    assert torch.zeros(1).device.type == "cpu"


def test_all_stages_learn_on_a_card_what_they_learn_on_the_processor(tmp_path: Path) -> None:
    training = tiny_plan(steps=1)
    paths = [trained(training, tmp_path / "cpu", PROCESSOR)]
    with pretended_card() as card:
        paths.append(trained(training, tmp_path / "cuda", CARD))
        assert card.peak > 0
    one, other = (load_weights(path, "cpu").modules().state_dict() for path in paths)
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-5, msg=name)
    for schedule in training.stages:
        here, there = (losses(tmp_path / device, schedule.folder) for device in ("cpu", "cuda"))
        assert here == pytest.approx(there, abs=1e-4)


def test_where_the_card_has_no_bfloat16_it_is_not_emulated(tmp_path: Path) -> None:
    weights = []
    for precision in ("bf16", "float32"):
        with pretended_card():
            training = tiny_plan(steps=1, precision=precision)
            run_training(training, tmp_path / precision, Ranks(CARD), lambda *told: None, only=["localiser"], workers=0)
        weights.append(read_average(tmp_path / precision / "localiser"))
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())


def test_a_network_is_widened_on_the_card_that_trains_it(tmp_path: Path) -> None:
    training = tiny_plan(steps=1)
    localiser, segmenter, _ = training.stages
    grid = dataclasses.replace(training.plan.segmenter, network=NetworkPlan(width=4))
    narrow = dataclasses.replace(segmenter, width=2, start_from="")
    wide = dataclasses.replace(segmenter, name="wide", start_from="segmenter")
    plan = dataclasses.replace(training.plan, segmenter=grid)
    training = dataclasses.replace(training, plan=plan, stages=(localiser, narrow, wide))
    with pretended_card():
        path = trained(training, tmp_path, CARD)
    assert load_weights(path, "cpu").plan.segmenter.network.width == 4


def test_a_resumed_training_counts_its_steps_beside_the_card(tmp_path: Path) -> None:
    training = tiny_plan(steps=1)
    localiser = training.stages[0]
    Trainer(training, localiser, tmp_path, Ranks(PROCESSOR), workers=0).run(lambda name, share: None)
    with pretended_card():
        trainer = Trainer(training, localiser, tmp_path, Ranks(CARD))
        assert trainer.resume()
        assert all(isinstance(value, OnCard) for value in trainer.average.values())
        for state in trainer.optimiser.state.values():
            assert state["step"].device.type == "cpu"  # AdamW would wait for the card to read it, in every step
            assert isinstance(state["exp_avg"], OnCard)


def test_on_a_card_without_kernels_training_takes_the_processor_and_says_so(tmp_path: Path) -> None:
    plan = write_plan(tiny_plan(steps=1, batch=1), tmp_path / "plan.json")
    words = ("train", "--plan", str(plan), "--output", str(tmp_path / "out"), "--stage", "localiser", *QUICK)
    done = command(*words, failure=f"RuntimeError({NO_KERNELS!r})")
    assert done.returncode == 0, done.stderr
    notes = [event["message"] for event in map(json.loads, done.stdout.splitlines()) if event["event"] == "note"]
    assert f"This PyTorch cannot compute on the graphics card ({NO_KERNELS}): the processor was used instead." in notes
    assert len(losses(tmp_path / "out", "localiser")) == 1


@pytest.mark.parametrize("name", ["train", "ablation"])
def test_a_card_too_small_for_a_training_is_told_in_its_words(tmp_path: Path, name: str) -> None:
    training, options = tiny_plan(steps=1), QUICK
    if name == "ablation":
        _, segmenter, joint = training.stages
        segmenter = dataclasses.replace(segmenter, start_from="", batch=1)
        joint = dataclasses.replace(joint, steps=1, train_network=True)
        training = dataclasses.replace(training, stages=(segmenter, joint))
        options = ("--workers", "0", "--cases", "1", "--seeds", "1", "--rows", "cnn")
    plan = write_plan(training, tmp_path / "plan.json")
    done = command(name, "--plan", str(plan), "--output", str(tmp_path / "out"), *options, cap=1)
    assert done.returncode == 5, (done.stdout[-300:], done.stderr)
    assert "Traceback" not in done.stderr
    message = json.loads(done.stdout.splitlines()[-1])["error"]["message"]
    assert message.startswith("The memory does not suffice for this training.")
    assert '"accumulate"' in message
