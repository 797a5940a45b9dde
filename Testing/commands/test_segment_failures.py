"""What `segment` says about each input and output that cannot work: one sentence, one code, nothing left behind."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from BladderAutoContourLib import host
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.errors import OutputError
from BladderAutoContourLib.output_files import check_output

FEW_BYTES = 16 * 1024


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Path]:
    """A result folder that must not be there after a failure, nor anything beside it."""
    parent = tmp_path / "résultats du patient"
    parent.mkdir()
    yield parent / "out"
    assert list(parent.iterdir()) == []


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    """A folder for the CT of a test."""
    folder = tmp_path / "ct"
    folder.mkdir()
    return folder


def test_empty_folder(run, ct, output, weights):
    run("segment", ct, "--output", output, "--weights", weights).failed_with(3, "input", str(ct))


def test_missing_folder(run, ct, output, weights):
    missing = ct / "not here"
    error = run("segment", missing, "--output", output, "--weights", weights).failed_with(3, "input", "does not exist")
    assert error["files"] == [str(missing)]


def test_mr_series(run, scene, ct, output, weights):
    for path in write_ct_series(scene(), ct):
        dataset = pydicom.dcmread(path)
        dataset.Modality = "MR"
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
        dataset.save_as(path)
    run("segment", ct, "--output", output, "--weights", weights).failed_with(3, "input", "MR")


def test_text_file_named_dcm(run, ct, output, weights):
    path = ct / "notes.dcm"
    path.write_text("This is no DICOM file.\n" * 50, encoding="utf-8")
    for given in (ct, path):
        outcome = run("segment", given, "--output", output, "--weights", weights)
        outcome.failed_with(3, "input", "There is no CT image")


def test_truncated_file(run, scene, ct, output, weights):
    path = write_ct_series(scene(), ct)[17]
    path.write_bytes(path.read_bytes()[:3000])
    run("segment", ct, "--output", output, "--weights", weights).failed_with(3, "input", path.name)


def test_truncated_volume_file(run, ct, ct_file, output, weights):
    path = ct / "cut.nrrd"
    path.write_bytes(ct_file.read_bytes()[:3000])
    run("segment", path, "--output", output, "--weights", weights).failed_with(3, "input", path.name)


def test_three_slices(run, scene, ct, output, weights):
    write_ct_series(scene(slices=3), ct)
    run("segment", ct, "--output", output, "--weights", weights).failed_with(3, "input", "3")


def test_two_series_are_listed(run, scene, ct, output, weights):
    uids = []
    for seed in (1, 2):
        path = write_ct_series(scene(), ct / f"series {seed}", seed=seed)[0]
        uids.append(str(pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID))
    error = run("segment", ct, "--output", output, "--weights", weights).failed_with(3, "input", "--series", *uids)
    assert "PHANTOM" not in error["message"]


def test_unknown_series(run, ct_folder, output, weights):
    arguments = ("--weights", weights, "--series", "1.2.3.4")
    run("segment", ct_folder, "--output", output, *arguments).failed_with(3, "input", "1.2.3.4")


def test_no_bladder(run, scene, ct, output, weights):
    write_ct_series(scene(bladder=False), ct)
    run("segment", ct, "--output", output, "--weights", weights).failed_with(4, "no-bladder")


@pytest.mark.parametrize("below", [(), ("out",), ("deep", "out")])
def test_output_below_a_file(run, ct_folder, tmp_path, below, weights):
    # Not a folder without permissions: those bind no administrator, and tests run as one.
    file = tmp_path / "file"
    file.write_text("here first")
    outcome = run("segment", ct_folder, "--output", file.joinpath(*below), "--weights", weights)
    outcome.failed_with(6, "output", str(file))
    assert file.read_text() == "here first"
    assert list(tmp_path.iterdir()) == [file]
    assert all(event.get("step") != "load" for event in outcome.events), "it was not known before torch was loaded"


def test_output_on_a_drive_that_is_not_there(tmp_path, monkeypatch):
    """As on Windows, where not even the root of a path need be there."""
    monkeypatch.setattr(host, "is_there", lambda path: False)
    with pytest.raises(OutputError, match=f"There is no {re.escape(tmp_path.anchor)} to write to"):
        check_output(tmp_path / "out")


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[dict[str, Any]]:
    """Make `folder` a disk with hardly any room; yields how to start the process that shall write to it.

    Where no file system may be mounted, the process gets a limit on the size of its files instead: the same failure
    one layer up. It keeps no .pyc files then: a cut-off one would fail every process after it.
    """
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={FEW_BYTES}", "tmpfs", str(folder)]
    if shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        try:
            yield {}
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    else:
        import resource

        limit = (FEW_BYTES // 4, FEW_BYTES // 4)
        yield {
            "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
            "env": {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        }


@pytest.mark.skipif(sys.platform == "win32", reason="no small disk can be made without an administrator")
@pytest.mark.parametrize("mounted", [True, False])
def test_full_disk(run, ct_folder, tmp_path, weights, mounted, monkeypatch):
    if not mounted:
        monkeypatch.setattr(shutil, "which", lambda name: None)
    disk = tmp_path / "small disk"
    with full_disk(disk) as options:
        outcome = run("segment", ct_folder, "--output", disk / "out", "--weights", weights, **options)
        outcome.failed_with(6, "output", "full")
        assert list(disk.iterdir()) == []


def test_missing_weights(run, ct_folder, output, tmp_path):
    outcome = run("segment", ct_folder, "--output", output, "--weights", tmp_path / "none.pt")
    outcome.failed_with(7, "weights", "none.pt")


@pytest.mark.parametrize("damage", ["bytes", "text", "plan", "no-plan"])
def test_damaged_weights(run, ct_folder, output, tmp_path, weights, damage):
    copy = tmp_path / "copy.pt"
    shutil.copy(weights, copy)
    plan = copy.with_suffix(".json")
    shutil.copy(weights.with_suffix(".json"), plan)
    if damage == "bytes":
        data = bytearray(copy.read_bytes())
        data[len(data) // 2] ^= 0xFF
        copy.write_bytes(data)
    elif damage == "text":
        copy.write_text("no weights")
    elif damage == "plan":
        plan.write_text("{")
    else:
        plan.unlink()
    run("segment", ct_folder, "--output", output, "--weights", copy).failed_with(7, "weights", "copy")


def test_a_path_that_the_system_does_not_look_at(run, output):
    run("segment", "x" * 300, "--output", output).failed_with(3, "input", "does not exist", "drive")


def test_cuda_asked_for_and_absent(run, ct_folder, output, weights, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that it is absent on every machine
    outcome = run("segment", ct_folder, "--output", output, "--weights", weights, "--device", "cuda")
    outcome.failed_with(8, "environment", "CUDA", "cpu")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit on the address space is Linux's")
def test_too_little_memory(run, ct_folder, output, huge_weights):
    import resource

    # Enough for torch, for CUDA too (3.2 GB), and small networks, not for the crop that these weights ask for.
    limit = (5 * 2**30, 5 * 2**30)
    outcome = run(
        *("segment", ct_folder, "--output", output, "--weights", huge_weights),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit),
    )
    outcome.failed_with(5, "memory")
