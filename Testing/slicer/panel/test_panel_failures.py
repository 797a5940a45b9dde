"""What goes wrong is said in the panel, with what to do about it; the scene is as it was, and the next try works."""

import os
import signal
import sys
import time

import pytest
import slicer
from BladderAutoContourLib.slicer.panel import settings
from BladderAutoContourLib.slicer.scene.segmentation import contours_of
from BladderAutoContourLib.slicer.working_files import PREFIX
from clinic import Clinician, add_volume, is_alive, load_ct, show
from small_engine import save_water_weights, water_scene

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


def nodes() -> list[str]:
    """The images and contours that the scene holds."""
    kinds = ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode")
    return [node.GetID() for kind in kinds for node in slicer.util.getNodesByClass(kind)]


@pytest.fixture
def open_module(app, ct_folder):
    """Opens the module for a user who has loaded a CT: `clinician, ct = open_module(device, weights, folder)`."""
    users: list[Clinician] = []

    def open_it(*choices: object) -> tuple[Clinician, slicer.vtkMRMLScalarVolumeNode]:
        settings.save(settings.Settings(*choices))
        users.append(Clinician())
        users[-1].open()
        ct = load_ct(ct_folder)
        users[-1].settle()
        return users[-1], ct

    yield open_it
    for user in users:
        user.close()


def expect_told(clinician: Clinician, before: list[str], *words: str) -> None:
    """The panel says what failed, in sentences; nothing else has changed."""
    ui = clinician.ui
    assert ui.messageLabel.isVisible()
    for word in words:
        assert word in ui.messageLabel.text
    assert ui.messageLabel.text.endswith((".", "!"))
    assert clinician.cell("ctTable", 0, 1).text() == "failed"
    assert clinician.cell("ctTable", 0, 1).toolTip() in ui.messageLabel.text
    assert ui.contourButton.isVisible()
    assert ui.contourButton.enabled
    assert not ui.resultSection.isVisible()
    assert nodes() == before


@posix
def test_an_engine_that_is_killed(open_module, slow_weights, weights):
    clinician, ct = open_module("cpu", slow_weights)
    before = nodes()
    clinician.ui.contourButton.click()
    clinician.wait_for_step("Drawing the contour")
    os.kill(clinician.panel.logic.pid, signal.SIGKILL)
    clinician.wait_for_result()
    expect_told(clinician, before, "The system ended the contouring", "Close other programs")

    clinician.ui.weightsEdit.currentPath = str(weights)
    clinician.wait_until(lambda: clinician.ui.weightsStateLabel.text == "These weights are used.")
    clinician.contour()
    assert not clinician.ui.messageLabel.isVisible()
    assert len(contours_of(ct)) == 1


@posix
def test_cancel_leaves_no_process_and_no_trace(open_module, slow_weights, one_second):
    clinician, ct = open_module("cpu", slow_weights)
    before, ui = nodes(), clinician.ui
    ui.contourButton.click()
    clinician.wait_for_step("Drawing the contour")
    pid, asked = clinician.panel.logic.pid, time.monotonic()
    ui.cancelButton.click()
    clinician.wait_until(lambda: not is_alive(pid))
    assert time.monotonic() - asked <= one_second()
    clinician.wait_for_result()
    assert clinician.cell("ctTable", 0, 1).text() == "cancelled"
    assert not ui.messageLabel.isVisible()
    assert ui.contourButton.enabled
    assert not ui.cancelButton.isVisible()
    assert contours_of(ct) == []
    assert nodes() == before
    assert not list(clinician.panel.logic.working_folder.glob(f"{PREFIX}*"))


@posix
def test_a_scene_that_is_closed_in_the_middle(open_module, slow_weights, ct_folder):
    clinician, _ct = open_module("cpu", slow_weights)
    ui = clinician.ui
    ui.contourButton.click()
    clinician.wait_for_step("Drawing the contour")
    pid = clinician.panel.logic.pid
    slicer.mrmlScene.Clear(0)
    clinician.wait_until(lambda: not is_alive(pid))
    clinician.settle()
    assert ui.noCtLabel.isVisible()
    assert not ui.contourButton.enabled
    assert ui.contourButton.isVisible()
    assert not ui.messageLabel.isVisible()
    assert nodes() == []
    load_ct(ct_folder)  # gets the ID that the other one had
    clinician.settle()
    assert clinician.cell("ctTable", 0, 1).text() == ""
    assert ui.contourButton.enabled


def test_a_bladder_that_is_not_there(open_module, weights):
    clinician, ct = open_module("cpu", weights)
    slicer.mrmlScene.RemoveNode(ct)
    show(add_volume(water_scene(bladder=False)[0].array, "Empty"))
    clinician.settle()
    before = nodes()
    clinician.contour()
    expect_told(clinician, before, "No bladder was found", "draw the bladder yourself")
    assert clinician.ui.beginButton.isVisible()


def test_of_two_cts_one_fails_and_the_other_is_done(open_module, weights):
    clinician, ct = open_module("cpu", weights)
    add_volume(water_scene(bladder=False)[0].array, "Empty")
    clinician.settle()
    clinician.tick_all()
    clinician.ui.contourButton.click()
    clinician.wait_until(lambda: "CT 2 of 2" in clinician.ui.stepLabel.text)
    clinician.wait_for_result()
    assert clinician.ui.messageLabel.text.startswith("Empty: No bladder was found")
    assert [clinician.cell("ctTable", row, 1).text()[-2:] for row in (0, 1)] == ["mL", "ed"]
    assert len(contours_of(ct)) == 1
    assert clinician.ui.resultSection.isVisible()


def test_what_failed_says_which_ct_it_was_where_there_are_others(open_module, weights):
    clinician, ct = open_module("cpu", weights)
    slicer.mrmlScene.RemoveNode(ct)
    empty = show(add_volume(water_scene(bladder=False)[0].array, "Empty"))
    clinician.settle()
    clinician.contour()
    said = clinician.ui.messageLabel.text
    assert said.startswith("No bladder was found in this CT")
    other = add_volume(water_scene()[0].array, "Another patient")
    clinician.settle()
    assert clinician.ui.messageLabel.text == f"Empty: {said}"
    show(other)
    clinician.settle()
    assert clinician.ui.messageLabel.text == f"Empty: {said}", "this CT has a bladder"
    slicer.mrmlScene.RemoveNode(other)
    clinician.settle()
    assert clinician.ui.messageLabel.text == said
    add_volume(water_scene()[0].array, "Another patient")
    slicer.mrmlScene.RemoveNode(empty)
    clinician.settle()
    assert clinician.ui.messageLabel.text == f"Empty: {said}"

    clinician.tick_all()
    clinician.contour()
    assert not clinician.ui.messageLabel.isVisible()


def test_of_two_cts_the_only_one_that_was_contoured_is_named(open_module, weights):
    clinician, ct = open_module("cpu", weights)
    show(add_volume(water_scene(bladder=False)[0].array, "Empty"))
    clinician.settle()
    clinician.contour()
    assert clinician.ui.messageLabel.text.startswith("Empty: No bladder was found")
    assert contours_of(ct) == []


def test_packages_that_are_missing(open_module, tmp_path, monkeypatch):
    broken = tmp_path / "packages" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ModuleNotFoundError('No module named torch', name='torch')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    _expect_failure(open_module(), "PyTorch", "missing or broken", "Install PyTorch")


def test_a_graphics_card_that_is_not_there(open_module, weights, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that it is absent on every machine
    _expect_failure(
        open_module("cuda", weights), "No CUDA graphics card", "Choose Automatic or Processor (CPU) under Advanced"
    )


def test_weights_that_were_damaged_since_they_were_chosen(open_module, tmp_path):
    (tmp_path / "own.pt").write_text("no weights")
    _expect_failure(open_module("cpu", tmp_path / "own.pt"), "weights", "leave the weights file under Advanced empty")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit on the address space is Linux's")
def test_too_little_memory(open_module, tmp_path, monkeypatch):
    program = tmp_path / "PythonSlicer"  # as Slicer's own program, found on the path
    program.write_text(f'#!/bin/sh\nulimit -v {5 * 2**20}\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    huge = save_water_weights(tmp_path / "huge.pt", crop=640, spacing_mm=0.2)
    _expect_failure(open_module("cpu", huge), "memory", "restart Slicer, which frees memory")


@posix
def test_a_full_disk(open_module, weights, full_disk):
    _expect_failure(open_module("cpu", weights, full_disk), "disk", "another working folder under Advanced")
    assert list(full_disk.iterdir()) == []


def _expect_failure(opened: tuple[Clinician, object], *words: str) -> None:
    clinician, _ct = opened
    before = nodes()
    clinician.contour()
    expect_told(clinician, before, *words)


def test_a_failure_of_the_last_run_is_forgotten_with_the_next(open_module, weights, tmp_path):
    clinician, ct = open_module("cpu", weights)
    clinician.panel.logic.working_folder = tmp_path / "gone"
    clinician.contour()
    assert "cannot be written" in clinician.ui.messageLabel.text
    clinician.panel.logic.working_folder = tmp_path
    clinician.contour()
    assert not clinician.ui.messageLabel.isVisible()
    assert len(contours_of(ct)) == 1
