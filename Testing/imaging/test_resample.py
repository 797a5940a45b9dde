"""Resampling keeps every value at its place in the patient, whatever the orientations of the two grids."""

import numpy as np
import pytest
from BladderAutoContourLib.imaging.geometry import Geometry, coverage, patient_grid
from BladderAutoContourLib.imaging.resample import averaging_factors, resample_to
from BladderAutoContourLib.imaging.volume import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

FLIPS = [np.diag(signs) for signs in ((1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, 1, 1))]
CYCLE = np.eye(3)[[2, 0, 1]]


def rows(matrix: np.ndarray):
    return tuple(tuple(float(v) for v in row) for row in matrix)


def sampled(field, geometry: Geometry) -> Volume:
    z, y, x = np.meshgrid(*[np.arange(n) for n in geometry.shape], indexing="ij")
    return Volume(field(geometry.to_patient(np.stack((x, y, z), -1))).astype(np.float32), geometry)


def ramp(points: np.ndarray) -> np.ndarray:
    return 3.0 * points[..., 0] - 2.0 * points[..., 1] + 0.5 * points[..., 2] + 7.0


def around(centre, spacing, size, direction) -> Geometry:
    plain = Geometry(size, spacing, (0.0, 0.0, 0.0), rows(direction))
    return Geometry(size, spacing, tuple(map(float, np.asarray(centre) - plain.centre_mm)), rows(direction))


directions = st.builds(
    lambda flip, cycled, turn: (
        Rotation.from_rotvec(turn, degrees=True).as_matrix() @ (CYCLE if cycled else np.eye(3)) @ flip
    ),
    st.sampled_from(FLIPS),
    st.booleans(),
    st.tuples(*[st.floats(-25, 25) for _ in range(3)]),
)
spacings = st.tuples(*[st.floats(0.8, 5.0) for _ in range(3)])


@given(directions, spacings, directions, spacings)
@settings(max_examples=40, deadline=None)
def test_linear_field_lands_on_the_same_patient_positions(source_turn, source_mm, target_turn, target_mm) -> None:
    size = tuple(int(np.ceil(90 / step)) for step in source_mm)
    source = sampled(ramp, around((10, -20, 300), source_mm, size, source_turn))
    target = around((12, -22, 297), target_mm, (7, 6, 5), target_turn)
    result = resample_to(source, target, fill=-1000)
    expected = sampled(ramp, target)
    # box averages and linear interpolation both keep a linear field; edge boxes repeat voxels, so look inside
    reach = np.array([2 * max(source_mm) + 2 * max(target_mm)] * 3)
    index = np.meshgrid(*[np.arange(n) for n in target.shape], indexing="ij")
    where = source.geometry.to_index(target.to_patient(np.stack(index[::-1], -1)))
    room = np.minimum(where, np.asarray(source.geometry.size) - 1 - where) * np.asarray(source_mm)
    inside = (room > reach).all(axis=-1)
    np.testing.assert_allclose(result.array[inside], expected.array[inside], atol=0.02)


@given(directions, directions)
@settings(max_examples=20, deadline=None)
def test_nothing_is_invented_outside_the_source(source_turn, target_turn) -> None:
    source = Volume(np.full((20, 20, 20), 40, np.int16), around((0, 0, 0), (2.0, 2.0, 2.0), (20, 20, 20), source_turn))
    target = around((25, 0, 0), (3.0, 3.0, 3.0), (16, 16, 16), target_turn)
    result = resample_to(source, target, fill=-1000)
    covered = coverage(source.geometry, target)
    np.testing.assert_allclose(result.array[covered], 40)
    np.testing.assert_array_equal(result.array[~covered], -1000)
    assert covered.any()
    assert not covered.all()


def test_grids_that_do_not_meet_give_the_fill() -> None:
    source = Volume(np.zeros((9, 9, 9), np.int16), Geometry((9, 9, 9), (1.0, 1.0, 1.0)))
    target = patient_grid(np.array([500.0, 0, 0]), (2.0, 2.0, 2.0), (4, 4, 4))
    assert (resample_to(source, target, fill=-1000).array == -1000).all()


def test_average_before_sampling_removes_what_the_target_cannot_show() -> None:
    checker = (np.indices((60, 60, 60)).sum(axis=0) % 2 * 1000).astype(np.int16)
    source = Volume(checker, Geometry((60, 60, 60), (1.0, 1.0, 1.0)))
    target = Geometry((10, 10, 10), (6.0, 6.0, 6.0), (2.5, 2.5, 2.5))
    averaged = resample_to(source, target, fill=-1000).array
    np.testing.assert_allclose(averaged, 500.0, atol=1e-3)
    picked = resample_to(source, Geometry((10, 10, 10), (6.0, 6.0, 6.0)), fill=-1000, antialias=False).array
    assert np.abs(picked - 500).min() > 400


def test_average_is_the_mean_of_the_boxes_exactly() -> None:
    values = np.random.default_rng(1).integers(-1000, 2000, (12, 18, 18)).astype(np.int16)
    source = Volume(values, Geometry((18, 18, 12), (1.0, 1.0, 1.5), (5.0, 6.0, 7.0)))
    target = Geometry((3, 3, 3), (6.0, 6.0, 6.0), (7.5, 8.5, 9.25))
    boxes = values.reshape(3, 4, 3, 6, 3, 6).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(resample_to(source, target, fill=0).array, boxes, rtol=1e-5, atol=1e-3)


def test_a_region_of_a_large_source_equals_the_same_region_of_the_whole() -> None:
    values = np.random.default_rng(2).normal(size=(40, 50, 60)).astype(np.float32)
    source = Volume(values, Geometry((60, 50, 40), (1.0, 1.0, 1.0)))
    whole = resample_to(source, Geometry((20, 16, 13), (3.0, 3.0, 3.0), (1.0, 1.0, 1.0)), fill=0)
    part = resample_to(source, Geometry((4, 4, 4), (3.0, 3.0, 3.0), (22.0, 19.0, 13.0)), fill=0)
    np.testing.assert_allclose(part.array, whole.array[4:8, 6:10, 7:11], atol=1e-5)


@pytest.mark.parametrize(
    ("source_mm", "target_mm", "factors"),
    [
        ((1.0, 1.0, 3.0), (6.0, 6.0, 6.0), (6, 6, 2)),
        ((1.0, 1.0, 5.0), (2.0, 2.0, 3.0), (2, 2, 1)),
        ((3.0, 3.0, 3.0), (1.0, 1.0, 1.0), (1, 1, 1)),
    ],
)
def test_how_many_voxels_are_averaged(source_mm, target_mm, factors) -> None:
    assert averaging_factors(Geometry((9, 9, 9), source_mm), Geometry((9, 9, 9), target_mm)) == factors


def test_averages_follow_the_axes_of_the_source() -> None:
    source = Geometry((9, 9, 9), (1.0, 2.0, 3.0), direction=rows(CYCLE))  # its x axis runs along the patient's y
    assert averaging_factors(source, Geometry((9, 9, 9), (6.0, 8.0, 12.0))) == (8, 6, 2)
