"""Trainings that cannot go well: told in a sentence that says what to do, and nothing torn is left."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.training.ranks import Ranks
from BladderAutoContourLib.training.run import run_training
from test_training import tiny_plan, train, write_plan

ALONE = Ranks(torch.device("cpu"))


def silent(name: str, share: float) -> None:
    """Progress that nobody hears."""


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
