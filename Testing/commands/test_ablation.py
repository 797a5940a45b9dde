"""`ablation` in real processes: every row, a kill that changes nothing, and no more than torch and numpy."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from BladderAutoContourLib.networks.plan import CrfPlan, NetworkPlan, Plan, StagePlan
from BladderAutoContourLib.training.plan import StageSchedule, TrainingPlan

CRF = CrfPlan(spacing_mm=(6.4, 6.4, 8.0), temperature=2.0)
GRID = StagePlan((8.0, 8.0, 8.0), (32, 32, 16), network=NetworkPlan(width=2))
PROGRAM = (sys.executable, "-m", "BladderAutoContourLib", "ablation")
QUICK = ("--cases", "2", "--seeds", "1", "--workers", "0", "--device", "cpu")
ABSENT = ("SimpleITK", "pydicom", "vtk", "vtkmodules")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    schedule = StageSchedule("segmenter", 9, batch=1, precision="float32", warmup=2, checkpoint_every=1)
    joint = dataclasses.replace(schedule, stage="joint", steps=3, rate=1e-4, start_from="segmenter")
    training = TrainingPlan(5, Plan("tiny", GRID, GRID, CRF), (schedule, joint))
    path = tmp_path_factory.mktemp("plan") / "tiny.json"
    path.write_text(json.dumps(dataclasses.asdict(training)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(plan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ablation of all rows that nothing disturbed."""
    output = tmp_path_factory.mktemp("ablation") / "Übersicht"
    words = [*PROGRAM, "--plan", str(plan), "--output", str(output), *QUICK]
    outcome = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
    assert outcome.returncode == 0, outcome.stderr
    assert (output / "ablation.md").read_text(encoding="utf-8") in outcome.stdout
    return output


def test_every_row_is_trained_with_one_budget_and_judged_on_the_same_cases(whole: Path) -> None:
    found = json.loads((whole / "ablation.json").read_text(encoding="utf-8"))
    assert len(found["rows"]) == 7
    assert len(found["comparisons"]) == 9
    cases = {tuple(case["case"] for case in seeds["1"]) for seeds in found["scores"].values()}
    assert len(cases) == 1
    assert found["run"]["budget"] == 12
    steps = {name: sum(rows(whole / name / "seed-1")) for name in found["rows"]}
    assert steps == {name: 0 if name == "crf-after" else 12 for name in steps}  # its CNN is that of batch-norm
    dices = {name: [case["dice"] for case in seeds["1"]] for name, seeds in found["scores"].items()}
    assert len({tuple(one) for one in dices.values()}) >= 5
    assert (whole / "ablation.png").read_bytes().startswith(b"\x89PNG")
    about = (whole / "ablation.md").read_text(encoding="utf-8")
    assert "12 steps of 1 crops" in about
    assert "CRF-RNN and scores: 40 x 40 x 16 voxels of 6.4 x 6.4 x 8 mm" in about
    assert [file.name for file in whole.rglob("*.bank")] == ["cases.bank"], "what all rows are done with is kept"
    assert not list(whole.rglob("checkpoint.pt"))


def rows(folder: Path) -> list[int]:
    """Steps of the curves in a folder."""
    return [len(file.read_text(encoding="utf-8").splitlines()) - 1 for file in folder.glob("*/curve.csv")]


def test_a_killed_ablation_goes_on_to_the_same_table_with_torch_and_numpy_alone(
    whole: Path, plan: Path, tmp_path: Path
) -> None:
    wanted = ("batch-norm", "crf-rnn", "crf-after")
    words = ["ablation", "--plan", str(plan), "--output", str(tmp_path / "killed"), *QUICK, "--rows", *wanted]
    hiding = f"import sys; sys.modules.update(dict.fromkeys({ABSENT!r})); "
    program = hiding + f"from BladderAutoContourLib.__main__ import main; sys.exit(main({words!r}))"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / "batch-norm" / "seed-1" / "segmenter" / "checkpoint.pt"
    deadline = time.monotonic() + 600
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert checkpoint.parent.exists()
    assert not (checkpoint.parents[1] / "scores.json").exists(), "it was killed too late to show anything"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert "vtk is not installed" in done.stdout
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert any(line.get("step") == "ablation" and line["seconds_left"] is not None for line in lines)
    ours, theirs = (
        json.loads((folder / "ablation.json").read_text(encoding="utf-8"))["scores"]
        for folder in (tmp_path / "killed", whole)
    )
    assert set(ours) == set(wanted)
    for name in wanted:
        for one, other in zip(ours[name]["1"], theirs[name]["1"], strict=True):
            assert one["case"] == other["case"]
            assert one["dice"] == pytest.approx(other["dice"], abs=0.01), name


def test_another_budget_does_not_mix_into_a_folder(whole: Path, plan: Path, run, tmp_path: Path) -> None:
    base = ("ablation", "--plan", plan, *QUICK)
    run(*base, "--output", whole, "--budget", "6").failed_with(3, "input", "another plan", "another folder")
    run(*base, "--output", tmp_path / "o", "--budget", "1").failed_with(2, "usage", "--budget")
    run(*base, "--output", tmp_path / "o", "--rows", "u-net").failed_with(2, "usage", "u-net")
    for option, least in (("--cases", 1), ("--workers", 0), ("--seeds", 0)):
        wrong = run(*base, "--output", tmp_path / "o", option, least - 1)
        wrong.failed_with(2, "usage", option, f"{least - 1} is not a whole number from {least} on")
    assert not (tmp_path / "o").exists()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text('{"budget": ', encoding="utf-8")
    run(*base, "--output", tmp_path / "damaged").failed_with(3, "input", "run.json", "damaged")
