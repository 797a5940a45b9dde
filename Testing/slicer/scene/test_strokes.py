"""In which view a contour was edited: known from the shape of the change, and in doubt a slice counts as a whole."""

import numpy as np
import pytest
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.slicer.scene.segmentation import Contour, as_it_stands, show_result
from BladderAutoContourLib.slicer.scene.touched import Touched, touched_of
from ct_scene import DIRECTIONS, Editor, add_ct, drawn, texture

SHAPE = (42, 90, 100)
"""(z, y, x), 1 mm pixels."""
Z, Y, X = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
MIDDLE = 20


def patient(step_mm: float, direction: str) -> Geometry:
    """A fine CT whose slices lie so far apart."""
    return Geometry(SHAPE[::-1], (1.0, 1.0, step_mm), (-31.3, 12.7, -404.4), DIRECTIONS[direction])


def organ(step_mm: float) -> np.ndarray:
    """What the program drew: 56 x 48 mm, as high as the slices allow up to 48 mm."""
    return (((Z - MIDDLE) * step_mm / 24) ** 2 + ((Y - 45) / 24) ** 2 + ((X - 45) / 28) ** 2 <= 1).astype(np.uint8)


@pytest.fixture(params=[(1.5, "axial"), (3.0, "axial"), (3.0, "oblique")], ids=lambda p: f"{p[0]} mm, {p[1]}")
def patients(request, tmp_path) -> tuple[Editor, Contour, np.ndarray]:
    """An editor, the contour of a CT, and the contour's voxels."""
    step_mm, direction = request.param
    geometry = patient(step_mm, direction)
    ct, mask = add_ct(texture(geometry)), organ(step_mm)
    contour = show_result(ct, drawn(mask, geometry, tmp_path / "result"))
    return Editor(contour.segmentation, ct), contour, mask


def after(patients: tuple[Editor, Contour, np.ndarray], *edits: tuple[bool, np.ndarray]) -> Touched:
    """What counts as touched after these edits, each painted or erased; they are undone again."""
    editor, contour, _mask = patients
    for painted, mask in edits:
        (editor.paint if painted else editor.erase)(contour.segment_id, mask.astype(np.uint8))
    touched = touched_of(contour)
    for _ in edits:
        editor.logic.Undo()
    assert touched_of(contour).slices == ()
    return touched


def on(mask: np.ndarray, *slices: int) -> np.ndarray:
    """These slices of a mask alone."""
    part = np.zeros(SHAPE, bool)
    part[list(slices)] = mask[list(slices)]
    return part


def test_a_small_axial_edit_beside_large_ones_is_whole(patients):
    for count in (4, 8, 12):
        leak = on((Y > 35) & (Y < 60) & (X > 30) & (X < 55) & (Z >= 0), *range(14, 14 + count))
        trim = on((Y > 40) & (Y < 51) & (X > 30) & (X < 37) & (Z >= 0), 14 + count)
        assert after(patients, (False, leak), (False, trim)).whole == set(range(14, 15 + count))


@pytest.mark.parametrize("shift", [3, 6, 12])
def test_what_is_erased_and_redrawn_is_whole(patients, shift):
    mask = patients[2]
    redrawn = (MIDDLE - 5, MIDDLE, MIDDLE + 5)
    everything = np.ones(SHAPE, bool)
    touched = after(patients, (False, everything), (True, on(np.roll(mask, shift, axis=2), *redrawn)))
    assert touched.whole == set(np.flatnonzero(mask.any(axis=(1, 2))).tolist())


@pytest.mark.parametrize("shift", [1, 2, 3, 6])
def test_a_wall_that_is_moved_on_neighbouring_slices_is_whole(patients, shift):
    mask = patients[2]
    for axis in (1, 2):
        for count in (3, 6, 10):
            slices = range(MIDDLE - count // 2, MIDDLE - count // 2 + count)
            moved = (np.roll(mask, shift, axis=axis) > 0) & (mask == 0)
            assert after(patients, (True, on(moved, *slices))).whole == set(slices), (axis, count)


def test_dabs_on_neighbouring_slices_are_whole(patients):
    for width in (2, 3, 5):
        dab = on((abs(2 * (Y - 20) + 1) < width * 2) & (abs(2 * (X - 80) + 1) < width * 2) & (Z >= 0), *range(10, 22))
        assert after(patients, (True, dab)).whole == set(range(10, 22)), width


def stroke(axis: int, place: int, thick: int) -> np.ndarray:
    """What a round brush paints along a path in a sagittal (axis 2) or a coronal (axis 1) view."""
    along, across = (Y, X) if axis == 2 else (X, Y)
    painted = np.zeros(SHAPE, bool)
    for way in np.linspace(0, 1, 60):
        painted |= ((Z - 8 - 22 * way) / 3) ** 2 + ((along - 30 - 20 * way) / 6) ** 2 <= 1
    return painted & (across >= place) & (across < place + thick)


@pytest.mark.parametrize("thick", [1, 2, 3])
@pytest.mark.parametrize("axis", [1, 2])
def test_strokes_in_another_view_leave_the_slices_free_that_they_cross(patients, axis, thick):
    for place in (4, 84):
        painted = stroke(axis, place, thick)
        touched = after(patients, (True, painted))
        assert touched.whole == frozenset()
        np.testing.assert_array_equal(touched.mask(as_it_stands(patients[1])[1]), painted)
    within = after(patients, (False, stroke(axis, 45, thick)))
    assert len(within.slices) > 12
    assert within.whole <= {within.slices[-1]}, "the contour's own tip, one voxel, is too little to tell"


def test_strokes_in_two_views_that_cross_leave_the_slices_free(patients):
    crossing = (True, stroke(2, 84, 1)), (True, np.roll(stroke(1, 42, 1), 44, axis=2))
    both = crossing[0][1] & crossing[1][1]
    assert both.any()
    assert len(after(patients, *crossing).whole) <= np.count_nonzero(both.any(axis=(1, 2)))


def test_an_axial_edit_of_slices_that_a_stroke_crosses_makes_those_whole(patients):
    dab = on((Y - 70) ** 2 + (X - 20) ** 2 + 0 * Z <= 9, 12, 18, 19)
    widened = on((abs(Y - 45) < 5) & (abs(X - 84) < 4) & (Z >= 0), 23)
    assert after(patients, (True, stroke(2, 84, 1)), (True, dab), (True, widened)).whole == {12, 18, 19, 23}
