"""A CT series that many tests only read, the judges' verdicts, and the program as a process."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from BladderAutoContourLib.dicom.ct_series import CtSeries, read_ct
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest
from BladderAutoContourLib.dicom.structure_set import write_rtstruct
from full_disk import full_disk
from scenes import SHAPES, mask_volume, write_series

__all__ = ["full_disk"]


@dataclass(frozen=True)
class Series:
    """A series on disk, and as it was read."""

    folder: Path
    files: list[Path]
    ct: CtSeries


@pytest.fixture(scope="session")
def series(tmp_path_factory: pytest.TempPathFactory) -> Series:
    """An axial textured series. Not to be changed."""
    folder = tmp_path_factory.mktemp("series")
    files = write_series(folder, seed=1)
    return Series(folder, files, read_ct([folder]))


@pytest.fixture
def structure_set(series: Series, tmp_path: Path) -> Path:
    """A structure set of the series, to be changed at will."""
    geometry = series.ct.volume.geometry
    path = tmp_path / "RTSTRUCT.dcm"
    write_rtstruct(series.ct, mask_volume(SHAPES["shell"](geometry), geometry), path, StructureRequest())
    return path


@pytest.fixture
def dcentvfy_says(judge: Callable[[str], str]) -> Callable[[Sequence[Path]], str]:
    """What dcentvfy finds to differ between files of one patient and study."""
    program = judge("dcentvfy")

    def ask(paths: Sequence[Path]) -> str:
        run = subprocess.run([program, *map(str, paths)], capture_output=True, text=True, errors="replace", check=False)
        return (run.stdout + run.stderr).strip()

    return ask


@pytest.fixture
def plastimatch_mask(judge: Callable[[str], str], tmp_path: Path) -> Callable[[Path, Path, str], np.ndarray]:
    """A structure as plastimatch fills it on the grid of the CT: bool (z, y, x) in plastimatch's order of slices."""
    program = judge("plastimatch")

    def ask(structure_set: Path, ct_folder: Path, name: str) -> SimpleITK.Image:
        folder = tmp_path / "plastimatch"
        run = subprocess.run(
            [program, "convert", "--input", str(structure_set), "--referenced-ct", str(ct_folder), "--xor-contours",
             "--output-prefix", str(folder), "--prefix-format", "nrrd"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (folder / f"{name}.nrrd").exists(), run.stdout + run.stderr
        return SimpleITK.ReadImage(str(folder / f"{name}.nrrd"))

    return ask


@dataclass(frozen=True)
class Outcome:
    """What a finished process left."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """Lines of standard output that are no events."""
        return [line for line in self.stdout.splitlines() if not line.startswith("{")]


@pytest.fixture
def program() -> Callable[..., Outcome]:
    """Run a command of the program as a process."""

    def run(*arguments: object) -> Outcome:
        command = [sys.executable, "-m", "BladderAutoContourLib", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run
