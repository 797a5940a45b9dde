"""What a training was begun with is kept in its folder: who goes on with something else is told what differs."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.networks.plan import NetworkPlan
from BladderAutoContourLib.networks.weights import load_weights
from BladderAutoContourLib.training import record
from BladderAutoContourLib.training.plan import StageSchedule, TrainingPlan
from BladderAutoContourLib.training.record import RUN
from BladderAutoContourLib.training.run import AVERAGE, run_training
from small_engine import save_water_weights
from tiny_training import ALONE, curve, silent, tiny_plan, train, write_plan


def go_on(training: TrainingPlan, output: Path, *only: str, **options) -> Path | None:
    return run_training(training, output, ALONE, silent, resume=True, only=only or ["localiser"], **options)


def with_stage(training: TrainingPlan, number: int, **changes) -> TrainingPlan:
    """The plan with something changed in one of its stages."""
    stages = list(training.stages)
    stages[number] = dataclasses.replace(stages[number], **changes)
    return dataclasses.replace(training, stages=tuple(stages))


def with_network(training: TrainingPlan, part: str, **changes) -> TrainingPlan:
    """The plan with something changed in one of its networks."""
    changed = dataclasses.replace(getattr(training.plan, part), **changes)
    return dataclasses.replace(training, plan=dataclasses.replace(training.plan, **{part: changed}))


@pytest.fixture
def begun(tmp_path: Path) -> tuple[TrainingPlan, Path]:
    """A plan of three stages, and a folder in which the first is finished."""
    training = tiny_plan(steps=2)
    go_on(training, tmp_path / "out")
    return training, tmp_path / "out"


def refused(training: TrainingPlan, output: Path, *words: str, **options) -> None:
    kept = (output / RUN).read_bytes()
    with pytest.raises(InputError, match="begun with another plan") as caught:
        go_on(training, output, **options)
    assert caught.value.files == (str(output / RUN),)
    for word in words:
        assert word in caught.value.message
    assert (output / RUN).read_bytes() == kept


def test_the_folder_keeps_a_copy_of_the_plan(begun: tuple[TrainingPlan, Path]) -> None:
    training, output = begun
    assert TrainingPlan.load(output / RUN) == training
    assert json.loads((output / RUN).read_text(encoding="utf-8"))["start_from"] == ""
    assert [file.name for file in output.iterdir() if file.is_file()] == [RUN]


def test_another_plan_is_refused_by_what_differs(begun: tuple[TrainingPlan, Path]) -> None:
    training, output = begun
    refused(dataclasses.replace(training, seed=6), output, "seed (5 there, 6 here)", "another folder")
    refused(with_stage(training, 0, loss="iou", rate=0.5), output, "localiser, loss", "localiser, rate (0.002 there")
    refused(with_stage(training, 0, steps=9), output, "localiser, steps (2 there, 9 here)")
    network = NetworkPlan(width=4)
    refused(with_network(training, "localiser", network=network), output, "localiser, network, width (2 there, 4 here)")
    refused(with_stage(training, 0, name="elsewhere"), output, "the stage localiser is missing")
    earlier = StageSchedule("localiser", 2, name="earlier", precision="float32")
    refused(dataclasses.replace(training, stages=(earlier, *training.stages)), output, "localiser, first_sample")


def test_what_has_not_begun_may_change(begun: tuple[TrainingPlan, Path]) -> None:
    training, output = begun
    longer = with_stage(with_network(training, "segmenter", shift_voxels=2), 1, steps=3, loss="iou")
    longer = with_network(longer, "localiser", shift_voxels=2, closer_below_ml=50.0)  # counts at work alone
    more = StageSchedule("localiser", 1, name="more", precision="float32", start_from="localiser")
    longer = dataclasses.replace(longer, stages=(*longer.stages, more), notes={"hospital": "ours"})
    longer = dataclasses.replace(longer, plan=dataclasses.replace(longer.plan, name="longer"))
    go_on(longer, output, "more")
    assert TrainingPlan.load(output / RUN) == longer
    assert (output / "more" / AVERAGE).exists()


def test_what_a_stage_began_with_is_not_trained_anew_behind_its_back(begun: tuple[TrainingPlan, Path]) -> None:
    """Its weights would be another stage's than the record tells."""
    training, output = begun
    go_on(training, output, "segmenter")
    shutil.rmtree(output / "localiser")
    refused(training, output, "localiser, which segmenter began with, is gone (delete segmenter too)")
    shutil.rmtree(output / "segmenter")
    go_on(with_stage(training, 0, rate=0.5), output, "localiser", "segmenter")


def test_pelves_of_another_generator_are_not_mixed_in(
    begun: tuple[TrainingPlan, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    training, output = begun
    monkeypatch.setattr(record, "GENERATOR_VERSION", 99)
    refused(training, output, "the generator of the pelves", "99 here")


def test_a_stage_that_is_not_finished_may_be_lengthened_and_is_not_cut_below_what_it_has_taken(
    begun: tuple[TrainingPlan, Path],
) -> None:
    training, output = begun
    (output / "localiser" / AVERAGE).unlink()
    refused(with_stage(training, 0, steps=4, batch=1), output, "localiser, batch")
    with pytest.raises(InputError, match="2 steps already, more than the 1 of the plan"):
        go_on(with_stage(training, 0, steps=1), output)
    go_on(with_stage(training, 0, steps=4), output)
    assert [row[0] for row in curve(output / "localiser")[1:]] == ["1", "2", "3", "4"]
    assert TrainingPlan.load(output / RUN).stages[0].steps == 4


def test_a_folder_without_a_record_gets_one_and_a_damaged_record_is_told(begun: tuple[TrainingPlan, Path]) -> None:
    training, output = begun
    (output / RUN).unlink()
    other = dataclasses.replace(training, seed=6)
    go_on(other, output)
    assert TrainingPlan.load(output / RUN).seed == 6
    for content in ("{", "{}", json.dumps({**dataclasses.asdict(other)})):
        (output / RUN).write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=r"is damaged\. Delete it if plan and weights are the same"):
            go_on(other, output)


def test_other_start_weights_are_refused(tmp_path: Path) -> None:
    path = save_water_weights(tmp_path / "water.pt", crop=32, spacing_mm=12.0)
    water = load_weights(path)
    training = dataclasses.replace(tiny_plan(steps=1), plan=dataclasses.replace(water.plan, name="own", sha256=""))
    training = dataclasses.replace(
        training, stages=tuple(dataclasses.replace(s, start_from="") for s in training.stages)
    )
    go_on(training, tmp_path / "out", start=water)
    go_on(training, tmp_path / "out", start=water)
    others = dataclasses.replace(water, plan=dataclasses.replace(water.plan, sha256="ab" * 32))
    refused(training, tmp_path / "out", "the weights that it starts from", start=others)


def test_a_joint_stage_behind_another_goes_on_with_the_crf_of_the_weights(tmp_path: Path) -> None:
    water = load_weights(save_water_weights(tmp_path / "water.pt", crop=32, spacing_mm=12.0))
    for parameter in water.crf.parameters():
        parameter.data.mul_(1.5)
    _, segmenter, joint = tiny_plan(steps=1, rate=1e-9).stages
    stages = (dataclasses.replace(segmenter, start_from=""), dataclasses.replace(joint, steps=1, rate=1e-9))
    training = TrainingPlan(5, dataclasses.replace(water.plan, name="own", sha256=""), stages)
    own = load_weights(run_training(training, tmp_path / "out", ALONE, silent, start=water))
    for name, value in water.crf.state_dict().items():
        torch.testing.assert_close(own.crf.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_a_file_that_cannot_be_replaced_is_told(tmp_path: Path) -> None:
    """As on Windows, where a viewer holds it open; here something else stands in its place."""
    (tmp_path / "out" / "localiser" / "curve.csv").mkdir(parents=True)
    plan = write_plan(tiny_plan(steps=1), tmp_path / "plan.json")
    outcome = train("--plan", plan, "--output", tmp_path / "out", "--workers", "0", "--resume", "--calibrate", "0")
    assert outcome.returncode == 6, outcome.stderr
    assert "curve.csv cannot be written" in outcome.stderr
    assert "go on with --resume" in outcome.stderr


def test_the_command_refuses_to_go_on_with_another_plan(tmp_path: Path) -> None:
    options = ("--output", tmp_path / "out", "--workers", "0", "--stage", "localiser", "--resume")
    training = tiny_plan(steps=1)
    assert train("--plan", write_plan(training, tmp_path / "plan.json"), *options).returncode == 0
    other = write_plan(dataclasses.replace(training, seed=6), tmp_path / "other.json")
    outcome = train("--plan", other, *options)
    assert outcome.returncode == 3
    assert "seed (5 there, 6 here)" in outcome.stderr
