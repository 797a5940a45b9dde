"""Contours against a plain point-in-polygon test at every pixel centre: the region comes back exactly."""

import numpy as np
import pytest
from BladderAutoContourLib.dicom.check_contours import crosses_itself
from BladderAutoContourLib.dicom.contours import signed_area, trace
from BladderAutoContourLib.dicom.keyhole import polygons
from BladderAutoContourLib.dicom.thinning import thin
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst


def filled(curves: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Pixel centres inside an odd number of curves: one edge after the other, as in a textbook."""
    y, x = np.indices(shape)
    inside = np.zeros(shape, bool)
    for curve in curves:
        for (x1, y1), (x2, y2) in zip(curve, np.roll(curve, -1, axis=0), strict=True):
            if y1 != y2:
                crossed = (y1 <= y) != (y2 <= y)
                inside ^= crossed & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside


def blobs(seed: int, shape: tuple[int, int] = (24, 27)) -> np.ndarray:
    """A smooth random field in [0, 1] with islands, holes and islands in holes."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    waves = [np.sin(x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1) + rng.uniform(0, 6.3)) for _ in range(8)]
    field = np.sum(waves, axis=0)
    return (field - field.min()) / np.ptp(field)


fields = st.one_of(
    npst.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14))).map(lambda mask: mask.astype(np.uint8)),
    npst.arrays(np.float32, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.floats(0, 1, width=32)),
    st.integers(0, 10**6).map(blobs),
)


@settings(max_examples=60)
@given(field=fields)
def test_the_region_comes_back(field):
    inside = field >= 0.5
    curves = trace(field)
    joined = polygons(curves)
    assert np.array_equal(filled(curves, field.shape), inside)
    assert np.array_equal(filled(joined, field.shape), inside)
    rounded = [np.round(polygon, 3) for polygon in joined]
    assert np.array_equal(filled(rounded, field.shape), inside)
    assert len(joined) == sum(signed_area(curve) > 0 for curve in curves)
    for polygon in joined:
        assert len(polygon) >= 4
        assert signed_area(polygon) > 0
        assert (polygon != np.roll(polygon, 1, axis=0)).any(axis=1).all()
        assert not crosses_itself(polygon)
    assert sum(map(signed_area, joined)) == pytest.approx(sum(map(signed_area, curves)), abs=1e-6)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_a_turned_field_gives_the_turned_contour(seed):
    field = blobs(seed)
    assert np.array_equal(filled(trace(field.T), field.T.shape), filled(trace(field), field.shape).T)
    area = sum(map(signed_area, trace(field)))
    assert sum(map(signed_area, trace(field[::-1]))) == pytest.approx(area, abs=1e-9)


def test_one_pixel_of_a_probability_is_a_diamond():
    field = np.zeros((3, 4))
    field[1, 2] = 1
    (curve,) = trace(field)
    assert sorted(map(tuple, curve.tolist())) == [(1.5, 1.0), (2.0, 0.5), (2.0, 1.5), (2.5, 1.0)]


@settings(max_examples=60)
@given(mask=npst.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14))))
def test_a_masks_curves_enclose_as_much_area_as_it_has_pixels(mask):
    for curve, other in zip(trace(mask), trace(mask.astype(np.int16) * 7), strict=True):
        assert np.array_equal(curve, other)
        assert abs(signed_area(curve)) == pytest.approx(filled([curve], mask.shape).sum())
        centres = np.rint(curve)
        assert np.abs(curve - centres).max(axis=1).min() > 0.2


def test_the_image_edge_closes_the_contour():
    (curve,) = trace(np.ones((5, 6)))
    assert curve.min(axis=0).tolist() == [-0.5, -0.5]
    assert curve.max(axis=0).tolist() == [5.5, 4.5]


def test_soft_edges_are_traced_between_pixels():
    y, x = np.indices((80, 80))
    distance = np.hypot(x - 40.3, y - 38.6)
    (curve,) = trace(np.clip((25.2 - distance) / 4 + 0.5, 0, 1))
    radius = np.hypot(curve[:, 0] - 40.3, curve[:, 1] - 38.6)
    assert np.abs(radius - 25.2).max() < 0.06
    assert signed_area(curve) == pytest.approx(np.pi * 25.2**2, rel=1e-3)


def test_corners_that_touch_are_joined_by_their_mean():
    apart = np.array([[0.6, 0.1], [0.1, 0.6]])
    joined = np.array([[0.9, 0.4], [0.4, 0.9]])
    assert len(trace(apart)) == 2
    assert len(trace(joined)) == 1


def test_nothing_gives_nothing():
    assert trace(np.zeros((5, 5))) == []
    assert trace(np.full((5, 5), 0.49)) == []


@pytest.mark.parametrize("seed", range(3))
def test_thinning_keeps_the_area_and_the_region(seed):
    field = blobs(seed, (80, 80))
    curves = trace(field)
    thinned = [thin(curve) for curve in curves]
    before, after = sum(map(len, curves)), sum(map(len, thinned))
    assert after < 0.65 * before
    assert sum(map(signed_area, thinned)) == pytest.approx(sum(map(signed_area, curves)), rel=1e-3)
    assert np.array_equal(filled(polygons(thinned), field.shape), field >= 0.5)
    assert not any(crosses_itself(polygon) for polygon in polygons(thinned))


@settings(max_examples=60)
@given(field=fields)
def test_thinning_keeps_the_region(field):
    thinned = [thin(curve) for curve in trace(field)]
    assert np.array_equal(filled(polygons(thinned), field.shape), field >= 0.5)
    # What was left out brought no edge so near to a centre that a reader's rounding could tell.
    assert np.array_equal(filled([np.round(curve, 2) for curve in thinned], field.shape), field >= 0.5)


@pytest.mark.parametrize("count", [3, 15, 16, 17, 100])
def test_crossing_edges_are_found(count):
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    circle = np.column_stack([30 * np.cos(angle), 20 * np.sin(angle)])
    assert not crosses_itself(circle)
    if count > 3:
        circle[[1, 2]] = circle[[2, 1]]
        assert crosses_itself(circle)
