"""What export tests share: a contour on a CT from DICOM, somebody who hears of an export, a reader that is not ours.

conftest.py hands its fixtures to the tests.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.slicer.export.structure_set import StructureSetExport
from BladderAutoContourLib.slicer.process.engine_process import EngineProcess
from BladderAutoContourLib.slicer.process.messages import Failure
from BladderAutoContourLib.slicer.scene.segmentation import Contour, show_result
from ct_scene import Editor, drawn, grid, texture
from standin.dicom import import_dicom, load_series

PATIENT_NAME, PATIENT_ID = "Müller^Jürgen=山田^太郎", "Größe-4711"
PATIENT_WORDS = ("Müller", "Jürgen", "山田", "太郎", "4711")
DEADLINE_SECONDS = 300.0


@dataclass
class Ear:
    """Hears of one request."""

    file: Path | None = None
    failure: Failure | None = None
    finishes: int = 0
    steps: list[str] = field(default_factory=list)

    def progressed(self, step: str, fraction: float, seconds_left: float | None) -> None:
        self.steps.append(step)

    def finished(self, file: Path | None) -> None:
        self.file = file
        self.finishes += 1

    def failed(self, failure: Failure) -> None:
        self.failure = failure
        self.finishes += 1

    @property
    def written(self) -> pydicom.Dataset:
        """The file that the export told of."""
        assert self.failure is None
        return pydicom.dcmread(self.file)

    def wait(self, export: StructureSetExport) -> "Ear":
        """Until the request has ended, once."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not self.finishes:
            export.poll()
            assert time.monotonic() < deadline, "the export never ended"
        export.poll()
        assert self.finishes == 1
        return self


def ellipsoid(
    geometry: Geometry, centre: tuple[float, ...] = (9, 17, 19), radii: tuple[float, ...] = (4, 9, 11)
) -> np.ndarray:
    """A solid organ, (z, y, x) of zeros and ones; centre and radii in voxels."""
    offsets = [
        (index - middle) / radius
        for index, middle, radius in zip(np.indices(geometry.shape), centre, radii, strict=True)
    ]
    return (sum(offset**2 for offset in offsets) <= 1).astype(np.uint8)


def contour_from_dicom(
    folder: Path, mask: np.ndarray | None = None, header: Mapping[str, str] | None = None
) -> tuple[Contour, list[Path]]:
    """A contour of the engine's on a CT that was imported and loaded as Slicer does; and the CT's files.

    header: what the files hold instead of what they would.
    """
    geometry = grid()
    files = write_ct_series(
        texture(geometry),
        folder / "ct 膀胱",
        patient_name=PATIENT_NAME,
        patient_id=PATIENT_ID,
        character_set="ISO_IR 192",
    )
    for file in files if header else ():
        image = pydicom.dcmread(file)
        image.update(header)
        image.save_as(file)
    import_dicom(str(folder / "ct 膀胱"))
    series_uid = pydicom.dcmread(files[0]).SeriesInstanceUID
    ct = load_series(series_uid)
    mask = ellipsoid(geometry) if mask is None else mask
    return show_result(ct, drawn(mask, geometry, folder / "result", series_uid=series_uid)), files


@pytest.fixture(scope="session")
def warm_engine() -> Iterator[EngineProcess]:
    """One warm engine for every test that can share it; `warm_engine.lines` is what it logged."""
    lines: list[str] = []
    engine = EngineProcess(Path(sys.executable), lines.append)
    engine.lines = lines
    yield engine
    engine.close()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The working folder."""
    folder = tmp_path / "Arbeit ü"
    folder.mkdir()
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the user wants the file."""
    folder = tmp_path / "Export für Strahlentherapie"
    folder.mkdir()
    return folder


@pytest.fixture
def export(warm_engine: EngineProcess, work: Path) -> StructureSetExport:
    """What is tested."""
    return StructureSetExport(warm_engine, work)


@pytest.fixture
def dicom_contour(scene: slicer.vtkMRMLScene, tmp_path: Path) -> tuple[Contour, list[Path]]:
    """A contour that nobody edited, on a CT from DICOM, and the CT's files."""
    return contour_from_dicom(tmp_path)


@pytest.fixture
def contour(dicom_contour: tuple[Contour, list[Path]]) -> Contour:
    """The contour alone."""
    return dicom_contour[0]


def paint(contour: Contour) -> None:
    """A clinician's stroke."""
    stroke = np.zeros_like(voxels(contour))
    stroke[4:7, 3:9, 5:9] = True
    Editor(contour.segmentation, contour.volume).paint(contour.segment_id, stroke)


def voxels(contour: Contour) -> np.ndarray:
    """The segment as it stands, bool (k, j, i) on its CT's grid."""
    return slicer.util.arrayFromSegmentBinaryLabelmap(contour.segmentation, contour.segment_id, contour.volume) > 0


def filled(dataset: pydicom.Dataset, ct_files: list[Path]) -> np.ndarray:
    """The structure's contours filled at pixel centres by the even-odd rule, slice by slice as they refer to the CT."""
    headers = {}
    for file in ct_files:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        headers[header.SOPInstanceUID] = header
    order = sorted(headers, key=lambda uid: float(headers[uid].ImagePositionPatient[2]))
    first = headers[order[0]]
    inside = np.zeros((len(order), first.Rows, first.Columns), bool)
    for contour in dataset.ROIContourSequence[0].get("ContourSequence", ()):
        uid = contour.ContourImageSequence[0].ReferencedSOPInstanceUID
        header = headers[uid]
        points = np.array(contour.ContourData, float).reshape(-1, 3) - np.array(header.ImagePositionPatient, float)
        assert np.abs(points[:, 2]).max() < 1e-3
        row_step, column_step = map(float, header.PixelSpacing)
        inside[order.index(uid)] ^= _even_odd(points[:, :2] / (column_step, row_step), first.Rows, first.Columns)
    return inside


def _even_odd(polygon: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Whether pixel centres lie inside a closed polygon of (column, row) points."""
    y, x = np.mgrid[:rows, :columns]
    inside = np.zeros((rows, columns), bool)
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y1 != y2:
            crosses = (y1 > y) != (y2 > y)
            inside ^= crosses & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice coefficient."""
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def outlined_area(dataset: pydicom.Dataset) -> float:
    """The area within all outlines of a structure set's first structure; mm2."""
    area = 0.0
    for outline in dataset.ROIContourSequence[0].ContourSequence:
        x, y, _z = np.reshape(outline.ContourData, (-1, 3)).astype(float).T
        area += abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2
    return area
