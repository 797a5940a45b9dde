"""The picture shows the contour where it is in the patient, seen as a radiologist does, from any orientation."""

from pathlib import Path

import numpy as np
import pytest
from analytic import Body, ct_of, points_of, scan_grid
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.pipeline.lettering import text_opacity, write_png
from BladderAutoContourLib.pipeline.preview import (
    AXIAL_COLUMNS,
    AXIAL_PX,
    CONTOUR,
    GAP_PX,
    PLANE_PX,
    TITLE_PX,
    axial_positions,
    preview,
)
from PIL import Image
from scipy import ndimage
from scipy.spatial.transform import Rotation

BODY = Body(bladder_mm=(10.0, -15.0, 20.0), radii_mm=(40.0, 30.0, 20.0))
RIGHT_HIP_HU = 900.0  # only the patient's right femoral head is that dense


def picture_of(geometry: Geometry) -> np.ndarray:
    points = points_of(geometry)
    ct = ct_of(BODY, geometry)
    ct.array[np.linalg.norm(points - np.array([-60.0, -15.0, 60.0]), axis=-1) < 12] = RIGHT_HIP_HU
    probability = BODY.bladder(points)
    return preview(
        ct, Volume((probability >= 0.5).astype(np.uint8), geometry), Volume(probability, geometry), "Bladder 101 mL"
    )


def contour_of(tile: np.ndarray) -> np.ndarray:
    return (np.abs(tile.astype(int) - np.array(CONTOUR)).max(axis=-1) < 90) & (tile[..., 2] < 90)


def axial_tile(picture: np.ndarray, number: int) -> np.ndarray:
    row, column = divmod(number, AXIAL_COLUMNS)
    step = AXIAL_PX + GAP_PX
    return picture[TITLE_PX + row * step :, column * step :][:AXIAL_PX, :AXIAL_PX]


def upright_tiles(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    right = picture[TITLE_PX:, -PLANE_PX:]
    return right[:PLANE_PX], right[PLANE_PX + GAP_PX :][:PLANE_PX]


ORIENTATIONS = {
    "identity": np.eye(3),
    "flipped": np.diag([-1, -1, 1]),
    "feet first": np.diag([-1, 1, -1]),
    "coronal slices": np.eye(3)[:, [0, 2, 1]] @ np.diag([1, -1, 1]),
    "oblique": Rotation.from_euler("xyz", [12, 5, 0], degrees=True).as_matrix(),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_contour_has_the_organs_size_and_place(name: str) -> None:
    direction = tuple(tuple(float(v) for v in row) for row in ORIENTATIONS[name])
    size = (96, 60, 80) if name == "coronal slices" else (96, 80, 60)
    picture = picture_of(scan_grid(direction, size=size, spacing_mm=(3.0, 3.0, 3.5)))
    assert picture.dtype == np.uint8
    # 80 x 60 x 40 mm, and 35 mm around its longest side, in tiles of AXIAL_PX and PLANE_PX
    mm_axial, mm_upright = 150 / AXIAL_PX, 150 / PLANE_PX
    rows, columns = np.nonzero(contour_of(axial_tile(picture, 5)))
    assert np.ptp(columns) * mm_axial == pytest.approx(80, abs=6)
    assert np.ptp(rows) * mm_axial == pytest.approx(60, abs=6)
    sagittal, coronal = (np.nonzero(contour_of(tile)) for tile in upright_tiles(picture))
    assert np.ptp(sagittal[1]) * mm_upright == pytest.approx(60, abs=6)
    assert np.ptp(sagittal[0]) * mm_upright == pytest.approx(40, abs=6)
    assert np.ptp(coronal[1]) * mm_upright == pytest.approx(80, abs=6)


def test_patients_right_is_on_the_left_and_superior_is_up() -> None:
    # a bright ball right of and 40 mm above the bladder shows in the coronal plane at the top left
    picture = picture_of(scan_grid(size=(96, 80, 60), spacing_mm=(3.0, 3.0, 3.0)))
    coronal = upright_tiles(picture)[1]
    bright = ndimage.binary_opening((coronal > 250).all(axis=-1), iterations=8)
    row, column = ndimage.center_of_mass(bright)
    assert row < PLANE_PX * 0.4
    assert column < PLANE_PX * 0.3


def test_anterior_is_up_in_axial_tiles() -> None:
    geometry = scan_grid(size=(96, 80, 60), spacing_mm=(3.0, 3.0, 3.0))
    points = points_of(geometry)
    ct = ct_of(BODY, geometry)
    ct.array[np.linalg.norm((points - np.array([10.0, -60.0, 20.0]))[..., :2], axis=-1) < 10] = 1000
    probability = BODY.bladder(points)
    mask = Volume((probability >= 0.5).astype(np.uint8), geometry)
    tile = axial_tile(preview(ct, mask, Volume(probability, geometry), ""), 5)
    bright = ndimage.binary_opening((tile > 250).all(axis=-1), iterations=5)
    assert ndimage.center_of_mass(bright)[0] < AXIAL_PX * 0.3


def test_axial_tiles_lie_on_slices_from_top_to_bottom() -> None:
    grid = Geometry((9, 9, 100), (1.0, 1.0, 2.5), (0.0, 0.0, 101.0), ((1, 0, 0), (0, -1, 0), (0, 0, -1)))
    positions = axial_positions(grid, 0.0, 80.0)
    assert len(positions) == 12
    assert (np.diff(positions) < 0).all()
    steps = (np.asarray(positions) - 101.0) / 2.5
    np.testing.assert_allclose(steps, np.round(steps))
    assert len(axial_positions(grid, 11.0, 19.0)) <= 4


def test_png_is_read_back_by_others_exactly(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (37, 53, 3)).astype(np.uint8)
    write_png(picture, tmp_path / "Bild ä.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "Bild ä.png")), picture)


def test_text_is_drawn_with_letters_of_other_languages() -> None:
    plain, accented = text_opacity("Blase uber", 24), text_opacity("Blase über", 24)
    assert plain.max() > 0.9
    assert plain.shape[0] <= 24
    assert plain.shape != accented.shape or not np.array_equal(plain, accented)
