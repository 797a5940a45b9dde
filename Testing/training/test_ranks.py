"""Several processes that train together, started by `torchrun` as a user does: they learn what one would."""

import dataclasses
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from BladderAutoContourLib import host
from BladderAutoContourLib.training.plan import TrainingPlan
from BladderAutoContourLib.training.ranks import joined
from tiny_training import curve, tiny_plan, train, write_plan
from torch import distributed

SECONDS = 400.0  # a training that hangs has failed
STAGES = ("--stage", "localiser", "--calibrate", "0")


def sharing_plan(steps: int, **changes) -> TrainingPlan:
    """A plan whose steps two processes can share; of its stages these tests train the localiser's."""
    return tiny_plan(steps, batch=1, **{"accumulate": 2, **changes})


def torchrun(*arguments: str | Path) -> list[str]:
    """The command of a training by two processes on this machine."""
    ranks = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    program = ("-m", "BladderAutoContourLib", "train", "--device", "cpu")
    return [sys.executable, *ranks, *program, *map(str, arguments)]


def run_ranks(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(torchrun(*arguments), capture_output=True, text=True, check=False, timeout=SECONDS)


def test_two_ranks_learn_what_one_does_that_accumulates(tmp_path: Path) -> None:
    training = sharing_plan(4)
    again = dataclasses.replace(training.stages[0], name="again", optimiser="sgd", start_from="localiser")
    plan = write_plan(dataclasses.replace(training, stages=(*training.stages, again)), tmp_path / "plan.json")
    arguments = ("--plan", plan, *STAGES, "--stage", "again", "--output")
    assert train(*arguments, tmp_path / "one").returncode == 0
    two = run_ranks(*arguments, tmp_path / "two")
    assert two.returncode == 0, two.stderr
    assert two.stdout.count('"event": "result"') == 1  # the first rank alone speaks

    for stage in ("localiser", "again"):
        folders = [tmp_path / name / stage for name in ("one", "two")]
        one, both = (torch.load(folder / "checkpoint.pt", weights_only=True) for folder in folders)
        for kind in ("module", "average"):
            for key, weight in one[kind].items():
                torch.testing.assert_close(both[kind][key], weight, rtol=1e-4, atol=1e-6)
        losses = [[float(row[1]) for row in curve(folder)[1:]] for folder in folders]
        assert losses[1] == pytest.approx(losses[0], rel=1e-4)
        assert len(set(losses[0])) > 1


def test_a_step_that_the_ranks_cannot_share_is_refused(tmp_path: Path) -> None:
    plan = write_plan(sharing_plan(2, accumulate=1), tmp_path / "plan.json")
    result = run_ranks("--plan", plan, *STAGES, "--output", tmp_path / "out")
    assert result.returncode != 0
    assert 'Write "accumulate": 2' in result.stderr


def test_every_rank_ends_when_one_fails(tmp_path: Path) -> None:
    plan = write_plan(sharing_plan(500), tmp_path / "plan.json")
    in_the_way = tmp_path / "out" / "localiser" / "curve.csv"
    in_the_way.mkdir(parents=True)  # only the first rank writes a curve: the other one is well, and waits for it
    result = run_ranks("--plan", plan, *STAGES, "--output", tmp_path / "out")  # raises where one waits for ever
    assert result.returncode != 0


@pytest.mark.skipif(host.WINDOWS, reason="there torchrun cannot be asked to stop")
def test_what_two_ranks_began_one_can_end(tmp_path: Path) -> None:
    plan = write_plan(sharing_plan(8, checkpoint_every=2), tmp_path / "plan.json")
    arguments = ("--plan", plan, *STAGES, "--output")
    assert train(*arguments, tmp_path / "whole").returncode == 0

    stopped = tmp_path / "stopped"
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(torchrun(*arguments, stopped), stdout=said, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + SECONDS
    while not (stopped / "localiser" / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) != 0
    assert not (stopped / "localiser" / "average.pt").exists()

    assert train(*arguments, stopped, "--resume").returncode == 0
    resumed, whole = (curve(folder / "localiser")[1:] for folder in (stopped, tmp_path / "whole"))
    assert [row[0] for row in resumed] == [row[0] for row in whole]
    assert [float(row[1]) for row in resumed] == pytest.approx([float(row[1]) for row in whole], rel=1e-3)


def test_the_others_wait_for_the_first_while_it_judges_many_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    for name, value in own.items():
        monkeypatch.setenv(name, str(value))
    with joined(torch.device("cpu")):
        group = distributed.group.WORLD._get_backend(torch.device("cpu"))
        assert group.options._timeout == timedelta(hours=2)
