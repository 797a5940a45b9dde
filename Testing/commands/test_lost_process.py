"""A training whose processes that make samples are ended from outside: told for what it is, with what to do."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from BladderAutoContourLib import host
from BladderAutoContourLib.errors import Cancelled, OutOfMemoryError
from BladderAutoContourLib.failures import as_bladder_error
from BladderAutoContourLib.networks.plan import NetworkPlan, Plan, StagePlan
from BladderAutoContourLib.training.plan import StageSchedule, TrainingPlan
from BladderAutoContourLib.training.trainer import _next_of
from torch.utils.data import DataLoader, Dataset

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that end a process")


class Doomed(Dataset):
    """Samples whose process ends while it makes one: by a signal, an exit code (given negative), an exception (0)."""

    def __init__(self, how: int) -> None:
        self._how = how

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        if self._how > 0:
            if self._how != signal.SIGKILL:
                signal.signal(self._how, signal.SIG_DFL)
            os.kill(os.getpid(), self._how)
        if self._how < 0:
            os._exit(-self._how)
        raise RuntimeError("a bug of ours")


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        (signal.SIGKILL, OutOfMemoryError),
        (signal.SIGBUS, OutOfMemoryError),
        (signal.SIGINT, Cancelled),
        (signal.SIGTERM, Cancelled),
        (signal.SIGSEGV, type(None)),
        (-3, type(None)),
        (0, type(None)),
    ],
)
def test_only_an_end_from_outside_is_no_bug(how, kind):
    with pytest.raises(RuntimeError, match="DataLoader worker") as caught:
        list(DataLoader(Doomed(int(how)), num_workers=1))
    assert type(as_bladder_error(caught.value)) is kind


@pytest.mark.parametrize("how", [ConnectionResetError, EOFError])
def test_an_end_in_the_midst_of_a_sample_is_one_too(how):
    """The process is gone while its tensors are taken over: what breaks is the connection."""

    def broken():
        raise how
        yield

    with pytest.raises(RuntimeError) as caught:
        _next_of(broken())
    assert type(as_bladder_error(caught.value)) is OutOfMemoryError


@pytest.fixture
def training(tmp_path):
    """A training under way: its process, and that of its samples."""
    network = NetworkPlan(width=2)
    grid = StagePlan((12, 12, 12), (32, 32, 16), network=network)
    stages = tuple(
        StageSchedule(stage, 5000, warmup=1, batch=1, precision="float32") for stage in ("localiser", "segmenter")
    )
    plan = TrainingPlan(5, Plan("long", grid, dataclasses.replace(grid, spacing_mm=(8.0, 8.0, 8.0))), stages)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(dataclasses.asdict(plan)), encoding="utf-8")
    words = [
        sys.executable,
        "-m",
        "BladderAutoContourLib",
        "train",
        "--plan",
        path,
        "--output",
        tmp_path / "out",
        "--device",
        "cpu",
        "--workers",
        "1",
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    process = host.popen_group(words, **pipes)
    for line in process.stdout:
        if json.loads(line).get("fraction", 0) > 0:
            break
    yield process
    host.end_process_tree(process)
    process.stdout.close()
    process.stderr.close()


def ending(process: subprocess.Popen) -> tuple[int, dict[str, object], str]:
    """Exit code, error and standard error of a process that ends."""
    told, said = process.communicate(timeout=60)
    return process.returncode, json.loads(told.splitlines()[-1])["error"], said


def test_samples_that_the_system_ends_for_want_of_memory(training):
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    rows = (map(int, line.split()) for line in listing.splitlines())
    (samples,) = [pid for pid, parent in rows if parent == training.pid]
    os.kill(samples, signal.SIGKILL)
    code, error, said = ending(training)
    assert (code, error["kind"]) == (5, "memory")
    assert "--workers 0" in error["message"]
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stop_that_reaches_all_processes_at_once_is_a_cancel(training, name, tmp_path: Path):
    os.killpg(training.pid, getattr(signal, name))  # as a terminal does at Ctrl-C
    code, error, said = ending(training)
    assert (code, error["kind"]) == (130, "cancelled")
    assert "--resume" in error["message"]
    assert "Traceback" not in said
    assert (tmp_path / "out" / "run.json").exists()
