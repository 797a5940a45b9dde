"""What the CNN sees of a candidate: looks from the side, from closer and from farther, and what lies beside it."""

import dataclasses

import numpy as np
import pytest
import torch
from analytic import Body, ct_of, density_networks, points_of, scan_grid
from BladderAutoContourLib.imaging.resample import resample_to
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.pipeline import looks
from BladderAutoContourLib.pipeline.engine import Engine
from BladderAutoContourLib.pipeline.inference import Inference
from BladderAutoContourLib.pipeline.localise import Candidate
from BladderAutoContourLib.pipeline.looks import beside_where_scant, farther_where_more, look_around, look_at
from BladderAutoContourLib.pipeline.segment import contour_of
from BladderAutoContourLib.pipeline.warnings import Contoured, warnings_of


def silent(step: str, fraction: float) -> None:
    assert 0 <= fraction <= 1, step


@pytest.mark.parametrize("beside_mm", [(0.0, 0.0, 0.0), (20.0, -12.0, 16.0)])
def test_the_second_look_is_mirrored_and_about_what_the_first_saw(beside_mm) -> None:
    """Each look, taken alone at its place, and their mean by hand."""
    body, networks = Body(), density_networks()
    ct = ct_of(body, scan_grid())
    one = Inference(networks, torch.device("cpu"))
    stage = dataclasses.replace(networks.plan.segmenter, shift_voxels=3)
    plan = dataclasses.replace(networks.plan, segmenter=stage)
    two = Inference(dataclasses.replace(networks, plan=plan), torch.device("cpu"))
    centre_mm = np.add(body.bladder_mm, beside_mm)
    first, found = (look_around(ct, centre_mm, inference) for inference in (one, two))
    apart = (np.array(found.grid.origin_mm) - first.grid.origin_mm) / stage.spacing_mm
    shift = np.round(apart).astype(int)
    np.testing.assert_allclose(apart, shift, atol=1e-6)
    assert (np.abs(shift) >= 3).all()
    off = np.abs(np.array(found.grid.centre_mm) - body.bladder_mm) / stage.spacing_mm
    assert (off <= 3.5).all()
    seen = one.segment(resample_to(ct, found.grid, fill=-1000.0).array[..., ::-1].copy()).flip(-1)
    expected, inside = seen.clone(), np.zeros(found.grid.shape, bool)
    for index in np.ndindex(found.grid.shape):
        before = tuple(np.array(index) + shift[::-1])
        if all(0 <= k < n for k, n in zip(before, first.grid.shape, strict=True)):
            inside[index] = True
            expected[(..., *index)] = (seen[(..., *index)] + first.logits[(..., *before)]) / 2
    assert inside.any()
    assert not inside.all()
    assert torch.allclose(found.logits, expected, atol=0.05)
    assert not torch.allclose(found.logits, seen, atol=0.05)


class CountedLooks(Inference):
    """Counts how often the CNN is asked."""

    looks = 0

    def segment(self, hu: np.ndarray, mirrored: bool = False) -> torch.Tensor:
        self.looks += 1
        return super().segment(hu, mirrored)


def test_a_small_bladder_is_looked_at_from_closer_and_a_larger_one_is_not() -> None:
    body, networks = Body(), density_networks()
    ct = ct_of(body, scan_grid())
    beside = Candidate(body.bladder_mm, mass_ml=20.0, mean_probability=0.5)
    plain = Inference(networks, torch.device("cpu"))
    look = look_at(ct, beside, plain)
    found = {}
    for below_ml, count in ((look.volume_ml - 0.1, 0), (look.volume_ml + 0.1, 1)):
        stage = dataclasses.replace(networks.plan.segmenter, closer_below_ml=below_ml)
        plan = dataclasses.replace(networks.plan, segmenter=stage)
        inference = CountedLooks(dataclasses.replace(networks, plan=plan), torch.device("cpu"))
        found[count] = contour_of(ct, look, inference, use_crf=False)
        assert inference.looks == count
        assert found[count].evidence == look.evidence
    once = contour_of(ct, look, plain, use_crf=False).probability
    np.testing.assert_array_equal(found[0].probability.array, once.array)
    truth = body.bladder(points_of(once.geometry)) >= 0.5
    wrong = [int(((found[count].probability.array >= 0.5) != truth).sum()) for count in (0, 1)]
    assert wrong[1] < wrong[0]


def test_a_closer_look_that_sees_nothing_is_told_and_does_not_count(monkeypatch) -> None:
    body, networks = Body(), density_networks()
    ct = ct_of(body, scan_grid())
    stage = dataclasses.replace(networks.plan.segmenter, closer_below_ml=1000.0)
    closer = dataclasses.replace(networks, plan=dataclasses.replace(networks.plan, segmenter=stage))
    once = Engine(networks, "cpu").contour(ct, silent)
    seen: list[torch.Tensor] = []

    def blind_the_second_time(
        inference: Inference, hu: np.ndarray, mirrored: bool, segment=Inference.segment
    ) -> torch.Tensor:
        seen.append(segment(inference, hu, mirrored))
        return seen[0] if len(seen) == 1 else torch.stack((20.0 - seen[0][:, 1], seen[0][:, 1] - 20.0), dim=1)

    plain = Engine(closer, "cpu").contour(ct, silent)
    assert not any("from closer" in warning.sentence for warning in plain.warnings)
    monkeypatch.setattr(Inference, "segment", blind_the_second_time)
    found = Engine(closer, "cpu").contour(ct, silent)
    assert len(seen) == 2
    np.testing.assert_array_equal(found.mask.array, once.mask.array)
    (told,) = [warning for warning in found.warnings if "from closer" in warning.sentence]
    assert (told.code, told.severity) == ("unsure-slices", "warning")
    assert told.slices == tuple(np.flatnonzero(found.mask.array.any(axis=(1, 2))))


@pytest.mark.parametrize(("times", "counts"), [(1.0, False), (1.1, False), (1.3, True)])
def test_a_large_bladder_is_looked_at_from_farther_and_that_counts_where_it_sees_clearly_more(
    monkeypatch, times: float, counts: bool
) -> None:
    body = Body()
    ct = ct_of(body, scan_grid())
    inference = CountedLooks(density_networks(), torch.device("cpu"))
    look = look_at(ct, Candidate(body.bladder_mm, mass_ml=20.0, mean_probability=0.5), inference)
    assert not look.cut
    # what the first look saw, as if it had ended the bladder too soon
    less = dataclasses.replace(look, volume_ml=look.volume_ml / times)
    before = inference.looks
    assert farther_where_more(ct, less, inference) is less
    assert inference.looks == before
    monkeypatch.setattr(looks, "FARTHER_FROM_ML", 50.0)
    found = farther_where_more(ct, less, inference)
    assert inference.looks == before + 1
    assert (found is not less) == counts
    assert found.evidence == look.evidence
    np.testing.assert_allclose(found.grid.spacing_mm, np.multiply(look.grid.spacing_mm, 1.25 if counts else 1.0))
    contour = contour_of(ct, found, inference, use_crf=False).probability
    truth = body.bladder(points_of(contour.geometry)) >= 0.5
    mask = contour.array >= 0.5
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.9


@pytest.mark.parametrize(
    ("mass_ml", "again", "scant"), [(300.0, False, False), (360.0, True, False), (900.0, True, True)]
)
def test_what_the_localiser_saw_much_more_of_is_looked_at_from_above_and_below(mass_ml, again, scant) -> None:
    body = Body()
    ct = ct_of(body, scan_grid())
    inference = CountedLooks(density_networks(), torch.device("cpu"))
    candidate = Candidate(body.bladder_mm, mass_ml=mass_ml, mean_probability=0.5)
    look = look_at(ct, candidate, inference)
    assert 0.3 * 300 < 0.8 * look.volume_ml < 0.3 * 360 < look.volume_ml < 0.3 * 900
    # the CNN is half blind at first, and surer than it is right
    less = dataclasses.replace(look, volume_ml=look.volume_ml * 0.8, evidence=0.97)
    before = inference.looks
    found = beside_where_scant(ct, less, candidate, inference)
    assert (inference.looks > before) == again
    assert (found is less) != again
    assert (found.scant, found.evidence) == (scant, 0.97)
    if again:
        assert found.volume_ml == pytest.approx(look.volume_ml, rel=0.05)


def test_another_structure_farther_off_is_not_taken_for_what_was_hardly_seen() -> None:
    body = Body(radii_mm=(12.0, 12.0, 12.0))
    loop = Body(bladder_mm=tuple(np.add(body.bladder_mm, (0.0, 0.0, 60.0))), radii_mm=(24.0, 24.0, 16.0))
    ct = ct_of(body, scan_grid(spacing_mm=(3.0, 3.0, 3.0), size=(128, 96, 90)))
    inside = loop.bladder(points_of(ct.geometry)) >= 0.5
    ct = Volume(np.where(inside, np.int16(10), ct.array), ct.geometry)
    inference = CountedLooks(density_networks(), torch.device("cpu"))
    candidate = Candidate(body.bladder_mm, mass_ml=100.0, mean_probability=0.9)
    look = look_at(ct, candidate, inference)
    assert 0 < look.volume_ml < 20
    above = dataclasses.replace(candidate, centre_mm=tuple(np.add(body.bladder_mm, (0.0, 0.0, 30.0))))
    assert look_at(ct, above, inference).volume_ml > 25
    found = beside_where_scant(ct, look, candidate, inference)
    assert found.scant
    assert found.volume_ml == look.volume_ml
    (told,) = (one for one in warnings_of(Contoured(ct, Volume(inside.astype(np.uint8), ct.geometry), 30.0, scant=True))
               if "far more of a bladder" in one.sentence)  # fmt: skip
    assert told.slices == tuple(np.flatnonzero(inside.any(axis=(1, 2))))


@pytest.mark.parametrize("blind", [1, 2])
def test_a_cut_bladder_that_another_look_has_lost_stays_and_is_told_as_cut(blind: int) -> None:
    """Of the crop that was moved to its middle, or of the one from farther away."""
    body = Body(radii_mm=(40.0, 32.0, 54.0))
    ct = ct_of(body, scan_grid())
    inference = CountedLooks(density_networks(), torch.device("cpu"))
    seen = inference.segment

    def segment(hu: np.ndarray, mirrored: bool = False) -> torch.Tensor:
        logits = seen(hu, mirrored)
        return -20 * torch.ones_like(logits).cumsum(1) if inference.looks > blind else logits

    inference.segment = segment
    look = look_at(ct, Candidate(body.bladder_mm, mass_ml=20.0, mean_probability=0.5), inference)
    found = farther_where_more(ct, look, inference)
    assert inference.looks == 3
    assert found.cut
    assert found.volume_ml == look.volume_ml > 100


def test_what_the_networks_field_cuts_is_seen_whole_from_farther() -> None:
    body, networks = Body(radii_mm=(40.0, 32.0, 54.0)), density_networks()
    ct = ct_of(body, scan_grid())
    inference = Inference(networks, torch.device("cpu"))
    look = look_at(ct, Candidate(body.bladder_mm, mass_ml=20.0, mean_probability=0.5), inference)
    assert look.cut  # the crop is 96 mm high
    found = farther_where_more(ct, look, inference)
    assert not found.cut
    below, above = (found.grid.to_index(np.add(body.bladder_mm, (0.0, 0.0, z)))[2] for z in (-54.0, 54.0))
    filled = np.flatnonzero(found.mask.any(axis=(1, 2)))
    assert abs(filled[0] - below) < 2
    assert abs(filled[-1] - above) < 2


@pytest.mark.parametrize(("radius_mm", "told"), [(5.0, False), (12.0, True)])
def test_what_the_cnn_takes_for_a_second_bladder_is_told(radius_mm: float, told: bool) -> None:
    body = Body(radii_mm=(40.0, 32.0, 20.0))
    cyst = Body(bladder_mm=(4.0, -10.0, 58.0), radii_mm=(radius_mm,) * 3)
    ct = ct_of(body, scan_grid(spacing_mm=(3.0, 3.0, 3.0)))
    inside = cyst.bladder(points_of(ct.geometry)) >= 0.5
    ct = Volume(np.where(inside, np.int16(10), ct.array), ct.geometry)
    found = Engine(density_networks(), "cpu").contour(ct, silent)
    truth = body.bladder(points_of(ct.geometry)) >= 0.5
    assert not (found.mask.array[inside]).any()
    assert 2 * (found.mask.array[truth] > 0).sum() / (truth.sum() + found.mask.array.sum()) > 0.9
    assert any("structures look like a bladder" in warning.sentence for warning in found.warnings) == told
