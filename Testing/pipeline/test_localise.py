"""Windows cover the body however large it is, and blend without seams."""

import numpy as np
import pytest
from analytic import PLAN, Body, ct_of, points_of, scan_grid
from BladderAutoContourLib.imaging.geometry import Geometry, coverage
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.networks.plan import StagePlan
from BladderAutoContourLib.pipeline.localise import (
    OVERLAP,
    coarse_copy,
    heights,
    localise,
    positions,
    slide,
    window_starts,
)
from BladderAutoContourLib.pipeline.restore import restore
from hypothesis import given
from hypothesis import strategies as st

STAGE = StagePlan((8.0, 8.0, 8.0), (32, 32, 16))


@given(st.integers(-50, 50), st.integers(1, 300), st.integers(8, 64), st.floats(0, 0.75))
def test_positions_cover_the_extent_without_gaps(first: int, extent: int, window: int, overlap: float) -> None:
    starts = positions(first, first + extent, window, overlap)
    covered = np.zeros(extent, dtype=int)
    for start in starts:
        covered[max(start - first, 0) : max(start - first + window, 0)] += 1
    assert covered.min() >= 1
    steps = np.diff(starts)
    assert (steps <= window * (1 - overlap) + 1).all()


@given(st.integers(20, 60), st.integers(20, 60), st.integers(5, 70))
def test_every_voxel_of_the_body_is_seen_and_constant_stays_constant(x: int, y: int, z: int) -> None:
    hu = np.full((z, y, x), 20.0, dtype=np.float32)
    probability = slide(hu, STAGE, lambda window: np.full(window.shape, 0.6, np.float32), lambda fraction: None)
    np.testing.assert_allclose(probability, 0.6, atol=1e-5)


def test_windows_outside_the_volume_see_air_and_a_short_scan_at_three_heights() -> None:
    hu = np.full((4, 10, 10), 20.0, dtype=np.float32)
    seen: list[np.ndarray] = []
    slide(hu, STAGE, lambda window: seen.append(window) or np.zeros_like(window), lambda fraction: None)
    for window in seen:
        assert window.shape == (16, 32, 32)
        assert (window == 20).sum() == hu.size
        assert (window == -1000).sum() == window.size - hu.size
    assert [int(np.flatnonzero((window == 20).any(axis=(1, 2)))[0]) for window in seen] == [12, 6, 0]


@given(st.integers(-50, 50), st.integers(1, 300), st.integers(8, 64))
def test_heights_show_the_whole_scan(first: int, extent: int, window: int) -> None:
    starts = heights(first, first + extent, window)
    if extent <= window:
        assert all(start <= first and first + extent <= start + window for start in starts)
    else:
        assert starts == positions(first, first + extent, window, OVERLAP)


def test_air_alone_has_no_windows() -> None:
    assert window_starts(np.full((9, 9, 9), -1000.0), (16, 32, 32)) == []


def test_coarse_copy_covers_the_scan_in_patient_axes() -> None:
    turned = ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
    body = Body()
    fine = ct_of(body, scan_grid(turned, size=(60, 50, 40)))
    coarse = coarse_copy(fine, STAGE)
    lower, upper = fine.geometry.bounds_mm()
    coarse_lower, coarse_upper = coarse.geometry.bounds_mm()
    assert (coarse_lower <= lower + 1e-6).all()
    assert (coarse_upper >= upper - 1e-6).all()
    inside = body.bladder(points_of(coarse.geometry)) == 1
    assert abs(coarse.array[inside].mean() - body.bladder_hu) < 5


def test_heaviest_candidate_comes_first_at_its_weighted_centre() -> None:
    grid = scan_grid(size=(80, 60, 60))
    large, small = Body(bladder_mm=(-60.0, 0.0, 0.0)), Body(bladder_mm=(60.0, 10.0, 60.0), radii_mm=(18.0, 18.0, 18.0))
    ct = Volume(np.full(grid.shape, 30, np.int16), grid)
    points = points_of(grid)
    ct.array[large.bladder(points) > 0.5] = 300
    ct.array[small.bladder(points) > 0.5] = 300
    found = localise(ct, PLAN.localiser, lambda hu: np.clip((hu - 30) / 300, 0, 1), lambda fraction: None)
    assert len(found) == 2
    assert found[0].mass_ml > found[1].mass_ml
    np.testing.assert_allclose(found[0].centre_mm, large.bladder_mm, atol=3)
    np.testing.assert_allclose(found[1].centre_mm, small.bladder_mm, atol=3)


def test_restored_probability_is_the_same_field_on_the_scans_grid() -> None:
    body = Body()
    crop = scan_grid(centre_mm=body.bladder_mm, size=(40, 40, 40), spacing_mm=(3.0, 3.0, 3.0))
    c, s = np.cos(0.3), np.sin(0.3)
    ct = scan_grid(((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, -1.0)), size=(150, 120, 90), spacing_mm=(2.0, 2.0, 2.5))
    restored = restore(Volume(body.bladder(points_of(crop)), crop), ct)
    truth = body.bladder(points_of(ct))
    assert restored.array.dtype == np.float32
    assert np.abs(restored.array.sum() / truth.sum() - 1) < 0.01
    assert ((restored.array >= 0.5) != (truth >= 0.5)).mean() < 0.002


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("step_mm", [0.75, 1.0, 2.0, 3.0, 5.0])
def test_a_bladder_that_goes_on_beyond_the_scan_is_contoured_to_its_end(axis: int, step_mm: float) -> None:
    """Wherever the scan's face lies among the crop's voxels; those beyond it are zero: nothing is known there."""
    size, spacing = [30, 30, 30], [2.0, 2.0, 2.0]
    size[axis], spacing[axis] = 40, step_mm
    ct = Geometry(tuple(size), tuple(spacing), (0.0, 0.0, 0.0))
    for phase in range(12):
        origin = [-9.0, -9.0, -9.0]
        origin[axis] += phase / 4
        crop = Geometry((20, 20, 20), (3.0, 3.0, 3.0), tuple(origin))
        found = restore(Volume(np.float32(0.95) * coverage(ct, crop), crop), ct).array >= 0.5
        inside = np.moveaxis(found, 2 - axis, 0)
        assert inside[0].any(), phase


@pytest.mark.parametrize("shift_mm", [60.0, 500.0])
def test_crop_partly_or_wholly_outside_the_scan(shift_mm: float) -> None:
    crop = scan_grid(centre_mm=(0.0, 0.0, shift_mm), size=(20, 20, 20))
    ct = Geometry((30, 30, 30), (4.0, 4.0, 4.0), (-58.0, -58.0, -58.0))
    restored = restore(Volume(np.ones(crop.shape, np.float32), crop), ct)
    assert restored.array.shape == ct.shape
    assert (restored.array.max() > 0.9999) == (shift_mm < 100)
