"""The whole walk on bodies of known shape: found, contoured in place, whatever the orientation; or refused."""

import dataclasses

import numpy as np
import pytest
import torch
from analytic import PLAN, Body, ct_of, density_networks, points_of, scan_grid
from BladderAutoContourLib.errors import Cancelled, EnvironmentFault, InputError, NoBladderError
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.networks.number_type import number_type
from BladderAutoContourLib.pipeline.engine import Contouring, Engine
from BladderAutoContourLib.pipeline.inference import Inference
from BladderAutoContourLib.pipeline.localise import Candidate
from BladderAutoContourLib.pipeline.looks import look_at
from BladderAutoContourLib.pipeline.segment import contour_of
from scipy.spatial.transform import Rotation


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(density_networks(), "cpu")


def rows(matrix: np.ndarray):
    return tuple(tuple(float(v) for v in row) for row in matrix)


def silent(step: str, fraction: float) -> None:
    assert 0 <= fraction <= 1, step


def dice(contouring: Contouring, body: Body) -> float:
    mask = contouring.mask.array > 0
    truth = body.bladder(points_of(contouring.mask.geometry)) >= 0.5
    return 2 * np.count_nonzero(mask & truth) / (np.count_nonzero(mask) + np.count_nonzero(truth))


ORIENTATIONS = {
    "head first supine": np.eye(3),
    "feet first": np.diag([-1, 1, -1]),
    "prone": np.diag([-1, -1, 1]),
    "RAS, left-handed": np.diag([-1, -1, 1]) @ np.diag([1, 1, -1]),
    "sagittal slices": np.eye(3)[:, [1, 2, 0]],
    "12 degrees oblique": Rotation.from_euler("xyz", [12, 0, 0], degrees=True).as_matrix(),
    "oblique about two axes": Rotation.from_euler("xyz", [8, -7, 5], degrees=True).as_matrix() @ np.diag([1, -1, -1]),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_found_at_its_place_in_every_orientation(engine: Engine, name: str) -> None:
    body = Body()
    size = (60, 100, 76) if name == "sagittal slices" else (96, 72, 60)
    spacing_mm = (3.5, 4.0, 4.0) if name == "sagittal slices" else (4.0, 4.0, 3.5)
    ct = ct_of(body, scan_grid(rows(ORIENTATIONS[name]), size=size, spacing_mm=spacing_mm))
    contouring = engine.contour(ct, silent)
    assert dice(contouring, body) > 0.92
    assert contouring.mask.geometry == ct.geometry
    assert contouring.volume_ml == pytest.approx(body.volume_ml, rel=0.15)  # the hand-set network blurs the border
    centre = ct.geometry.to_patient(np.argwhere(contouring.mask.array)[:, ::-1]).mean(axis=0)
    np.testing.assert_allclose(centre, body.bladder_mm, atol=1.5)
    assert contouring.confidence > 0.8


def test_probability_and_mask_say_the_same(engine: Engine) -> None:
    contouring = engine.contour(ct_of(Body(), scan_grid()), silent)
    probability = contouring.probability.array
    assert probability.dtype == np.float32
    assert contouring.mask.array.dtype == np.uint8
    np.testing.assert_array_equal(probability >= 0.5, contouring.mask.array == 1)
    assert probability.min() >= 0
    assert probability.max() <= 1


def test_whole_body_field_with_the_bladder_far_from_its_middle(engine: Engine) -> None:
    body = Body(bladder_mm=(4.0, -10.0, -330.0))
    ct = ct_of(body, scan_grid(size=(100, 72, 200)))
    contouring = engine.contour(ct, silent)
    assert dice(contouring, body) > 0.92


def test_crop_beside_the_bladder_moves_to_it(engine: Engine) -> None:
    # crops of 144 x 144 x 96 mm, begun 60 mm beside a bladder of 80 x 64 x 56 mm
    body = Body()
    ct = ct_of(body, scan_grid())
    beside = Candidate(tuple(np.add(body.bladder_mm, (60.0, 20.0, -30.0)).tolist()), mass_ml=20.0, mean_probability=0.5)
    inference = Inference(density_networks(), torch.device("cpu"))
    refined = contour_of(ct, look_at(ct, beside, inference), inference, use_crf=True)
    mask = refined.probability.array >= 0.5
    truth = body.bladder(points_of(refined.probability.geometry)) >= 0.5
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.9
    assert truth.sum() * refined.probability.geometry.voxel_ml == pytest.approx(body.volume_ml, rel=0.02)


def test_what_is_larger_than_the_networks_field_is_said_to_be_cut(engine: Engine) -> None:
    # the crop is 96 mm high
    contouring = engine.contour(ct_of(Body(radii_mm=(40.0, 32.0, 70.0)), scan_grid()), silent)
    filled = np.flatnonzero(contouring.mask.array.any(axis=(1, 2)))
    cut = next(warning for warning in contouring.warnings if warning.code == "bladder-cut")
    assert cut.slices == (filled[0], filled[-1])
    assert "larger than the field" in cut.sentence
    usual = engine.contour(ct_of(Body(), scan_grid()), silent)
    assert not [warning for warning in usual.warnings if warning.code == "bladder-cut"]


def test_bladder_cut_by_the_scans_end_is_contoured_and_said(engine: Engine) -> None:
    body = Body()
    grid = scan_grid(centre_mm=(0.0, 0.0, body.bladder_mm[2] + 112), size=(96, 72, 56))
    contouring = engine.contour(ct_of(body, grid), silent)
    assert dice(contouring, body) > 0.9
    assert contouring.mask.array[0].any()
    cut = next(warning for warning in contouring.warnings if warning.code == "bladder-cut")
    assert 0 in cut.slices


def test_no_bladder_no_contour(engine: Engine) -> None:
    ct = ct_of(Body(has_bladder=False), scan_grid())
    with pytest.raises(NoBladderError):
        engine.contour(ct, silent)
    assert engine.evidence(ct, silent)[0] < 0.6


def test_two_candidates_are_said(engine: Engine) -> None:
    first, second = (
        Body(bladder_mm=(-45.0, 0.0, -40.0)),
        Body(bladder_mm=(45.0, 0.0, 80.0), radii_mm=(36.0, 30.0, 28.0)),
    )
    grid = scan_grid(size=(96, 72, 80))
    ct = Volume(np.where(second.bladder(points_of(grid)) > 0.5, 10, ct_of(first, grid).array).astype(np.int16), grid)
    contouring = engine.contour(ct, silent)
    assert "several-candidates" in {warning.code for warning in contouring.warnings}
    assert max(dice(contouring, first), dice(contouring, second)) > 0.9


def test_padding_outside_the_scanners_field_is_air(engine: Engine) -> None:
    body = Body()
    ct = ct_of(body, scan_grid())
    padded = ct.array.copy()
    padded[ct.array < -900] = -3024
    contouring = engine.contour(Volume(padded, ct.geometry), silent)
    assert dice(contouring, body) > 0.92


@pytest.mark.parametrize("kind", [np.int16, np.float32])
@pytest.mark.parametrize(("value", "margin"), [(0, 0), (0, 3), (3071, 0)])
def test_one_value_in_place_of_air_is_air(engine: Engine, kind: type, value: int, margin: int) -> None:
    """As a body that was cut out has around it, a volume at its corners that was turned, or a scanner's round field."""
    ct = ct_of(Body(), scan_grid())
    within = tuple(slice(margin, n - margin) for n in ct.array.shape)
    seen = np.full(ct.array.shape, -1000, kind)
    seen[within] = ct.array[within]
    padded = seen.copy()
    padded[within][seen[within] < -300] = value
    given = padded.copy()
    usual, found = (engine.contour(Volume(array, ct.geometry), silent) for array in (seen, given))
    assert np.array_equal(found.mask.array, usual.mask.array)
    said = [warning.sentence for warning in found.warnings if warning.code == "geometry"]
    assert [sentence.partition(" holds ")[2][:29] for sentence in said] == ["one value in place of air, as"]
    assert not any(warning.code == "geometry" for warning in usual.warnings)
    assert np.array_equal(given, padded)  # the caller's CT stays as it was


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_metal_on_an_extended_scale_is_seen_as_on_the_usual_one(engine: Engine, kind: type) -> None:
    usual = ct_of(Body(), scan_grid())
    usual.array[usual.array > 250] = 3071
    extended = usual.array.astype(kind)
    extended[extended == 3071] = 30_000
    assert np.count_nonzero(extended == 30_000) > 100
    found = [engine.contour(Volume(array, usual.geometry), silent) for array in (usual.array, extended)]
    assert np.array_equal(found[0].mask.array, found[1].mask.array)
    assert (extended == 30_000).any()  # the caller's CT stays as it was


def test_crf_can_be_switched_off_and_the_result_says_so(engine: Engine) -> None:
    ct = ct_of(Body(), scan_grid())
    contouring = engine.contour(ct, silent, use_crf=False)
    assert contouring.crf_change_in_band == 0
    assert "fallback" in {warning.code for warning in contouring.warnings}
    with_crf = engine.contour(ct, silent)
    assert 0 < with_crf.crf_change_in_band < 0.5
    assert "fallback" not in {warning.code for warning in with_crf.warnings}


def test_the_crf_works_on_its_own_finer_grid() -> None:
    body, networks = Body(), density_networks()
    ct = ct_of(body, scan_grid())
    beside = Candidate(body.bladder_mm, mass_ml=20.0, mean_probability=0.5)
    crf = dataclasses.replace(networks.plan.crf, spacing_mm=(2.0, 2.0, 3.0))
    finer = dataclasses.replace(networks, plan=dataclasses.replace(networks.plan, crf=crf))
    inference = Inference(finer, torch.device("cpu"))
    refined = contour_of(ct, look_at(ct, beside, inference), inference, use_crf=True)
    grid = refined.probability.geometry
    assert grid.spacing_mm == pytest.approx((2.0, 2.0, 3.0))
    mask, truth = refined.probability.array >= 0.5, body.bladder(points_of(grid)) >= 0.5
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.9


@pytest.mark.parametrize(
    ("bright", "share", "halved"), [(300, 0.3, True), (300, 0.05, False), (300, 1.0, False), (90, 0.3, False)]
)
def test_where_contrast_medium_lies_as_a_layer_the_crf_counts_half(monkeypatch, bright, share, halved) -> None:
    """Here the CRF-RNN would take all of it away, as it takes the wall away from such a lumen."""
    body, networks = Body(), density_networks()
    ct = ct_of(body, scan_grid())
    inference = Inference(networks, torch.device("cpu"))
    look = look_at(ct, Candidate(body.bladder_mm, mass_ml=20.0, mean_probability=0.5), inference)
    truth = body.bladder(points_of(ct.geometry)) >= 0.5
    sunk = np.cumsum(truth[:, ::-1].sum(axis=(0, 2)))[::-1] <= share * truth.sum()  # rows from the back on
    ct.array[truth & sunk[None, :, None]] = bright
    nothing = torch.tensor((0.5, -0.5)).view(1, 2, 1, 1, 1)
    monkeypatch.setattr(Inference, "sharpen", lambda _self, logits, *_: nothing.expand_as(logits))
    found = contour_of(ct, look, inference, use_crf=True)
    assert found.layered is halved
    assert bool((found.probability.array >= 0.5).any()) is halved


def test_same_ct_same_contour(engine: Engine) -> None:
    ct = ct_of(Body(), scan_grid())
    first, second = engine.contour(ct, silent), engine.contour(ct, silent)
    np.testing.assert_array_equal(first.mask.array, second.mask.array)
    assert first.confidence == second.confidence


def test_cancel_goes_through_every_step(engine: Engine) -> None:
    ct = ct_of(Body(), scan_grid())
    told: list[tuple[str, float]] = []
    engine.contour(ct, lambda step, fraction: told.append((step, fraction)))
    assert [step for step, _ in dict.fromkeys((step, 0) for step, _ in told)] == [
        "localise",
        "segment",
        "restore",
        "decide",
    ]
    for stop_at in range(0, len(told), 3):
        seen = 0

        def progress(step: str, fraction: float) -> None:
            nonlocal seen
            seen += 1
            if seen > stop_at:  # noqa: B023
                raise Cancelled("Cancelled.")

        with pytest.raises(Cancelled):
            engine.contour(ct, progress)
        assert seen == stop_at + 1


def test_costs_and_doubt_are_told(engine: Engine) -> None:
    contouring = engine.contour(ct_of(Body(), scan_grid()), silent)
    assert [cost.name for cost in contouring.steps] == ["localise", "segment", "restore", "decide"]
    assert all(cost.seconds > 0 and cost.peak_mb > 50 for cost in contouring.steps)
    slices = np.flatnonzero(contouring.mask.array.any(axis=(1, 2)))
    assert contouring.slice_features.first_slice == slices[0]
    assert len(contouring.slice_doubt) == len(slices)
    assert all(0 <= doubt <= 1 for doubt in contouring.slice_doubt)


@pytest.mark.parametrize(
    "geometry", [Geometry((128, 128, 3), (2.0, 2.0, 3.0)), Geometry((20, 20, 20), (1.0, 1.0, 1.0))]
)
def test_too_little_of_a_ct_is_refused(engine: Engine, geometry: Geometry) -> None:
    with pytest.raises(InputError, match="too little"):
        engine.contour(ct_of(Body(), geometry), silent)


def test_values_that_are_no_hounsfield_units_are_refused(engine: Engine) -> None:
    ct = ct_of(Body(), scan_grid())
    with pytest.raises(InputError, match="Hounsfield"):
        engine.contour(Volume(ct.array + np.int16(1024), ct.geometry), silent)
    ct.array[:, :3, :3] = -2000 - 1024  # what stands for no value outside the scanner's field
    with pytest.raises(InputError, match="Hounsfield"):
        engine.contour(Volume(ct.array + np.int16(1024), ct.geometry), silent)


def test_a_spacing_that_is_wrong_by_ten_is_refused(engine: Engine) -> None:
    ct = ct_of(Body(), scan_grid())
    grown = dataclasses.replace(ct.geometry, spacing_mm=tuple(20 * step for step in ct.geometry.spacing_mm))
    with pytest.raises(InputError, match=r"would be \d+\.\d m long"):
        engine.contour(Volume(ct.array, grown), silent)


def test_absent_graphics_card_is_said() -> None:
    if torch.cuda.is_available():
        pytest.skip("a graphics card is at hand")
    with pytest.raises(EnvironmentFault, match="CUDA"):
        Engine(density_networks(), "cuda")
    assert Engine(density_networks(), "auto").device.startswith("CPU")
    assert PLAN.name == Engine(density_networks(), "auto").plan.name


def test_a_torch_that_does_not_tell_what_the_processor_can_computes_in_full_precision(monkeypatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert number_type(torch.device("cpu")) is torch.float32
