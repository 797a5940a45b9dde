"""A contour drawn on a lattice of its own, as Slicer's Segment Editor offers it, written on the CT's slices."""

import numpy as np
import pytest
import slicer
from BladderAutoContourLib.imaging.files import read_volume
from BladderAutoContourLib.slicer.scene.segmentation import Contour, restore_automatic, show_result, write_mask
from BladderAutoContourLib.slicer.scene.voxels import VoxelBox
from ct_scene import OBLIQUE, RAS, blob, refine, voxels

CENTRE = np.array(OBLIQUE.to_patient((19.3, 17.6, 9.4)))
RADIUS_MM = 15.0


def finer(*times: float) -> np.ndarray:
    """A lattice so many times finer along i, j, k, which begins at the same corner: index to mm in LPS."""
    matrix = np.diag([*(1 / one for one in times), 1.0])
    matrix[:3, 3] = [(1 / one - 1) / 2 for one in times]
    return OBLIQUE.matrix @ matrix


def size_of(*times: float) -> tuple[int, int, int]:
    return tuple(int(count * one) for count, one in zip(OBLIQUE.size, times, strict=True))


def draw_ball(contour, matrix: np.ndarray, size: tuple[int, int, int]) -> float:
    """Draw a ball into a contour on this lattice; its volume there in mL."""
    ijk = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1)
    places = ijk @ matrix[:3, :3].T + matrix[:3, 3]
    ball = (np.linalg.norm(places - CENTRE, axis=-1) < RADIUS_MM).T.astype(np.uint8)
    volume = slicer.util.addVolumeFromArray(ball.astype(np.int16), ijkToRAS=RAS @ matrix)
    slicer.util.updateSegmentBinaryLabelmapFromArray(ball, contour.segmentation, contour.segment_id, volume)
    return float(ball.sum() * abs(np.linalg.det(matrix[:3, :3])) / 1000)


TURNED = np.array([[0, 0, -1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], float)
"""Leads from a lattice that runs along (j, k, -i) to that along (i, j, k)."""


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("times", [(2, 2, 2), (4, 4, 4), (3, 3, 3), (1, 1, 2.5), (1.4, 0.9, 3.1)])
def test_neither_place_nor_size_change(ct, result, tmp_path, times, turned):
    matrix, size = finer(*times), size_of(*times)
    if turned:
        matrix = matrix @ TURNED
        matrix[:3, 3] = (finer(*times) @ (size[0] - 1, 0, 0, 1))[:3]
        size = (size[1], size[2], size[0])
    contour = show_result(ct, result)
    drawn_ml = draw_ball(contour, matrix, size)
    written_ml = write_mask(contour, tmp_path / "mask.nrrd")
    written = read_volume(tmp_path / "mask.nrrd")
    assert written.geometry.same_as(OBLIQUE)
    middle = np.argwhere(written.array)[:, ::-1].mean(axis=0)
    np.testing.assert_allclose(middle, OBLIQUE.to_index(CENTRE), atol=0.06)
    assert written_ml == pytest.approx(drawn_ml, rel=0.02)


def test_a_lattice_askew_is_taken_by_its_nearest_voxels(ct, result, tmp_path):
    cos, sin = np.cos(0.2), np.sin(0.2)
    tilt = np.array([[cos, -sin, 0, 0], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    matrix = OBLIQUE.matrix @ np.diag([1 / 1.2, 1 / 1.1, 1 / 3, 1]) @ tilt
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ (25, 25, 25)
    contour = show_result(ct, result)
    drawn_ml = draw_ball(contour, matrix, (51, 51, 51))
    assert write_mask(contour, tmp_path / "mask.nrrd") == pytest.approx(drawn_ml, rel=0.03)
    middle = np.argwhere(read_volume(tmp_path / "mask.nrrd").array)[:, ::-1].mean(axis=0)
    np.testing.assert_allclose(middle, OBLIQUE.to_index(CENTRE), atol=0.06)


@pytest.mark.parametrize("times", [2, 3, 4])
def test_a_copy_on_a_finer_lattice_comes_back_as_it_was(times):
    mask = np.random.default_rng(4).random((6, 7, 8)) > 0.5
    mask[0], mask[-1, :, 0] = True, True
    matrix = np.diag([1 / times, 1 / times, 1 / times, 1])
    matrix[:3, 3] = (1 / times - 1) / 2
    fine = VoxelBox(np.kron(mask, np.ones((times, times, times), bool)), (0, 0, 0), matrix)
    np.testing.assert_array_equal(fine.covering(np.eye(4)).part((0, 0, 0), (8, 7, 6)), mask)


def test_the_automatic_contour_comes_back_without_coarsening_what_lies_beside_it(ct, result):
    """Segments that do not overlap share a labelmap, and a finer lattice with it."""
    contour = show_result(ct, result)
    double = refine(contour, blob(OBLIQUE))
    segments = contour.segmentation.GetSegmentation()
    beside = Contour(contour.segmentation, segments.AddEmptySegment("rectum", "Rectum"))
    drawn_beside = np.zeros_like(voxels(contour, double))
    drawn_beside[1:6, 3:8, 5:12] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn_beside, beside.segmentation, beside.segment_id, double)
    segments.CollapseBinaryLabelmaps(False)
    assert segments.GetNumberOfLayers() == 1
    restore_automatic(contour)
    np.testing.assert_array_equal(voxels(contour, ct), blob(OBLIQUE))
    np.testing.assert_array_equal(voxels(beside, double), drawn_beside)
