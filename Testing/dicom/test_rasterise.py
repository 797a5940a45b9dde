"""Structures of any maker as masks: nesting, keyholes, sparse and dense contours, and what cannot be placed."""

import numpy as np
import pytest
from BladderAutoContourLib.dicom.rasterise import fill, roi_mask
from BladderAutoContourLib.dicom.structure_reader import Contour, Roi
from matplotlib.path import Path as Polygon
from scenes import DIRECTIONS, grid


def roi(*contours: Contour) -> Roi:
    return Roi(1, "Bladder", "", contours)


def square(geometry, z: float, low: float, high: float, kind: str = "CLOSED_PLANAR") -> Contour:
    """A square contour between two indices, the same in x and y, at the index z."""
    corners = np.array([[low, low, z], [high, low, z], [high, high, z], [low, high, z]])
    return Contour(kind, geometry.to_patient(corners), ())


@pytest.mark.parametrize("seed", range(5))
def test_pixel_centres_as_matplotlib_finds_them(seed):
    rng = np.random.default_rng(seed)
    polygon = rng.uniform(-3, 33, (12, 2))
    y, x = np.indices((25, 30))
    centres = np.column_stack([x.ravel(), y.ravel()])
    # matplotlib fills by the non-zero rule: even and odd are told apart by the crossings of each edge's triangle.
    inside = np.zeros(len(centres), int)
    for one, other in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        inside += Polygon([(-7.3, -9.1), one, other]).contains_points(centres)
    assert np.array_equal(fill([polygon], (25, 30)), (inside % 2 == 1).reshape(25, 30))


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_nested_contours_are_holes(direction, kind):
    geometry = grid(direction=direction)
    mask, findings = roi_mask(
        roi(*(square(geometry, 4, low, high, kind) for low, high in ((9.5, 30.5), (15.5, 24.5), (18.5, 20.5)))),
        geometry,
    )
    assert findings == ()
    assert mask.array.dtype == np.uint8
    assert mask.array[4].sum() == 21**2 - 9**2 + 2**2
    assert mask.array.sum() == mask.array[4].sum()


def test_a_keyhole_is_a_hole():
    geometry = grid()
    outer = [(9.5, 9.5), (30.5, 9.5), (30.5, 20), (24.5, 20), (24.5, 15.5), (15.5, 15.5), (15.5, 24.5), (24.5, 24.5),
             (24.5, 20), (30.5, 20), (30.5, 30.5), (9.5, 30.5)]  # fmt: skip
    points = geometry.to_patient(np.column_stack([outer, np.full(len(outer), 4)]))
    mask, _ = roi_mask(roi(Contour("CLOSED_PLANAR", points, ())), geometry)
    assert mask.array[4].sum() == 21**2 - 9**2


def test_denser_contours_than_slices_do_not_cancel():
    geometry = grid()
    contours = [square(geometry, z, 9.5, 30.5) for z in (3.0, 3.4, 3.8, 4.2, 4.6, 5.0)]
    mask, (finding,) = roi_mask(roi(*contours), geometry)
    assert mask.array.sum(axis=(1, 2)).tolist()[3:6] == [441] * 3
    assert mask.array.sum() == 3 * 441
    assert "3 contours of 'Bladder' left out: between the slices" in finding.sentence


@pytest.mark.parametrize("heights_mm", [(0.0, 0.02), (-0.09, 0.0), (-0.08, 0.08), (0.9, 0.98)])
def test_contours_of_one_plane_are_as_high_as_their_writer_rounds(heights_mm):
    geometry = grid()
    one, other = square(geometry, 4, 9.5, 20.5), square(geometry, 4, 30.5, 40.5)
    low, high = (np.array([0, 0, height]) for height in heights_mm)
    contours = [Contour(one.geometric_type, part.points_mm + shift, ()) for part, shift in ((one, low), (other, high))]
    mask, findings = roi_mask(roi(*contours), geometry)
    assert (mask.array[4].sum(), findings) == (11**2 + 10**2, ())


@pytest.mark.parametrize(
    "again",
    [
        lambda points: points,
        lambda points: np.roll(points, 1, axis=0),
        lambda points: points[::-1],
        lambda points: np.vstack([points, points[:1]]),
        lambda points: points + np.array([0, 0, 0.02]),
    ],
    ids=["same", "other first point", "reversed", "closed", "a little higher"],
)
@pytest.mark.parametrize("direction", ["axial", "oblique"])
def test_a_contour_that_is_there_twice_counts_once_and_is_told(direction, again):
    geometry = grid(direction=DIRECTIONS[direction])
    contours = [square(geometry, z, 9.5, 30.5) for z in (3, 4, 4, 5)]
    heights = geometry.to_index(contours[1].points_mm)  # moved as the grid lies
    contours[2] = Contour("CLOSED_PLANAR", geometry.to_patient(again(heights)), ())
    mask, findings = roi_mask(roi(*contours), geometry)
    assert mask.array.sum(axis=(1, 2)).tolist()[3:6] == [441] * 3
    (finding,) = findings
    assert "1 contours" in finding.sentence
    assert "there already" in finding.sentence


def rectangle(geometry, z: float, x: tuple[float, float], y: tuple[float, float]) -> Contour:
    corners = np.array([[x[0], y[0], z], [x[1], y[0], z], [x[1], y[1], z], [x[0], y[1], z]])
    return Contour("CLOSED_PLANAR", geometry.to_patient(corners), ())


def test_contours_that_cross_are_told():
    geometry = grid()
    crossing = [rectangle(geometry, z, *place) for z in (3, 4)
                for place in (((9.5, 30.5), (9.5, 30.5)), ((20.5, 45.5), (20.5, 45.5)))]  # fmt: skip
    mask, (finding,) = roi_mask(roi(*crossing), geometry)
    assert mask.array[3].sum() == 21**2 + 25**2 - 2 * 10**2
    assert (finding.code, finding.severity) == ("crossing-contours", "warning")
    assert "'Bladder' cross each other in 2 slices" in finding.sentence


def test_contours_side_by_side_and_within_each_other_do_not_cross():
    """Rings in rings, two parts in one hole, parts that share an edge, a hole that touches its outer ring."""
    geometry = grid()
    places = [((2.5, 50.5), (2.5, 50.5)), ((4.5, 40.5), (4.5, 48.5)), ((5.5, 20.5), (6.5, 20.5)),
              ((20.5, 30.5), (6.5, 20.5)), ((7.5, 15.5), (8.5, 20.5))]  # fmt: skip
    _, findings = roi_mask(roi(*(rectangle(geometry, 4, *place) for place in places)), geometry)
    assert findings == ()


def test_a_hole_that_a_writers_rounding_lets_out_does_not_cross():
    geometry = grid()
    hole = [(12.5, 12.5), (30.5, 12.5), (30.5, 13.5), (31.5, 13.5), (31.5, 14.5), (30.5, 14.5), (30.5, 28.5),
            (12.5, 28.5)]  # fmt: skip
    points = geometry.to_patient(np.column_stack([hole, np.full(len(hole), 4)]))
    mask, findings = roi_mask(roi(square(geometry, 4, 9.5, 30.5), Contour("CLOSED_PLANAR", points, ())), geometry)
    assert (mask.array.sum(), findings) == (21**2 - 18 * 16 + 1, ())


def test_slices_whose_contours_enclose_nothing_are_told():
    geometry = grid()
    tiny = rectangle(geometry, 5, (9.6, 9.9), (9.6, 9.9))
    twin = [square(geometry, 6, 9.5, 30.5), rectangle(geometry, 6, (9.5, 30.4), (9.5, 30.5))]
    mask, (finding,) = roi_mask(roi(square(geometry, 4, 9.5, 30.5), tiny, *twin), geometry)
    assert mask.array.any(axis=(1, 2)).sum() == 1
    assert (finding.code, finding.severity) == ("empty-slices", "warning")
    assert finding.sentence.startswith("2 slices with contours of 'Bladder' stay empty")


def test_what_cannot_be_placed_is_said():
    geometry = grid()
    good = square(geometry, 4, 9.5, 30.5)
    slanted = Contour("CLOSED_PLANAR", good.points_mm + np.outer([0, 1, 2, 3], [0, 0, 2.0]), ())
    beyond = square(geometry, 40, 9.5, 30.5)
    line = Contour("CLOSED_PLANAR", good.points_mm[:2], ())
    point = Contour("POINT", good.points_mm[:1], ())
    mask, findings = roi_mask(roi(good, slanted, beyond, line, point), geometry)
    assert mask.array.sum() == 441
    assert [finding.code for finding in findings] == ["contour-left-out"] * 3
    said = " ".join(finding.sentence for finding in findings)
    assert "not parallel" in said
    assert "outside the CT" in said
    assert "fewer than 3" in said


def test_slices_left_out_between_the_contours_are_said():
    geometry = grid()
    mask, findings = roi_mask(roi(*(square(geometry, z, 9.5, 30.5) for z in (3, 5, 9))), geometry)
    assert mask.array.any(axis=(1, 2)).sum() == 3
    assert [(finding.code, finding.severity) for finding in findings] == [("slices-without-contours", "note")]
    assert "4 slices between the contours of 'Bladder' have none" in findings[0].sentence


def test_contours_beyond_the_image_are_cut_at_its_edge():
    geometry = grid()
    mask, _ = roi_mask(roi(square(geometry, 4, -20.5, 2.5)), geometry)
    assert mask.array.sum() == 9
    mask, _ = roi_mask(roi(square(geometry, 4, -500, 500)), geometry)
    assert mask.array[4].all()
