"""Corrections from outside: the command, and the warm engine's requests `refine` and `copy-and-fit`."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk


@dataclass(frozen=True)
class Files:
    """Files of a correction: a leak was cut on slice `corrected`, which alone is touched."""

    probability: Path
    mask: Path
    touched: Path
    corrected: int


def on_grid(array: np.ndarray, like: Path, path: Path) -> Path:
    """Write an array with the geometry of another file, by ITK."""
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(sitk.ReadImage(str(like)))
    sitk.WriteImage(image, str(path))
    return path


def voxels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture
def files(ct_file, truth, tmp_path) -> Files:
    """The network took some fat beside the bladder for a part of it, on three slices."""
    folder = tmp_path / "corrigé ü"
    folder.mkdir()
    number = int(np.flatnonzero(truth.any(axis=(1, 2))).mean())
    predicted = truth.copy()
    right = int(np.flatnonzero(truth[number].any(axis=0))[-1])
    rows = np.flatnonzero(truth[number].any(axis=1))
    middle = int(rows.mean())
    predicted[number - 1 : number + 2, middle - 3 : middle + 4, right - 1 : right + 5] = True
    mask, touched = predicted.copy(), np.zeros_like(truth)
    mask[number], touched[number] = truth[number], True
    return Files(
        on_grid(np.where(predicted, 0.95, 0.02).astype(np.float32), ct_file, folder / "probability.nrrd"),
        on_grid(mask.astype(np.uint8), ct_file, folder / "mask.nii.gz"),
        on_grid(touched.astype(np.uint8), ct_file, folder / "touched.nrrd"),
        number,
    )


def check(folder: Path, files: Files, truth: np.ndarray) -> None:
    """The result folder is whole, the corrected slice as it was drawn, and the leak beside it gone."""
    assert {path.name for path in folder.iterdir()} == {"bladder.nrrd", "bladder_probability.nrrd", "report.json"}
    mask, probability = voxels(folder / "bladder.nrrd") > 0, voxels(folder / "bladder_probability.nrrd")
    before = voxels(files.mask) > 0
    np.testing.assert_array_equal(mask[files.corrected], truth[files.corrected])
    np.testing.assert_array_equal(probability >= np.float32(0.5), mask)
    assert (mask ^ truth).sum() < 0.3 * (before ^ truth).sum()
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["touched_slices"] == [files.corrected]
    assert report["changed_slices"] == np.flatnonzero((mask != before).any(axis=(1, 2))).tolist()
    assert {files.corrected - 1, files.corrected + 1} <= set(report["changed_slices"])
    assert report["volume_ml"] == pytest.approx(mask.sum() * 4 * 4 * 5 / 1000, abs=0.01)


@pytest.mark.parametrize("orientation", ["LPS", "LAS"])
def test_the_command_carries_a_correction_on(run, ct_file, weights, files, truth, tmp_path, orientation):
    """Whichever way the files count their voxels."""
    output = tmp_path / "résult"
    inputs = ["--ct", ct_file]
    for option in ("probability", "mask", "touched"):
        inputs += [f"--{option}", tmp_path / f"{option}.nrrd"]
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(getattr(files, option))), orientation), str(inputs[-1]))
    done = run("refine", *inputs, "--output", output, "--weights", weights, "--device", "cpu")
    assert done.code == 0, done.stderr
    assert done.events[-1] == {"event": "result", "folder": str(output)}
    check(output, files, truth)


def test_one_value_in_place_of_air_is_no_metal_beside_a_corrected_contour(run, ct_file, weights, files, tmp_path):
    hu = voxels(ct_file)
    padded = on_grid(np.where(hu < -300, np.int16(3071), hu), ct_file, tmp_path / "padded.nrrd")
    inputs = ("--probability", files.probability, "--mask", files.mask, "--touched", files.touched)
    done = run("refine", "--ct", padded, *inputs, "--output", tmp_path / "out", "--weights", weights, "--device", "cpu")
    assert done.code == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    told = {warning["code"]: warning["sentence"] for warning in report["warnings"]}
    assert "metal" not in told
    assert "one value in place of air" in told["geometry"]


def test_the_warm_engine_refines_and_copies(start, ct_file, weights, files, truth, tmp_path):
    engine = start("serve", "--weights", str(weights), "--device", "cpu")
    first, second, copied = (tmp_path / name for name in ("first", "second", "copied"))
    fields = {"probability": str(files.probability), "mask": str(files.mask), "touched": str(files.touched)}
    engine.send(id=1, request="refine", ct=[str(ct_file)], output=str(first), **fields)
    engine.wait_for(id=1, event="done")
    check(first, files, truth)

    # corrected on: the clinician erases more, over the first proposal
    mask, touched = voxels(first / "bladder.nrrd"), voxels(files.touched)
    top = int(np.flatnonzero(truth.any(axis=(1, 2)))[-1])
    mask[top], touched[top] = 0, 1
    on_grid(mask, ct_file, files.mask)
    on_grid(touched, ct_file, files.touched)
    engine.send(id=2, request="refine", ct=str(ct_file), output=str(second), **fields)
    engine.wait_for(id=2, event="done")
    report = json.loads((second / "report.json").read_text(encoding="utf-8"))
    assert report["touched_slices"] == [files.corrected, top]
    again = voxels(second / "bladder.nrrd")
    np.testing.assert_array_equal(again[[files.corrected, top]], mask[[files.corrected, top]])

    slices = {"from_slice": files.corrected, "to_slice": files.corrected + 1}
    engine.send(id=3, request="copy-and-fit", ct=[str(ct_file)], mask=str(files.mask), output=str(copied), **slices)
    engine.wait_for(id=3, event="done")
    fitted, others = voxels(copied / "bladder.nrrd"), np.arange(len(truth)) != files.corrected + 1
    np.testing.assert_array_equal(fitted[others], mask[others])
    assert 2 * (fitted[~others] & truth[~others]).sum() > 0.95 * (fitted[~others].sum() + truth[~others].sum())

    slices["to_slice"] = 999
    engine.send(id=4, request="copy-and-fit", ct=[str(ct_file)], mask=str(files.mask), output=str(copied), **slices)
    assert engine.wait_for(id=4, error=...)["error"]["code"] == 3
    moved = sitk.ReadImage(str(files.touched))
    moved.SetOrigin((1.0, 2.0, 3.0))
    sitk.WriteImage(moved, str(files.touched))
    engine.send(id=5, request="refine", ct=[str(ct_file)], output=str(tmp_path / "fifth"), **fields)
    error = engine.wait_for(id=5, error=...)["error"]
    assert (error["code"], error["files"]) == (3, [str(files.touched)])
    assert "grid of the CT" in error["message"]
    slices["to_slice"] = files.corrected + 1
    labels = on_grid((mask * 3 + touched).astype(np.uint8), ct_file, tmp_path / "labels.nrrd")
    for number, no_mask in enumerate((files.probability, labels, ct_file), start=6):
        engine.send(id=number, request="copy-and-fit", ct=str(ct_file), mask=str(no_mask), output=str(copied), **slices)
        error = engine.wait_for(id=number, error=...)["error"]
        assert (error["code"], error["files"]) == (3, [str(no_mask)])
        assert "no mask of one structure" in error["message"]
    bytes_alone = on_grid(np.zeros(truth.shape, np.uint8), ct_file, tmp_path / "bytes.nrrd")
    engine.send(id=9, request="copy-and-fit", ct=str(bytes_alone), mask=str(files.mask), output=str(copied), **slices)
    error = engine.wait_for(id=9, error=...)["error"]
    assert error["code"] == 3
    assert "not the Hounsfield units" in error["message"]
    engine.send(request="quit")
    assert engine.end() == 0
    assert not (tmp_path / "fifth").exists()
    assert {path.name for path in copied.iterdir()} == {"bladder.nrrd", "report.json"}


def test_files_that_do_not_fit_are_refused_before_anything_is_loaded(run, ct_file, files, tmp_path):
    own = files.mask.parent
    before = sorted(own.iterdir())
    refine = ("refine", "--ct", ct_file, "--probability", files.probability, "--mask", files.mask)
    run(*refine, "--touched", files.touched, "--output", own).failed_with(6, "output", "Choose another")
    run(*refine, "--touched", tmp_path / "none.nrrd", "--output", tmp_path / "x").failed_with(3, "input", "none.nrrd")
    assert sorted(own.iterdir()) == before
    assert not (tmp_path / "x").exists()
