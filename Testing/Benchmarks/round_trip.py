"""Structure sets written here and by rt-utils, rasterised by plastimatch and by dcmrtstruct2nii: what comes back?

Run from the repository root: `DICOM_READERS=FOLDER .venv/bin/python Testing/Benchmarks/round_trip.py`; plastimatch must
be installed, and Testing/dicom/other_programs.py says how the environment FOLDER is made. Some minutes.

Six shapes, three spacings, axial and oblique. Truth is the source mask. "probability" rows are traced on the share of
each pixel inside the shape, whose mask is where it is at least one half; "decimated" are the same with fewer points.
Beside the two programs stand an exact rasteriser of this file (each pixel centre, even-odd, in double precision) and
the volume of the polygons themselves. Ends with code 1 where a contour of ours comes back from a program with a Dice
below 0.999 or a volume off by more than 0.1 % (0.5 % under 5 mL).
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "dicom"))

from BladderAutoContourLib.dicom.ct_series import CtSeries, read_ct
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest
from BladderAutoContourLib.dicom.structure_set import restrict, write_rtstruct
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume
from other_programs import READERS, dcmrtstruct2nii_masks, on_grid_of, plastimatch_masks, rt_utils_structure_set
from scenes import AXIAL, OBLIQUE, area_mm2
from solids import SHAPES, shares

SPACINGS_MM = ((1.0, 1.0, 3.0), (0.8, 0.8, 2.0), (1.5, 1.5, 5.0))
DIRECTIONS = {"axial": AXIAL, "oblique": OBLIQUE}
LEAST_DICE, SMALL_ML = 0.999, 5.0
NAME = "Bladder"
WRITERS = ("mask", "probability", "decimated", "rt-utils")
HEADING = (
    f"{'shape':<19}{'spacing':<12}{'':<9}{'written from':<14}{'mL':>7}{'points':>8}"
    f"{'plastimatch':>21}{'dcmrtstruct2nii':>19}{'exact':>19}{'polygons':>10}"
)
RESULT = Path(__file__).parent / "results" / "round_trip.json"


@dataclass(frozen=True)
class Row:
    """One structure set. dice and volume_error (relative, signed) by reader; polygon_error: of the contours' areas."""

    shape: str
    spacing_mm: tuple[float, float, float]
    direction: str
    writer: str
    ml: float
    points: int
    dice: dict[str, float]
    volume_error: dict[str, float]
    polygon_error: float

    @property
    def passed(self) -> bool:
        """Whether both programs give back what was asked for."""
        allowed = 0.005 if self.ml < SMALL_ML else 0.001
        return all(value >= LEAST_DICE for value in self.dice.values()) and all(
            abs(value) <= allowed for value in self.volume_error.values()
        )


def contours_mm(path: Path) -> list[np.ndarray]:
    """Every contour (n, 3) of the only structure of a file, read by pydicom alone."""
    drawn = pydicom.dcmread(path).ROIContourSequence[0]
    return [np.array(contour.ContourData, float).reshape(-1, 3) for contour in drawn.ContourSequence]


def exact(contours: list[np.ndarray], geometry: Geometry) -> np.ndarray:
    """Pixel centres (z, y, x) inside an odd number of contours of their slice, one edge after the other."""
    mask = np.zeros(geometry.shape, bool)
    to_index = np.linalg.inv(np.asarray(geometry.direction) * geometry.spacing_mm)
    y, x = np.indices(geometry.shape[1:])
    for contour in contours:
        index = (contour - geometry.origin_mm) @ to_index.T
        flips = np.zeros(geometry.shape[1:], bool)
        for (x1, y1), (x2, y2) in zip(index[:, :2], np.roll(index[:, :2], -1, axis=0), strict=True):
            if y1 != y2:
                rows = slice(max(int(np.ceil(min(y1, y2))), 0), int(np.ceil(max(y1, y2))))
                flips[rows] ^= x[rows] < x1 + (y[rows] - y1) * (x2 - x1) / (y2 - y1)
        mask[round(index[:, 2].mean())] ^= flips
    return mask


def judge(path: Path, mask: np.ndarray, ct: CtSeries, ct_folder: Path, environment: Path) -> dict:
    """What the readers make of a structure set, against its source mask."""
    geometry = ct.volume.geometry
    like = SimpleITK.GetImageFromArray(ct.volume.array)
    like.SetSpacing(geometry.spacing_mm)
    like.SetOrigin(geometry.origin_mm)
    like.SetDirection(np.asarray(geometry.direction).ravel().tolist())
    program = shutil.which("plastimatch")
    contours = contours_mm(path)
    with tempfile.TemporaryDirectory() as folder:
        by_plastimatch = plastimatch_masks(program, path, ct_folder, Path(folder) / "one")
        by_python = dcmrtstruct2nii_masks(environment, path, ct_folder, Path(folder) / "two")
    found = {
        "plastimatch": on_grid_of(by_plastimatch[NAME], like),
        "dcmrtstruct2nii": on_grid_of(by_python[NAME], like),
        "exact": exact(contours, geometry),
    }
    # A hole that is a contour of its own counts with the others here: no writer of this table makes one.
    volume = sum(map(area_mm2, contours)) * geometry.spacing_mm[2]
    return {
        "points": sum(map(len, contours)),
        "dice": {name: 2 * int((one & mask).sum()) / int(one.sum() + mask.sum()) for name, one in found.items()},
        "volume_error": {name: int(one.sum()) / int(mask.sum()) - 1 for name, one in found.items()},
        "polygon_error": volume / (mask.sum() * np.prod(geometry.spacing_mm)) - 1,
    }


@dataclass(frozen=True)
class Trip:
    """One shape on one grid: what a worker does in one go."""

    shape: str
    spacing_mm: tuple[float, float, float]
    direction: str
    environment: Path

    def rows(self) -> list[Row]:
        """The structure sets of this shape, written and judged."""
        share, grid = shares(self.shape, self.spacing_mm, DIRECTIONS[self.direction])
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_ct_series(Volume(np.zeros(grid.shape, np.int16), grid), folder / "ct")
            ct = read_ct([folder / "ct"])
            mask = share >= 0.5
            as_mask = Volume(mask.astype(np.uint8), ct.volume.geometry)
            smooth = restrict(Volume(share, ct.volume.geometry), as_mask)
            written = {writer: folder / f"{writer}.dcm" for writer in WRITERS}
            write_rtstruct(ct, as_mask, written["mask"], StructureRequest())
            write_rtstruct(ct, smooth, written["probability"], StructureRequest())
            write_rtstruct(ct, smooth, written["decimated"], StructureRequest(), decimate=True)
            rt_utils_structure_set(self.environment, {NAME: mask}, folder / "ct", written["rt-utils"])
            ml = round(float(mask.sum() * grid.voxel_ml), 3)
            return [
                Row(
                    *(self.shape, self.spacing_mm, self.direction, writer, ml),
                    **judge(path, mask, ct, folder / "ct", self.environment),
                )
                for writer, path in written.items()
            ]


def line(row: Row) -> str:
    """A row of the printed table."""
    spacing = "x".join(f"{step:g}" for step in row.spacing_mm)
    readers = "".join(f"{row.dice[name]:10.4f} {row.volume_error[name]:+8.2%}" for name in row.dice)
    failed = "" if row.passed or row.writer == "rt-utils" else "   MISSED"
    return (
        f"{row.shape:<19}{spacing:<12}{row.direction:<9}{row.writer:<14}{row.ml:7.1f}{row.points:8d}"
        f"  {readers}{row.polygon_error:+10.2%}{failed}"
    )


def store(rows: list[Row]) -> None:
    """The rows as JSON, one a line, and as the table that was printed."""
    parts = ",\n".join(json.dumps(asdict(row)) for row in rows)
    RESULT.write_text(f"[\n{parts}\n]\n", encoding="utf-8")
    RESULT.with_suffix(".txt").write_text("\n".join([HEADING, *map(line, rows)]) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shape", action="append", choices=SHAPES, help="only this shape; nothing is stored")
    parser.add_argument("--jobs", type=int, default=1, help="processes that work side by side")
    arguments = parser.parse_args()
    if READERS not in os.environ or not shutil.which("plastimatch"):
        parser.error(f"needs plastimatch, and {READERS}: see Testing/dicom/other_programs.py")
    trips = [
        Trip(shape, spacing_mm, direction, Path(os.environ[READERS]))
        for shape in arguments.shape or SHAPES
        for spacing_mm in SPACINGS_MM
        for direction in DIRECTIONS
    ]
    rows: list[Row] = []
    print(HEADING)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for found in pool.map(Trip.rows, trips):
            rows += found
            for row in found:
                print(line(row), flush=True)
    if not arguments.shape:
        store(rows)
    return 0 if all(row.passed for row in rows if row.writer != "rt-utils") else 1


if __name__ == "__main__":
    sys.exit(main())
