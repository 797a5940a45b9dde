"""The rows of the ablation: one budget, the same samples, one difference each; and the file that keeps the samples."""

import dataclasses
from pathlib import Path

import pytest
import torch
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.networks.plan import CrfPlan, NetworkPlan, StagePlan
from BladderAutoContourLib.networks.vnet import VNet
from BladderAutoContourLib.training.ablation import LEAN, ROWS, bank_of, budget, check_plan, training_of, with_budget
from BladderAutoContourLib.training.sample_bank import SampleBank
from BladderAutoContourLib.training.samples import GeneratedSamples, Recipe

GRID = StagePlan((8.0, 8.0, 8.0), (32, 32, 16), network=NetworkPlan(width=2))


def test_every_row_gets_the_same_steps_and_the_same_samples_in_the_same_order() -> None:
    check_plan(LEAN)
    shown = []
    for row in ROWS:
        stages = training_of(row, LEAN, seed=7).stages
        shown.append([])
        for stage in stages:
            count = stage.steps * stage.batch * stage.accumulate
            shown[-1] += range(stage.first_sample, stage.first_sample + count)
        assert sum(stage.steps for stage in stages) == budget(LEAN)
    assert all(one == shown[0] == list(range(len(shown[0]))) for one in shown)
    for stage in LEAN.stages:
        assert len(bank_of(LEAN, 7, stage, Path("unused"))) == len(shown[0])


def test_the_rows_are_the_papers() -> None:
    plans = {row.name: training_of(row, LEAN, seed=1).plan.segmenter for row in ROWS}
    channels = {name: plan.intensity.channels for name, plan in plans.items()}
    assert [name for name, count in channels.items() if count == 2] == ["dual-channel", "cnn", "all"]
    plain = [name for name, plan in plans.items() if plan.network.normalisation == "none"]
    assert plain == ["v-net", "dual-channel"]
    wide = dataclasses.replace(plans["all"].network, width=16, kernel=5)
    assert sum(p.numel() for p in VNet(2, wide).parameters()) == 61_989_582  # full width, where a plan says so


def test_a_budget_is_divided_as_before() -> None:
    for steps in (2, 10, 400, 20_000):
        shorter = with_budget(LEAN, steps)
        assert budget(shorter) == steps
        share = LEAN.stages[1].steps / budget(LEAN)
        assert shorter.stages[1].steps == max(1, round(share * steps))
        assert all(stage.warmup <= max(1, stage.steps // 10) for stage in shorter.stages)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda plan: dataclasses.replace(plan, stages=plan.stages[:1]), "two stages"),
        (
            lambda plan: dataclasses.replace(
                plan, stages=(plan.stages[0], dataclasses.replace(plan.stages[1], batch=2))
            ),
            "batch",
        ),
        (
            lambda plan: dataclasses.replace(
                plan, stages=(dataclasses.replace(plan.stages[0], width=4), plan.stages[1])
            ),
            "no width of their own",
        ),
        (
            lambda plan: dataclasses.replace(
                plan,
                plan=dataclasses.replace(
                    plan.plan,
                    segmenter=dataclasses.replace(GRID, network=NetworkPlan(normalisation="none")),
                ),
            ),
            "normalisation",
        ),
    ],
)
def test_a_plan_that_is_not_the_whole_method_is_refused(change, word) -> None:
    with pytest.raises(InputError, match=word):
        check_plan(change(LEAN))


def test_the_joint_stage_sees_the_same_patients_on_the_grid_of_the_crf(tmp_path: Path) -> None:
    plan = dataclasses.replace(LEAN.plan, segmenter=GRID, crf=CrfPlan(spacing_mm=(4.0, 4.0, 4.0)))
    stages = tuple(dataclasses.replace(stage, batch=2) for stage in LEAN.stages)
    training = with_budget(dataclasses.replace(LEAN, plan=plan, stages=stages), 4)
    banks = [bank_of(training, 3, stage, tmp_path) for stage in training.stages]
    for bank in banks:
        bank.fill(lambda fraction: None, together=4)
    coarse, fine = (bank[7] for bank in banks)  # the last sample: the joint stage's
    assert fine[0].shape == (32, 64, 64)
    folded = torch.nn.functional.avg_pool3d(fine[1][None, None], 2)[0, 0]
    assert float(coarse[1].sum()) > 0
    assert float((folded - coarse[1]).abs().sum()) < 0.1 * float(coarse[1].sum())
    sizes = [file.stat().st_size // 3 for file in sorted(tmp_path.iterdir(), key=lambda file: file.name, reverse=True)]
    assert sizes == [8 * 16 * 32 * 32, 2 * 32 * 64 * 64]  # all of them; those alone that the joint stage sees
    same = dataclasses.replace(training, plan=dataclasses.replace(plan, crf=CrfPlan()))
    bank_of(same, 3, same.stages[1], tmp_path / "same").fill(lambda fraction: None)
    assert [file.name for file in (tmp_path / "same").iterdir()] == ["segmenter.bank"]


def test_a_bank_gives_what_it_was_filled_with_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    samples = GeneratedSamples(Recipe("segmenter", GRID, 3, batch=1, replays=2, without_bladder=0.0), 5)
    told: list[float] = []
    path = tmp_path / "samples.bank"
    bank = SampleBank(path, samples, (16, 32, 32))
    bank.fill(told.append, together=2)
    assert (told[0], told[-1], len(bank)) == (0.0, 1.0, 5)
    for index in range(5):
        (hu, label), (true_hu, true_label) = bank[index], samples[index]
        assert torch.allclose(hu, true_hu, atol=0.51)
        assert torch.allclose(label, true_label, atol=0.003)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 7 // 10])  # a kill in the middle of the fourth sample
    with pytest.raises(InputError, match="too early"):
        bank[4]
    bank.fill(told.append, together=2)
    assert path.read_bytes() == whole
