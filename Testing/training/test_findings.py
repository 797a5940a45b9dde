"""Patients with findings that the generator's priors leave out: what is added is seen, and is never called bladder."""

import dataclasses

import numpy as np
import pytest
import torch
from BladderAutoContourLib.imaging.geometry import Geometry, patient_grid
from BladderAutoContourLib.networks.plan import StagePlan
from BladderAutoContourLib.phantom.case import Case, draw_case
from BladderAutoContourLib.phantom.findings import Findings
from BladderAutoContourLib.phantom.render import Rendered, canonical_to_patient, render
from BladderAutoContourLib.training import samples
from BladderAutoContourLib.training.findings import (
    NECK_Z,
    free_fluid,
    inflamed,
    lakes,
    lower_neck,
    pouch,
    small_frame,
    with_findings,
)

QUIET = {"noise_hu": 0.01, "blur_mm": 0.0, "offset_hu": 0.0, "gain": 1.0, "streak_hu": 0.0, "metal": ()}
SEEDS = range(16)


def patient(seed: int, sex: str = "male") -> Case:
    """Lying straight, of the priors' own size, with a smooth bladder, seen by a scanner without faults."""
    case = draw_case(seed, stratum="medium")
    straight = dataclasses.replace(case.habitus, tilt_degrees=(0.0, 0.0, 0.0), scale=(1.0, 1.0, 1.0), warp_mm=0.0)
    scanner = dataclasses.replace(case.scanner, sharpening=0.0, couch=False, **QUIET)
    bladder = dataclasses.replace(case.bladder, ripple=0.0)
    return dataclasses.replace(case, sex=sex, habitus=straight, scanner=scanner, bladder=bladder)


STEP_MM = 3.0


def around(case: Case, about: tuple[float, float, float], size: int = 44) -> Geometry:
    return patient_grid(canonical_to_patient(case, np.array(about)), (STEP_MM,) * 3, (size, size, size))


def seen(case: Case) -> Rendered:
    return render(case, around(case, case.bladder.centre))


def middle(values: torch.Tensor) -> float:
    at = tuple(n // 2 for n in values.shape)
    return float(values[at])


@pytest.mark.parametrize("family", ["training", "held-out"])
def test_no_family_is_drawn_with_findings(family: str) -> None:
    assert all(draw_case(seed, family).findings == Findings() for seed in SEEDS)


def test_the_same_generator_gives_the_same_findings() -> None:
    one, two = (with_findings(draw_case(3), np.random.default_rng(8)) for _ in range(2))
    assert one == two
    assert (one, one.findings) != (draw_case(3), Findings())


def test_a_taken_out_prostate_is_not_there_and_the_bladder_comes_down() -> None:
    fell = 0
    for seed in SEEDS:
        before = patient(seed)
        after = lower_neck(before, np.random.default_rng(seed))
        assert not after.findings.prostate
        low, lower = (lowest_z(case) for case in (before, after))
        if low > NECK_Z[1] + 8:  # the neck had to come down, wherever it was to lie
            assert lower < low - 4
            fell += 1
    assert fell > 2


def lowest_z(case: Case) -> float:
    label = seen(case).bladder
    first = int((label.amax(dim=(1, 2)) >= 0.5).nonzero()[0])
    return case.bladder.centre[2] + STEP_MM * (first - (len(label) - 1) / 2)


def test_a_womans_low_bladder_keeps_her_organs() -> None:
    case = lower_neck(patient(2, "female"), np.random.default_rng(2))
    assert case.findings == Findings()


@pytest.mark.parametrize("seed", range(6))
def test_clips_are_bright_and_are_not_bladder(seed: int) -> None:
    case = next(
        case
        for number in range(50)
        if (case := lower_neck(patient(seed), np.random.default_rng([seed, number]))).findings.clips
    )
    clip = case.findings.clips[0]
    grid = patient_grid(canonical_to_patient(case, np.array(clip.at)), (0.8, 0.8, 0.8), (21, 21, 21))
    without = dataclasses.replace(case, findings=dataclasses.replace(case.findings, clips=()))
    with_clip, bare = render(case, grid), render(without, grid)
    assert middle(with_clip.hu) > middle(bare.hu) + 200
    assert float((with_clip.hu - bare.hu).min()) < -20  # its ray
    assert torch.equal(with_clip.bladder, bare.bladder)


@pytest.mark.parametrize("change", [lakes, free_fluid])
def test_fluid_that_is_not_urine_is_seen_and_not_called_bladder(change) -> None:
    apart = 0
    for seed in SEEDS:
        case = change(patient(seed), np.random.default_rng(seed))
        lake = (*case.findings.lakes, *case.findings.free_fluid)[0]
        rendered = render(case, around(case, lake.shape.centre, 8))
        alone = dataclasses.replace(case, findings=Findings())
        bladder = render(alone, around(case, lake.shape.centre, 8)).bladder
        assert (rendered.bladder <= bladder + 1e-6).all()  # it may press on the bladder, never be it
        if change is lakes and middle(rendered.bladder) == 0 and min(lake.shape.radii) > 15:
            apart += abs(middle(rendered.hu) - lake.hu) < 12
    assert apart > 2 or change is free_fluid


def test_a_pouch_is_part_of_the_bladder() -> None:
    grown = [
        float(seen(pouch(case, np.random.default_rng(seed))).bladder.sum()) > float(seen(case).bladder.sum())
        for seed in SEEDS
        for case in [patient(seed)]
    ]
    assert np.mean(grown) > 0.9


@pytest.mark.parametrize("seed", range(4))
def test_an_inflamed_bladder_lies_in_haze_and_has_a_wall_like_urine(seed: int) -> None:
    before = patient(seed)
    case = inflamed(before, np.random.default_rng(seed))
    assert case.contents.wall_hu < case.contents.urine_hu + 18.1
    assert case.bladder.wall_mm >= min(5.0, 0.6 * min(case.bladder.radii))
    clear = dataclasses.replace(case, findings=Findings())
    with_haze, without = seen(case), seen(clear)
    assert torch.equal(with_haze.bladder, without.bladder)  # haze is beside the bladder, never of it
    risen = with_haze.hu - without.hu
    label = with_haze.bladder[None, None]
    near = (torch.nn.functional.max_pool3d(label, 3, 1, 1)[0, 0] > 0) & (label[0, 0] == 0) & (without.hu < -70)
    far = (torch.nn.functional.max_pool3d(label, 21, 1, 10)[0, 0] == 0) & (without.hu < -70) & (without.hu > -150)
    assert float(risen[near].median()) > 8
    assert float(risen[far].median()) < 0.5 * float(risen[near].median())
    assert abs(float(risen[label[0, 0] == 1].mean())) < 2


def test_a_small_patient_is_small_all_over() -> None:
    case = patient(4)
    small = small_frame(case, np.random.default_rng(4))
    ratio = np.divide(small.habitus.scale, case.habitus.scale)
    assert np.ptp(ratio) < 1e-9
    assert 0.7 < ratio[0] < 0.96


@pytest.mark.parametrize(("share", "shown"), [(0.0, (0, 0)), (0.5, (1, 7)), (1.0, (8, 8))])
def test_a_training_shows_them_as_often_as_its_plan_says(monkeypatch: pytest.MonkeyPatch, share, shown) -> None:
    cases = []
    monkeypatch.setattr(samples, "with_findings", lambda *given: cases.append(given) or with_findings(*given))
    plan = StagePlan(spacing_mm=(8.0, 8.0, 8.0), crop_voxels=(16, 16, 16))
    of_a_stage = samples.GeneratedSamples(samples.Recipe("segmenter", plan, 5, 1, 1, 0.0, findings=share), 8)
    for index in range(8):
        of_a_stage[index]
    assert shown[0] <= len(cases) <= shown[1]
