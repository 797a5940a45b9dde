"""The program from outside: real processes, real CT files, and weights small enough to make in a second.

The weights are built, not trained: networks that call every voxel of water's density bladder. On the analytic scene
(fat, bone, one water-filled ellipsoid) they are right, so that a run goes through all steps to a true contour.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from BladderAutoContourLib import host
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.imaging.files import write_volume
from BladderAutoContourLib.imaging.geometry import patient_grid
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.networks.plan import DecisionPlan, IntensityPlan, NetworkPlan, Plan, StagePlan
from BladderAutoContourLib.networks.vnet import VNet
from BladderAutoContourLib.networks.weights import build_networks, save_weights

PROGRAM = [sys.executable, "-m", "BladderAutoContourLib"]
WATER_HU = 10.0
CENTRE_MM = np.array([8.0, -12.0, -6.0])
RADII_MM = np.array([34.0, 28.0, 30.0])


@dataclass(frozen=True)
class Outcome:
    """What a finished process left: exit code, standard output and error."""

    code: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.startswith("{")]

    def failed_with(self, code: int, kind: str, *words: str) -> dict[str, Any]:
        """Check that the command failed as its users are promised; returns the error object."""
        assert self.code == code, (self.code, self.stdout, self.stderr)
        assert "Traceback" not in self.stderr, self.stderr
        error = json.loads(self.stdout.splitlines()[-1])["error"]
        assert (error["code"], error["kind"]) == (code, kind)
        assert error["message"] in self.stderr
        assert error["message"].rstrip().endswith((".", "`")), error["message"]
        for word in words:
            assert word in error["message"], (word, error["message"])
        return error


@dataclass
class Session:
    """A running process whose lines are read as they come."""

    process: subprocess.Popen

    def __post_init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, **request: Any) -> None:
        """Write one request."""
        self.send_line(json.dumps(request))

    def send_line(self, line: str) -> None:
        """Write one line, whatever it holds."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait_for(self, seconds: float = 60.0, **fields: Any) -> dict[str, Any]:
        """The first event that has these fields (name="error" matches any error object)."""
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                for event in self.events:
                    if all(key in event and value in (event[key], ...) for key, value in fields.items()):
                        return event
                left = deadline - time.monotonic()
                assert left > 0, (fields, self.events)
                assert self.process.poll() is None or self._reader.is_alive(), (fields, self.events)
                self._news.wait(min(left, 0.1))

    def end(self, seconds: float = 30.0) -> int:
        """Wait for the process; its exit code."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self.events.append(json.loads(line))
                self._news.notify_all()


@pytest.fixture(scope="session")
def run() -> Callable[..., Outcome]:
    """Run a command to its end."""

    def run_command(*arguments: str | Path, **options: Any) -> Outcome:
        words = [*PROGRAM, *map(str, arguments)]
        done = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=180, check=False, **options)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run_command


@pytest.fixture
def start() -> Iterator[Callable[..., Session]]:
    """Start a command and talk with it; what still runs at the end of the test is ended."""
    sessions: list[Session] = []

    def start_command(*arguments: str | Path) -> Session:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        process = host.popen_group([*PROGRAM, *arguments], encoding="utf-8", **pipes)
        sessions.append(Session(process))
        return sessions[-1]

    yield start_command
    for session in sessions:
        host.end_process_tree(session.process)


@pytest.fixture
def one_second() -> Callable[[], float]:
    """How long now takes what an idle machine does in a second: 1.0 where nothing else runs.

    The promise "within a second" is about this program, not about a machine that others keep busy.
    """

    def measure() -> float:
        begun, worked = time.monotonic(), time.process_time()
        while time.process_time() - worked < 0.1:
            sum(range(1000))
        return max((time.monotonic() - begun) / 0.1, 1.0) + 0.05

    return measure


Scene = Callable[..., Volume]


@pytest.fixture(scope="session")
def scene() -> Scene:
    """Makes the analytic CT: `scene(slices=40, bladder=True)`."""
    return lambda slices=40, bladder=True: _scene(slices, bladder)[0]


def _scene(slices: int = 40, bladder: bool = True) -> tuple[Volume, np.ndarray]:
    """A cylinder of fat with two bones and a water-filled ellipsoid, in HU, and where the ellipsoid is."""
    geometry = patient_grid((0.0, 0.0, 0.0), (4.0, 4.0, 5.0), (64, 64, slices))
    z, y, x = np.indices(geometry.shape)
    points_mm = geometry.to_patient(np.stack([x, y, z], axis=-1))
    inside = (((points_mm - CENTRE_MM) / RADII_MM) ** 2).sum(axis=-1) <= 1.0
    hu = np.full(geometry.shape, -1000.0, dtype=np.float32)
    hu[np.hypot(points_mm[..., 0], points_mm[..., 1]) < 105] = -100.0
    for side in (-1, 1):
        hu[np.hypot(points_mm[..., 0] - 80 * side, points_mm[..., 1]) < 12] = 700.0
    if bladder:
        hu[inside] = WATER_HU
    return Volume(hu.astype(np.int16), geometry), inside


@pytest.fixture(scope="session")
def truth() -> np.ndarray:
    """Where the bladder of the scene is, (z, y, x)."""
    return _scene()[1]


@pytest.fixture(scope="session")
def ct_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene as a DICOM series; its folder's name has a space and letters beyond ASCII."""
    folder = tmp_path_factory.mktemp("série") / "Röntgen 膀胱 pelvis"
    write_ct_series(_scene()[0], folder)
    return folder


@pytest.fixture(scope="session")
def ct_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene as a NRRD file."""
    path = tmp_path_factory.mktemp("volume") / "Becken ü.nrrd"
    write_volume(_scene()[0], path)
    return path


@pytest.fixture(scope="session")
def long_ct_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A series of so many slices that reading them takes a while."""
    folder = tmp_path_factory.mktemp("long")
    write_ct_series(_scene(slices=600)[0], folder, seed=7)
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks that call water bladder, saved as weights."""
    return _save_water_weights(tmp_path_factory.mktemp("weights") / "water.pt", crop=32, spacing_mm=4.0)


@pytest.fixture(scope="session")
def slow_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same on so fine a grid that segmenting takes many seconds."""
    return _save_water_weights(tmp_path_factory.mktemp("slow weights") / "slow.pt", crop=224, spacing_mm=0.6)


@pytest.fixture(scope="session")
def huge_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same on a grid that takes gigabytes."""
    return _save_water_weights(tmp_path_factory.mktemp("huge weights") / "huge.pt", crop=640, spacing_mm=0.2)


def _save_water_weights(path: Path, crop: int, spacing_mm: float) -> Path:
    intensity = IntensityPlan(density_centre_hu=WATER_HU, density_width_hu=30.0)
    network = NetworkPlan(width=2, normalisation="none")
    plan = Plan(
        name=path.stem,
        localiser=StagePlan((8.0, 8.0, 8.0), (32, 32, 32), intensity, network),
        segmenter=StagePlan((spacing_mm,) * 3, (crop,) * 3, intensity, network),
        decision=DecisionPlan(minimum_confidence=0.3),
    )
    networks = build_networks(plan)
    for vnet in (networks.localiser, networks.segmenter):
        _see_water(vnet)
    save_weights(networks, path)
    return path


def _see_water(vnet: VNet) -> None:
    """Carry the density channel through the first skip, and score 20 (density - 1/2)."""
    with torch.no_grad():
        for parameter in vnet.parameters():
            parameter.zero_()
        vnet.entry.activation.weight.fill_(1.0)
        vnet.right[-1].activations[-1].weight.fill_(1.0)
        mix, _, score = vnet.head
        skip_of_density = vnet.right[-1].convolutions[-1][0].in_channels - 1
        mix[0].weight[1, skip_of_density, 1, 1, 1] = 1.0
        mix[1].weight.fill_(1.0)
        score.weight[1, 1] = 20.0
        score.bias[1] = -10.0
