"""What every room's tests share: the outside judges, a small engine with its CTs, the length of a second.

`small_engine` is imported where it is used: torch comes with it, and most tests do without.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

# A shell that starts this suite in the background has it ignore Ctrl-C, and so would every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def absent(sentence: str) -> NoReturn:
    """A judge is not there: the test is skipped; in continuous integration, which installs them all, it fails."""
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture
def judge() -> Callable[[str], str]:
    """Path of an outside program that judges what we write, such as `judge("dciodvfy")`."""

    def find(program: str) -> str:
        path = shutil.which(program)
        return path or absent(
            f"The program {program} is not installed; .ci/run names the packages that hold the judges."
        )

    return find


@pytest.fixture
def dciodvfy_errors(judge: Callable[[str], str]) -> Callable[[Path], list[str]]:
    """What dciodvfy calls an Error in a file."""
    program = judge("dciodvfy")

    def ask(path: Path) -> list[str]:
        run = subprocess.run([program, str(path)], capture_output=True, text=True, errors="replace", check=False)
        said = (run.stdout + run.stderr).splitlines()
        assert said, "dciodvfy did not even name the object"
        return [line for line in said if line.startswith("Error")]

    return ask


@pytest.fixture(scope="session")
def readers() -> Path:
    """The environment of dcmrtstruct2nii and rt-utils, which need another pydicom than ours."""
    from other_programs import READERS

    folder = os.environ.get(READERS)
    if not folder:
        absent(f"{READERS} names no environment of these two; Testing/dicom/other_programs.py says how to make it.")
    return Path(folder)


@pytest.fixture
def one_second() -> Callable[[], float]:
    """How long a second may be now, the machine's pace before the test and after it considered; 1.3 where it is idle.

    The promise "within a second" is about this program, not about a machine that others keep busy.
    """

    def pace() -> float:
        begun, worked = time.monotonic(), time.process_time()
        while time.process_time() - worked < 0.1:
            sum(range(1000))
        return max((time.monotonic() - begun) / 0.1, 1.0)

    before = pace()
    return lambda: max(before, pace()) + 0.3


@pytest.fixture(scope="session")
def truth() -> np.ndarray:
    """Where the bladder of the analytic scene is, (z, y, x)."""
    from small_engine import water_scene

    return water_scene()[1]


@pytest.fixture(scope="session")
def ct_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene as a DICOM series; its folder's name has a space and letters beyond ASCII."""
    from small_engine import write_water_series

    return write_water_series(tmp_path_factory.mktemp("série") / "Röntgen 膀胱 pelvis")


@pytest.fixture(scope="session")
def long_ct_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A series of so many slices that reading them takes a while."""
    from small_engine import write_water_series

    return write_water_series(tmp_path_factory.mktemp("long"), slices=600, seed=7)


@pytest.fixture(scope="session")
def ct_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene as a NRRD file."""
    from small_engine import write_water_volume

    return write_water_volume(tmp_path_factory.mktemp("volume") / "Becken ü.nrrd")


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks that call water bladder, saved as weights."""
    from small_engine import save_water_weights

    return save_water_weights(tmp_path_factory.mktemp("weights") / "water.pt", crop=32, spacing_mm=4.0)


@pytest.fixture(scope="session")
def slow_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same on so fine a grid that segmenting takes many seconds."""
    from small_engine import save_water_weights

    return save_water_weights(tmp_path_factory.mktemp("slow weights") / "slow.pt", crop=224, spacing_mm=0.6)
