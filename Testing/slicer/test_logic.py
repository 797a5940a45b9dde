"""The logic without a widget: CTs of a real scene through the real engine one by one; what stays, and what goes."""

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
from BladderAutoContourLib.slicer import working_files
from BladderAutoContourLib.slicer.export.destinations import ToFolder
from BladderAutoContourLib.slicer.export.structure_set import StructureNames
from BladderAutoContourLib.slicer.logic import Job, Logic, State
from BladderAutoContourLib.slicer.process.engine_process import EngineChoice
from BladderAutoContourLib.slicer.scene.outcome import outcome_of, told_of, volume_ml
from BladderAutoContourLib.slicer.scene.segmentation import Contour, contours_of
from BladderAutoContourLib.slicer.working_files import PREFIX
from clinic import add_volume, is_alive, load_ct
from exporting import outlined_area
from small_engine import water_scene
from watching import Witness

DEADLINE_SECONDS = 120.0


@dataclass
class Desk:
    """A ticker that ticks when the test says so, and a watcher that remembers."""

    states: list[tuple[str, State]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    ends: int = 0
    tick: Callable[[], None] = lambda: None

    def start(self, callback: Callable[[], None], milliseconds: int) -> None:
        """Tick from now on."""
        assert milliseconds <= 100
        self.tick = callback

    def contour_comes(self) -> None:
        """Nothing to undo without an editor."""

    def stop(self) -> None:
        """Tick no more."""
        self.tick = lambda: None

    def job_changed(self, job: Job) -> None:
        """Remember what is new."""
        if (job.volume_id, job.state) not in self.states[-1:]:
            self.states.append((job.volume_id, job.state))
            self.shares.clear()
        self.shares.append(job.share)
        assert self.shares == sorted(self.shares), "the bar went back"
        if job.step not in self.steps[-1:]:
            self.steps.append(job.step)

    def jobs_ended(self) -> None:
        """Count."""
        self.ends += 1

    def logged(self, line: str) -> None:
        """Remember."""
        self.lines.append(line)

    def wait_until(self, reached: Callable[[], object]) -> float:
        """Tick until something is so; how long that took."""
        begun = time.monotonic()
        while not reached():
            assert time.monotonic() - begun < DEADLINE_SECONDS, (self.states, self.steps, self.lines)
            self.tick()
        return time.monotonic() - begun


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def working_folder(tmp_path):
    folder = tmp_path / "Arbeit 作業"
    folder.mkdir()
    return folder


@pytest.fixture
def logic(scene, python, desk, working_folder):
    """A logic whose engine ends with the test."""
    logic = Logic(scene, python, desk, desk, working_folder)
    yield logic
    logic.close()
    assert list(working_folder.iterdir()) == [], "something was left behind"


def nobody() -> np.ndarray:
    """A body without a bladder."""
    return water_scene(bladder=False)[0].array


def states_of(logic: Logic) -> list[State]:
    return [job.state for job in logic.jobs]


def test_several_cts_one_process_a_result_each_and_the_failure_of_one_is_its_own(
    logic, desk, scene, ct_folder, weights, working_folder
):
    ct, empty = load_ct(ct_folder), add_volume(nobody(), "No bladder")
    other = slicer.modules.volumes.logic().CloneVolume(scene, ct, "Copy")
    logic.warm(EngineChoice("cpu", weights))
    pids = set()
    logic.contour([ct, empty, other])
    logic.contour([ct])  # somebody clicks twice
    assert [job.volume_id for job in logic.jobs] == [ct.GetID(), empty.GetID(), other.GetID()]
    desk.wait_until(lambda: pids.add(logic.pid) or desk.ends)
    assert states_of(logic) == [State.DONE, State.FAILED, State.DONE]
    assert desk.ends == 1
    assert len(pids - {None}) == 1
    assert {"read", "localise", "segment", "write"} <= set(desk.steps)

    failure = logic.jobs[1].failure
    assert (failure.code, failure.kind) == (4, "no-bladder")
    assert contours_of(empty) == []
    for volume in (ct, other):
        (contour,) = contours_of(volume)
        outcome = outcome_of(contour)
        assert contour.volume is volume
        assert volume_ml(contour) == pytest.approx(outcome.volume_ml, rel=1e-3)
        assert outcome.device.startswith("CPU")
        assert outcome.model_name == "water"
    # of all files only what a later export needs is there still
    assert sorted(path.suffix for path in working_folder.iterdir()) == [".nrrd", ".nrrd"]


def test_cancel_ends_the_process_and_the_next_ct_begins_anew(
    logic, desk, scene, ct_folder, slow_weights, weights, working_folder, one_second
):
    ct, other = load_ct(ct_folder), add_volume(nobody(), "No bladder")
    nodes = scene.GetNumberOfNodes()
    logic.warm(EngineChoice("cpu", slow_weights))
    logic.contour([ct, other])
    desk.wait_until(lambda: "segment" in desk.steps)
    pid, asked = logic.pid, time.monotonic()
    logic.cancel()
    desk.wait_until(lambda: not is_alive(pid))
    assert time.monotonic() - asked <= one_second()
    desk.wait_until(lambda: desk.ends)
    assert states_of(logic) == [State.CANCELLED, State.CANCELLED]
    assert desk.ends == 1
    assert scene.GetNumberOfNodes() == nodes
    assert list(working_folder.iterdir()) == []

    logic.warm(EngineChoice("cpu", weights))
    logic.contour([ct])
    desk.wait_until(lambda: desk.ends == 2)
    assert states_of(logic) == [State.DONE]
    assert logic.pid not in (None, pid)


def test_a_ct_that_is_removed_meanwhile_is_told(logic, desk, scene, ct_folder, weights):
    ct, removed = load_ct(ct_folder), add_volume(nobody(), "No bladder")
    logic.warm(EngineChoice("cpu", weights))
    logic.contour([ct, removed])
    desk.wait_until(lambda: "localise" in desk.steps)
    scene.RemoveNode(removed)
    scene.RemoveNode(ct)
    desk.wait_until(lambda: desk.ends)
    assert states_of(logic) == [State.FAILED, State.FAILED]
    assert all("no longer" in job.failure.message for job in logic.jobs)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []


def test_the_look_and_the_export_are_of_the_contour_and_use_its_probability(logic, desk, ct_folder, weights, tmp_path):
    ct, out = load_ct(ct_folder), tmp_path / "out"
    out.mkdir()
    logic.warm(EngineChoice("cpu", weights))
    logic.contour([ct])
    desk.wait_until(lambda: desk.ends)
    contour = logic.jobs[0].contour
    look = logic.look(contour)
    assert look.generation == "AUTOMATIC"
    assert look.unopened == told_of(contour).unopened
    assert look.volume_ml == pytest.approx(volume_ml(contour))
    areas = []
    for remembered in ("file and tag", "tag", "nothing"):
        if remembered != "file and tag":
            logic._probabilities.forget_all()
        if remembered == "nothing":
            contour.segment.RemoveTag("BladderAutoContour.probability")
        areas.append(exported_area(logic, desk, contour, out))
    smooth, from_tag, stepped = areas
    assert from_tag == pytest.approx(smooth, rel=0.002)
    assert stepped != pytest.approx(smooth, rel=0.002)


def test_a_probability_whose_file_cannot_be_taken_is_no_failure(logic, desk, ct_folder, weights, tmp_path, monkeypatch):
    ct, out = load_ct(ct_folder), tmp_path / "out"
    out.mkdir()
    logic.warm(EngineChoice("cpu", weights))
    with monkeypatch.context() as scanner:
        scanner.setattr("shutil.move", held_open)
        logic.contour([ct])
        desk.wait_until(lambda: desk.ends)
    assert states_of(logic) == [State.DONE]
    contour = logic.jobs[0].contour
    assert contours_of(ct) == [contour]
    written = exported_area(logic, desk, contour, out)
    logic.contour([ct])
    desk.wait_until(lambda: desk.ends == 2)
    assert written == pytest.approx(exported_area(logic, desk, contour, out), rel=0.002)


def held_open(*_paths: object) -> None:
    """What Windows does with a file that a virus scanner reads."""
    raise PermissionError(errno.EACCES, "in use")


def exported_area(logic: Logic, desk: Desk, contour: Contour, out: Path) -> float:
    """Of all outlines of a contour, exported as a structure set; mm2."""
    witness = Witness()
    logic.export(contour, StructureNames(), ToFolder(out), witness)
    assert logic.exporting
    desk.wait_until(lambda: witness.ends)
    assert not logic.exporting
    return outlined_area(pydicom.dcmread(witness.ends[0]))


def test_close_ends_the_process_and_removes_its_files(scene, python, desk, working_folder, ct_folder, slow_weights):
    logic = Logic(scene, python, desk, desk, working_folder)
    logic.warm(EngineChoice("cpu", slow_weights))
    logic.contour([load_ct(ct_folder)])
    desk.wait_until(lambda: "segment" in desk.steps)
    pid = logic.pid
    logic.close()
    assert not is_alive(pid)
    assert list(working_folder.iterdir()) == []
    scene.Clear(0)  # nothing of the logic hears of it
    assert desk.ends == 0


def test_what_a_killed_slicer_left_is_removed_by_the_next(scene, python, desk, working_folder):
    logic = Logic(scene, python, desk, desk, working_folder)
    temporary = working_files.temporary_folder(working_folder)
    folder, file, running = Path(temporary.name), *(working_files.free_path(working_folder) for _ in range(2))
    for path in (folder / "ct.nrrd", file, running):
        path.touch()
    for path in (folder, file):
        os.utime(path, (0, 0))
    logic.close()
    Logic(scene, python, desk, desk, working_folder).close()
    assert sorted(working_folder.iterdir()) == [running]


def test_a_leftover_that_stays_keeps_no_other(scene, python, desk, working_folder, monkeypatch):
    """As a file that another program holds open on Windows."""
    held = []

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path in held or not held:
            held.append(path)
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        path.rename(path.parent.parent / f"gone-{path.name}")

    for path in [working_files.free_path(working_folder) for _ in range(3)]:
        path.touch()
        os.utime(path, (0, 0))
    with monkeypatch.context() as system:
        system.setattr(Path, "unlink", unlink)
        Logic(scene, python, desk, desk, working_folder).close()
    assert list(working_folder.iterdir()) == held


def test_what_is_only_called_like_a_leftover_is_somebodys_own(scene, python, desk, working_folder):
    folders = ("BladderAutoContour-main", f"{PREFIX}backup", f"{PREFIX}Patient7", f"{PREFIX}0123456789ab.nrrd")
    files = ("BladderAutoContour-patient7.mrb", f"{PREFIX}a1b2c3d4", f"{PREFIX}0123456789ab.mrb", f"{PREFIX}notes.nrrd")
    for name in folders:
        (working_folder / name).mkdir()
        (working_folder / name / "IM0001.dcm").touch()
    for name in files:
        (working_folder / name).touch()
    for path in working_folder.rglob("*"):
        os.utime(path, (0, 0))
    Logic(scene, python, desk, desk, working_folder).close()
    assert {path.name for path in working_folder.iterdir()} == {*folders, *files}
    assert [len(list((working_folder / name).iterdir())) for name in folders] == [1] * len(folders)
