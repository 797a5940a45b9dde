"""The picture of a result: axial slices with the contour, one sagittal and one coronal plane.

The planes are the patient's, not the scanner's, seen as a radiologist does: patient's right on the left, anterior and
superior up, square pixels.
"""

from dataclasses import dataclass

import numpy as np

from ..imaging.components import bounding_box
from ..imaging.geometry import Geometry
from ..imaging.resample import resample_to
from ..imaging.volume import Volume
from ..networks.channels import AIR_HU
from .lettering import Colour, blend, draw_text

WINDOW_HU = (-160.0, 240.0)
AXIAL_COLUMNS, AXIAL_ROWS = 4, 3
AXIAL_PX = 320
PLANE_PX = AXIAL_PX * AXIAL_ROWS // 2
GAP_PX = 2
TITLE_PX = 44
MARGIN_MM = 35.0
SMALLEST_VIEW_MM = 140.0
SCALE_MM = 50
FINENESS = 2  # contours are drawn on a grid this many times finer, then averaged

CONTOUR = (255, 196, 0)
LETTERS = (235, 235, 235)
QUIET = (175, 175, 175)

AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))  # columns to the left, rows to posterior
CORONAL = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))  # columns to the left, rows to inferior
SAGITTAL = ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))  # columns to posterior, rows to inferior
_SIDES = {AXIAL: ("R", "L", "A", "P"), CORONAL: ("R", "L", "S", "I"), SAGITTAL: ("A", "P", "S", "I")}


@dataclass(frozen=True)
class _View:
    """What a tile shows: the middle of the bladder and how many millimetres around it."""

    centre_mm: np.ndarray
    lower_mm: np.ndarray
    upper_mm: np.ndarray

    @property
    def in_plane_mm(self) -> float:
        return max(float((self.upper_mm - self.lower_mm)[:2].max()) + 2 * MARGIN_MM, SMALLEST_VIEW_MM)

    @property
    def upright_mm(self) -> float:
        return max(float((self.upper_mm - self.lower_mm).max()) + 2 * MARGIN_MM, SMALLEST_VIEW_MM)


def preview(ct: Volume, mask: Volume, probability: Volume, title: str) -> np.ndarray:
    """The picture, RGB uint8 (rows, columns, 3). `mask` must not be empty; contours are `probability` at 0.5."""
    view = _view(mask)
    width = AXIAL_COLUMNS * (AXIAL_PX + GAP_PX) + PLANE_PX
    height = TITLE_PX + AXIAL_ROWS * (AXIAL_PX + GAP_PX)
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    draw_text(picture, title, 11, 12, 26, LETTERS)
    middle = (view.lower_mm + view.upper_mm) / 2
    for number, z in enumerate(axial_positions(mask.geometry, view.lower_mm[2], view.upper_mm[2])):
        tile = section(ct, probability, AXIAL, np.array([middle[0], middle[1], z]), view.in_plane_mm, AXIAL_PX)
        draw_text(tile, f"z {z:+.1f} mm", 6, 8, 17, LETTERS)
        row, column = divmod(number, AXIAL_COLUMNS)
        _place(picture, tile, TITLE_PX + row * (AXIAL_PX + GAP_PX), column * (AXIAL_PX + GAP_PX))
    for number, (name, axes) in enumerate((("sagittal", SAGITTAL), ("coronal", CORONAL))):
        centre = middle.copy()
        fixed = 0 if axes == SAGITTAL else 1
        centre[fixed] = view.centre_mm[fixed]
        tile = section(ct, probability, axes, centre, view.upright_mm, PLANE_PX)
        draw_text(tile, f"{name}, {'xy'[fixed]} {centre[fixed]:+.1f} mm", 8, 10, 19, LETTERS)
        _place(picture, tile, TITLE_PX + number * (PLANE_PX + GAP_PX), width - PLANE_PX)
    return picture


def axial_positions(grid: Geometry, lowest_mm: float, highest_mm: float) -> list[float]:
    """Where axial tiles lie (z in LPS mm, superior first): on the CT's own slices where those are axial."""
    count = AXIAL_COLUMNS * AXIAL_ROWS
    slice_axis = grid.matrix[:3, 2]
    thickness = abs(float(slice_axis[2]))
    inset = min(thickness, highest_mm - lowest_mm) / 2
    wanted = np.linspace(highest_mm - inset, lowest_mm + inset, count)
    if thickness < 0.999 * grid.spacing_mm[2]:
        return [float(z) for z in wanted]
    numbers = np.unique(np.round((wanted - grid.origin_mm[2]) / slice_axis[2]).astype(int))
    return sorted((float(grid.origin_mm[2] + slice_axis[2] * number) for number in numbers), reverse=True)


def _view(mask: Volume) -> _View:
    box = bounding_box(mask.array)
    part = mask.array[box] > 0
    start = np.array([side.start for side in reversed(box)])
    index = np.array([axis.mean() for axis in reversed(np.nonzero(part))]) + start
    region = mask.geometry.region(tuple(start.tolist()), part.shape[::-1])
    return _View(mask.geometry.to_patient(index), *region.bounds_mm())


def section(
    ct: Volume,
    inside: Volume | None,
    axes: tuple,
    centre_mm: np.ndarray,
    side_mm: float,
    side_px: int,
    colour: Colour = CONTOUR,
) -> np.ndarray:
    """A square of the plane `axes` (AXIAL, CORONAL or SAGITTAL) about `centre_mm`, with the contour of `inside` at 0.5.

    RGB uint8 (side_px, side_px, 3); `inside` is a probability or a mask on any grid.
    """
    low, high = WINDOW_HU
    hu = resample_to(ct, _plane(centre_mm, axes, side_mm, side_px), fill=AIR_HU, antialias=False).array[0]
    grey = ((np.clip(hu, low, high) - low) / (high - low) * 255).astype(np.uint8)
    tile = np.repeat(grey[..., None], 3, axis=2)
    if inside is not None:
        plane = _plane(centre_mm, axes, side_mm, side_px * FINENESS)
        blend(tile, _outline(resample_to(inside, plane, fill=0.0, antialias=False).array[0] >= 0.5), colour)
    _draw_sides(tile, _SIDES[axes])
    _draw_scale(tile, side_mm)
    return tile


def _plane(centre_mm: np.ndarray, axes: tuple, side_mm: float, side_px: int) -> Geometry:
    """A square plane of `side_px` pixels through `centre_mm`; one voxel thick."""
    step = side_mm / side_px
    grid = Geometry((side_px, side_px, 1), (step, step, step), (0.0, 0.0, 0.0), axes)
    return Geometry(grid.size, grid.spacing_mm, tuple(map(float, centre_mm - grid.centre_mm)), axes)


def _outline(inside: np.ndarray) -> np.ndarray:
    """Opacity of a line around `inside`, which is FINENESS times finer."""
    outer, inner = inside.copy(), inside.copy()
    for axis in (0, 1):
        for step in (1, -1):
            moved = np.roll(inside, step, axis=axis)
            outer |= moved
            inner &= moved
    line = outer & ~inner
    rows, columns = (size // FINENESS for size in line.shape)
    share = line.reshape(rows, FINENESS, columns, FINENESS).mean(axis=(1, 3))
    return np.minimum(1.5 * share, 1.0)


def _draw_sides(tile: np.ndarray, sides: tuple[str, str, str, str]) -> None:
    side = tile.shape[0]
    left, right, top, bottom = sides
    half = side // 2
    for letter, row, column in (
        (left, half, 5),
        (right, half, side - 17),
        (top, 6, half + 40 if side == AXIAL_PX else half),
        (bottom, side - 20, half),
    ):
        draw_text(tile, letter, row, column, 15, QUIET)


def _draw_scale(tile: np.ndarray, side_mm: float) -> None:
    side = tile.shape[0]
    length = round(SCALE_MM / side_mm * side)
    tile[side - 10 : side - 6, 7 : 9 + length] = 0
    tile[side - 9 : side - 7, 8 : 8 + length] = QUIET
    draw_text(tile, f"{SCALE_MM} mm", side - 26, 8, 13, QUIET)


def _place(picture: np.ndarray, tile: np.ndarray, row: int, column: int) -> None:
    picture[row : row + tile.shape[0], column : column + tile.shape[1]] = tile
