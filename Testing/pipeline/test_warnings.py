"""Each warning appears where it should, names its slices, and stays away from a plain case."""

import dataclasses

import numpy as np
import pytest
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.phantom.case import draw_case
from BladderAutoContourLib.phantom.fields import draw_scan
from BladderAutoContourLib.phantom.render import render
from BladderAutoContourLib.pipeline.segment import LAYERED
from BladderAutoContourLib.pipeline.warnings import CONTRAST_FILLED_SHARE, Contoured, QualityWarning, warnings_of

GRID = Geometry((60, 50, 30), (2.0, 2.0, 3.0))
BLADDER = (slice(10, 20), slice(15, 35), slice(20, 40))  # 10 x 20 x 20 voxels: 48 mL


def case(place=BLADDER, hu: float = 10, **changes) -> Contoured:
    mask = np.zeros(GRID.shape, np.uint8)
    mask[place] = 1
    ct = np.full(GRID.shape, -90, np.int16)
    ct[place] = hu
    values = {"volume_ml": mask.sum() * GRID.voxel_ml, **changes}
    return Contoured(ct=Volume(ct, GRID), mask=Volume(mask, GRID), **values)


def only(contoured: Contoured, code: str) -> QualityWarning:
    found = [warning for warning in warnings_of(contoured) if warning.code == code]
    assert len(found) == 1
    assert found[0].sentence.endswith(".")
    return found[0]


def test_plain_case_has_none() -> None:
    assert warnings_of(case(candidate_masses_ml=(50.0, 3.0), slice_doubt=(0.1,) * 10, first_slice=10)) == ()


@pytest.mark.parametrize(
    ("place", "slices", "words"),
    [
        ((slice(0, 10), slice(15, 35), slice(20, 40)), (0,), "end of the scan"),
        ((slice(22, 30), slice(15, 35), slice(20, 40)), (29,), "end of the scan"),
        ((slice(10, 20), slice(0, 20), slice(20, 40)), tuple(range(10, 20)), "edge of the image"),
        ((slice(10, 20), slice(15, 35), slice(35, 60)), tuple(range(10, 20)), "edge of the image"),
        ((slice(0, 10), slice(30, 50), slice(20, 40)), tuple(range(10)), "end of the scan and the edge"),
    ],
)
def test_cut_bladder(place, slices, words) -> None:
    warning = only(case(place), "bladder-cut")
    assert warning.slices == slices
    assert words in warning.sentence
    assert warning.severity == "warning"


@pytest.mark.parametrize(("step_mm", "first", "warned"), [(1.0, 2, True), (1.0, 3, False), (3.0, 1, False)])
def test_a_contour_that_ends_beside_the_scans_end_counts_as_cut(step_mm: float, first: int, warned: bool) -> None:
    grid = Geometry((60, 50, 30), (2.0, 2.0, step_mm))
    plain = case((slice(first, first + 10), slice(15, 35), slice(20, 40)))
    contoured = dataclasses.replace(plain, ct=Volume(plain.ct.array, grid), mask=Volume(plain.mask.array, grid))
    found = [warning.slices for warning in warnings_of(contoured) if warning.code == "bladder-cut"]
    assert found == ([(first,)] if warned else [])


@pytest.mark.parametrize("padding", [-2000, -1024, -1000])
@pytest.mark.parametrize(("outside", "slices"), [(slice(None, 10), (10,)), (slice(20, None), (19,))])
def test_the_scan_ends_where_padded_slices_begin(padding: int, outside: slice, slices: tuple[int, ...]) -> None:
    contoured = case()
    contoured.ct.array[outside] = padding
    warning = only(contoured, "bladder-cut")
    assert warning.slices == slices
    assert "reaches the end of the scan:" in warning.sentence


def test_the_scan_ends_where_oblique_padding_begins() -> None:
    contoured = case()
    rows = np.arange(50)[:, None]
    for number in range(12):  # the patient lies askew in the volume
        contoured.ct.array[number][np.broadcast_to(rows > 10 + 2 * number, (50, 60))] = -2000
    assert set(only(contoured, "bladder-cut").slices) == {10, 11, 12}


@pytest.mark.parametrize(
    ("order", "direction"),
    [
        ((0, 1, 2), ((1, 0, 0), (0, 1, 0), (0, 0, 1))),
        ((2, 0, 1), ((0, 0, 1), (1, 0, 0), (0, 1, 0))),
        ((1, 0, 2), ((1, 0, 0), (0, 0, 1), (0, 1, 0))),
    ],
    ids=["axial", "sagittal", "coronal"],
)
def test_the_scans_end_is_the_same_however_a_file_orders_its_axes(order, direction) -> None:
    mask = np.zeros((60, 70, 80), np.uint8)
    mask[1:25, 20:50, 30:60] = 1
    ct = np.where(mask > 0, 10, -90).astype(np.int16)
    ct, mask = (np.ascontiguousarray(array.transpose(order)) for array in (ct, mask))
    geometry = Geometry(ct.shape[::-1], (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), direction)
    warning = only(Contoured(Volume(ct, geometry), Volume(mask, geometry), 21.6), "bladder-cut")
    assert "reaches the end of the scan:" in warning.sentence
    end = np.moveaxis(mask, order.index(0), 0)[1]
    assert len(warning.slices) == (1 if order[0] == 0 else end.any(axis=1).sum())


def test_a_contour_that_a_closer_look_contradicts_is_unsure_all_through() -> None:
    warning = only(case(contradicted=True), "unsure-slices")
    assert warning.severity == "warning"
    assert warning.slices == tuple(range(10, 20))


def test_bladder_cut_by_the_round_field() -> None:
    contoured = case()
    contoured.ct.array[12:15, :, 40:] = -3024
    assert only(contoured, "bladder-cut").slices == (12, 13, 14)
    contoured.ct.array[12:15, :, 40:] = -1000  # air: gas may touch a bladder
    assert not [warning for warning in warnings_of(contoured) if warning.code == "bladder-cut"]


@pytest.mark.parametrize(("volume_ml", "warned"), [(12, True), (25, False), (1100, False), (1500, True)])
def test_implausible_volume(volume_ml: float, warned: bool) -> None:
    codes = {warning.code for warning in warnings_of(case(volume_ml=volume_ml))}
    assert ("implausible-volume" in codes) == warned


def test_metal_in_the_same_slices() -> None:
    contoured = case()
    contoured.ct.array[12:16, 20:30, 50:58] = 3000
    assert only(contoured, "metal").slices == (12, 13, 14, 15)


def test_metal_far_above_is_no_concern() -> None:
    tall = Geometry((60, 50, 60), (2.0, 2.0, 3.0))
    mask, ct = np.zeros(tall.shape, np.uint8), np.zeros(tall.shape, np.int16)
    mask[BLADDER] = 1
    ct[50:55, 20:30, 20:30] = 3000  # 90 mm above
    assert warnings_of(Contoured(Volume(ct, tall), Volume(mask, tall), 48.0)) == ()


def test_contrast_all_over_and_as_a_layer() -> None:
    assert "filled with contrast" in only(case(hu=300), "contrast").sentence
    layered = case()
    layered.ct.array[10:20, 33:35, 20:40] = 250
    warning = only(layered, "contrast")
    assert warning.slices == tuple(range(10, 20))
    assert warning.severity == "note"


@pytest.mark.parametrize(("rows", "hu"), [(4, 500), (9, 250), (1, 3000)])  # of 20
def test_a_layer_so_bright_that_the_mean_of_all_is_high_is_still_a_layer(rows: int, hu: int) -> None:
    layered = case()
    layered.ct.array[12:20, 35 - rows : 35, 20:40] = hu
    assert layered.ct.array[BLADDER].mean() > 80
    warning = only(layered, "contrast")
    assert warning.sentence.startswith("Part of the bladder is bright")
    assert warning.slices == tuple(range(12, 20))


@pytest.mark.parametrize("hu", [90, 110, 125])
def test_little_contrast_medium_all_over_is_no_layer_in_noise(hu: int) -> None:
    noisy = case(hu=hu)
    noise = np.random.default_rng(0).normal(0, 20, noisy.ct.array[BLADDER].shape)
    noisy.ct.array[BLADDER] += noise.astype(np.int16)
    assert 0 < (noisy.ct.array[BLADDER] > 130).mean() < CONTRAST_FILLED_SHARE
    assert "filled with contrast" in only(noisy, "contrast").sentence


def test_filled_is_the_same_for_the_warning_and_for_the_border() -> None:
    assert LAYERED[1] == CONTRAST_FILLED_SHARE


def test_several_candidates() -> None:
    assert "2 structures" in only(case(candidate_masses_ml=(50.0, 30.0, 5.0)), "several-candidates").sentence


def test_a_larger_rival_of_the_contoured_candidate_is_said() -> None:
    assert "2 structures" in only(case(candidate_masses_ml=(30.0, 400.0, 5.0)), "several-candidates").sentence
    # a small bladder beside a large cyst: one structure on the coarse grid, two for the CNN
    assert "2 structures" in only(case(candidate_masses_ml=(150.0,), rivals=1), "several-candidates").sentence


def test_unsure_slices_are_counted_from_the_first_slice() -> None:
    warning = only(case(first_slice=10, slice_doubt=(0.1, 0.8, 0.5, 0.97)), "unsure-slices")
    assert warning.slices == (11, 13)
    assert "2 slices" in warning.sentence


@pytest.mark.parametrize("kind", ["pelvis", "chest", "thighs"])
@pytest.mark.parametrize("seed", range(3))
def test_a_scale_that_is_off_is_told_and_a_scanners_usual_error_is_not(seed: int, kind: str) -> None:
    """Whatever is scanned: the lean and the stout of the held-out family, much of them lung or leg."""
    patient = draw_case(seed, "held-out")
    scan = draw_scan(patient, kind, (5.0, 5.0, 5.0), np.random.default_rng(seed))
    hu = render(patient, scan.geometry).stored_hu()
    mask = np.zeros(hu.shape, np.uint8)
    mask[tuple(slice(n // 3, n // 2) for n in hu.shape)] = 1
    for off_hu in (0, -10, 10, -100, 100):
        off = np.clip(hu + off_hu, -1024, 3071).astype(np.int16)
        contoured = Contoured(ct=Volume(off, scan.geometry), mask=Volume(mask, scan.geometry), volume_ml=100.0)
        if abs(off_hu) <= 10:
            assert "hu-scale" not in {warning.code for warning in warnings_of(contoured)}
        else:
            sentence = only(contoured, "hu-scale").sentence
            assert f"too {'high' if off_hu > 0 else 'low'}" in sentence
            told = int(sentence.split("about ")[1].split()[0])
            assert abs(told - abs(off_hu)) <= 40
