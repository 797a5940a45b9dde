"""Samples of own patients: where they are cut, how they are warped, how they mix with generated ones."""

import dataclasses

import numpy as np
import pytest
import torch
from BladderAutoContourLib.networks.plan import NetworkPlan, Plan, StagePlan
from BladderAutoContourLib.training.fine_tuning import fine_tuning
from BladderAutoContourLib.training.patients import MixedSamples, Patient, crop
from BladderAutoContourLib.training.samples import GeneratedSamples, Recipe

STAGE = StagePlan((8.0, 8.0, 8.0), (32, 32, 16), network=NetworkPlan(width=2))
CENTRE = np.array([20.0, 30.0, 24.0])
RADIUS = 4.0
BLADDER_HU = 5


def ball(shape: tuple[int, int, int], centre: np.ndarray) -> np.ndarray:
    z, y, x = np.indices(shape)
    return np.linalg.norm(np.stack((z, y, x), axis=-1) - centre, axis=-1) <= RADIUS


@pytest.fixture
def patient() -> Patient:
    """Fat with a ball of urine in it; nothing of the generated world has these numbers."""
    inside = ball((40, 60, 50), CENTRE)
    return Patient(np.where(inside, BLADDER_HU, -100).astype(np.int16), inside.astype(np.float16))


def recipe(stage: str = "segmenter", without_bladder: float = 0.0) -> Recipe:
    return Recipe(stage, STAGE, 3, batch=1, replays=1, without_bladder=without_bladder)


def test_a_crop_has_air_where_the_scan_ends(patient: Patient) -> None:
    hu, label = crop(patient, CENTRE, (9, 9, 9))
    assert torch.equal(hu > -50, label > 0.5)
    assert float(label[4, 4, 4]) == 1
    assert float(label.sum()) == patient.label.sum()
    hu, label = crop(patient, np.zeros(3), (7, 7, 7))
    assert float(hu[:3].max()) == float(hu[:, :, :3].max()) == -1000
    assert float(hu[3:, 3:, 3:].min()) == -100
    far, nothing = crop(patient, np.array([500.0, 0.0, 0.0]), (7, 7, 7))
    assert float(far.max()) == -1000
    assert float(nothing.max()) == 0


def test_every_crop_shows_the_bladder_near_its_middle(patient: Patient) -> None:
    generated = GeneratedSamples(recipe(), 24)
    offsets = []
    for index in range(24):
        _, label = MixedSamples(generated, [patient], 1.0)[index]
        if label.max() > 0.5:
            offsets.append(np.argwhere(label.numpy() > 0.5).mean(axis=0) - (np.array(label.shape) - 1) / 2)
    assert len(offsets) >= 20  # a scan may end above it
    assert np.abs(offsets).max() * 8 < 60
    assert np.std(offsets) * 8 > 4


def test_a_localisers_windows_lie_anywhere_along_the_body(patient: Patient) -> None:
    samples = MixedSamples(GeneratedSamples(recipe("localiser", without_bladder=1.0), 16), [patient], 1.0)
    volumes = [float(samples[index][1].sum()) for index in range(16)]
    assert min(volumes) == 0 < max(volumes)


def test_a_sample_depends_on_its_index_alone_and_the_share_is_kept(patient: Patient) -> None:
    generated = GeneratedSamples(recipe(), 40)
    mixed = MixedSamples(generated, [patient], 0.5)
    assert len(mixed) == 40
    first = {index: mixed[index] for index in (7, 3, 5)}
    again = MixedSamples(GeneratedSamples(recipe(), 40), [patient], 0.5)
    for index, (hu, label) in sorted(first.items()):
        assert torch.equal(again[index][0], hu)
        assert torch.equal(again[index][1], label)
    own = sum(not torch.equal(mixed[index][0], generated[index][0]) for index in range(16))
    assert 4 <= own <= 12
    none = MixedSamples(generated, [patient], 0.0)
    assert all(torch.equal(none[index][0], generated[index][0]) for index in range(3))


def test_a_patient_without_a_bladder_teaches_that_there_is_none() -> None:
    empty = Patient(np.full((20, 40, 40), 30, np.int16), np.zeros((20, 40, 40), np.float16))
    hu, label = MixedSamples(GeneratedSamples(recipe(), 4), [empty], 1.0)[0]
    assert hu.shape == label.shape == (16, 32, 32)
    assert float(label.max()) == 0


def test_fine_tuning_takes_a_name_of_its_own_and_tells_its_origin() -> None:
    start = Plan("origin", STAGE, STAGE, scores={"dice": 1.0}, sha256="ab" * 32)
    training = fine_tuning(start, steps=10)
    assert training.plan.name == "origin-own"
    assert training.plan.scores == {}
    assert training.record()["start_from"]["sha256"] == start.sha256
    assert [(stage.stage, stage.steps) for stage in training.stages] == [("localiser", 10), ("segmenter", 10)]
    assert all(0 < stage.patients < 1 for stage in training.stages)


@pytest.mark.parametrize(("below_ml", "shares"), [(80.0, [0.0, 0.35]), (0.0, [0.0, 0.0])])
def test_what_looks_from_closer_at_work_does_not_forget_it(below_ml: float, shares: list[float]) -> None:
    start = Plan("origin", STAGE, dataclasses.replace(STAGE, closer_below_ml=below_ml))
    assert [stage.closer for stage in fine_tuning(start).stages] == shares
