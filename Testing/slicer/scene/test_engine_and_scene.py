"""A CT of the scene to the engine and back: a real process, real files."""

import subprocess
import sys

import numpy as np
import pytest
from BladderAutoContourLib.slicer.process.result import read_result
from BladderAutoContourLib.slicer.scene.ct_source import source_of
from BladderAutoContourLib.slicer.scene.segmentation import show_result, write_mask
from BladderAutoContourLib.slicer.scene.slices import slice_position_ras
from ct_scene import load_dicom, voxels
from small_engine import CENTRE_MM


def test_a_ct_goes_to_the_engine_and_its_contour_comes_back(weights, ct_folder, truth, tmp_path):
    ct = load_dicom(sorted(ct_folder.iterdir()))
    source = source_of(ct, tmp_path)
    command = [sys.executable, "-m", "BladderAutoContourLib", "segment", *source.paths, "--series", source.series_uid]
    command += ["--output", tmp_path / "out", "--weights", weights, "--device", "cpu"]
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, encoding="utf-8", timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr

    result = read_result(tmp_path / "out")
    contour = show_result(ct, result)
    seen = voxels(contour, ct) > 0
    assert 2 * (seen & truth).sum() / (seen.sum() + truth.sum()) > 0.85
    middle = round(np.flatnonzero(truth.any(axis=(1, 2))).mean())
    assert np.abs(np.multiply(slice_position_ras(contour, middle), (-1, -1, 1)) - CENTRE_MM).max() < 6
    volume_ml = write_mask(contour, tmp_path / "mask.nrrd")
    assert volume_ml == pytest.approx(result.volume_ml, abs=0.01)
