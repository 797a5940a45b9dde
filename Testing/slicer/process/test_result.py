"""Result folders that the program wrote, read; and what became of them in accidents."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
import SimpleITK as sitk
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.slicer.process.result import SCHEMA, SliceWarning, read_correction, read_result

GONE = object()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, ct_folder: Path, ct_file: Path, weights: Path) -> Path:
    """A folder with the results of a DICOM series and of a volume file."""
    output = tmp_path_factory.mktemp("résultats")
    words = [sys.executable, "-m", "BladderAutoContourLib", "segment", ct_folder, ct_file, "--output", output]
    subprocess.run([*words, "--weights", weights, "--device", "cpu"], check=True, capture_output=True)
    return output


@pytest.fixture(scope="module")
def from_dicom(results: Path, ct_folder: Path) -> Path:
    """The result of the DICOM series."""
    return results / ct_folder.name


@pytest.fixture
def altered(from_dicom: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the result whose report says something else at one place."""

    def alter(*place: str, value: Any) -> Path:
        folder = tmp_path / "result"
        shutil.copytree(from_dicom, folder)
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        inner = report
        for name in place[:-1]:
            inner = inner[name]
        if value is GONE:
            del inner[place[-1]]
        else:
            inner[place[-1]] = value
        (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
        return folder

    return alter


def test_a_result_from_dicom(from_dicom, ct_folder, weights):
    result = read_result(from_dicom)
    mask = sitk.ReadImage(str(result.mask))
    inside = sitk.GetArrayFromImage(mask) > 0
    assert result.volume_ml == pytest.approx(inside.sum() * 0.08, abs=0.01)
    assert sitk.ReadImage(str(result.probability)).GetSize() == mask.GetSize()
    header = pydicom.dcmread(next(ct_folder.iterdir()), stop_before_pixels=True)
    assert result.series_uid == header.SeriesInstanceUID
    plan = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    assert (result.model_name, result.model_sha256) == (plan["name"], plan["sha256"])
    assert 0.3 <= result.confidence <= 1
    assert result.device.startswith("CPU")


def test_a_result_from_a_volume_file_has_no_series(results, ct_file):
    assert read_result(results / ct_file.stem).series_uid is None


def test_warnings_come_with_their_slices(altered):
    warning = {"code": "metal", "severity": "warning", "sentence": "There is metal.", "slices": [4, 5]}
    note = {"code": "contrast", "severity": "note", "sentence": "It is bright.", "slices": []}
    result = read_result(altered("warnings", value=[warning, note]))
    assert result.warnings == (
        SliceWarning("metal", "warning", "There is metal.", (4, 5)),
        SliceWarning("contrast", "note", "It is bright.", ()),
    )


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("volume_ml",), GONE),
        (("volume_ml",), "12"),
        (("volume_ml",), float("nan")),
        (("volume_ml",), -1.0),
        (("confidence",), 1.5),
        (("device",), None),
        (("model",), GONE),
        (("model", "sha256"), 5),
        (("input", "series_uid"), GONE),
        (("warnings",), [{"code": "metal"}]),
        (("warnings",), [{"code": "metal", "severity": "fatal", "sentence": "x", "slices": []}]),
        (("warnings",), [{"code": "metal", "severity": "note", "sentence": "x", "slices": ["4"]}]),
        (("warnings",), [{"code": "metal", "severity": "note", "sentence": "x", "slices": [-1]}]),
        (("warnings",), [{"code": "metal", "severity": "note", "sentence": "x", "slices": [True]}]),
        (("warnings",), ["metal"]),
    ],
)
def test_a_report_that_says_nonsense_is_damaged(altered, place, value):
    folder = altered(*place, value=value)
    with pytest.raises(InputError, match=r"^The report of the result is damaged\. Contour the CT again\.$") as caught:
        read_result(folder)
    assert caught.value.files == (str(folder / "report.json"),)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_file_that_is_no_report_is_damaged(altered, content):
    folder = altered("notes", value=[])
    (folder / "report.json").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_result(folder)


def test_a_report_of_another_version_is_refused(altered):
    with pytest.raises(InputError, match="another version"):
        read_result(altered("schema", value=SCHEMA + 1))


def test_a_folder_without_report_holds_no_finished_result(altered):
    folder = altered("notes", value=[])
    (folder / "report.json").unlink()
    with pytest.raises(InputError, match="no finished result"):
        read_result(folder)
    with pytest.raises(InputError, match="no finished result"):
        read_result(folder / "not there")


@pytest.mark.parametrize("name", ["bladder.nrrd", "bladder_probability.nrrd"])
def test_a_lost_file_is_named(altered, name):
    folder = altered("notes", value=[])
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"incomplete: {name} is missing") as caught:
        read_result(folder)
    assert caught.value.files == (str(folder / name),)


def test_a_correction_tells_its_slices_and_an_incomplete_one_is_refused(from_dicom, tmp_path):
    folder = tmp_path / "korrigiert ü"
    folder.mkdir()
    note = {"code": "fallback", "severity": "note", "sentence": "The processor was used.", "slices": []}
    report = {"schema": SCHEMA, "changed_slices": [3, 5], "warnings": [note]}
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    with pytest.raises(InputError, match=r"bladder\.nrrd is missing"):
        read_correction(folder)
    shutil.copy(from_dicom / "bladder.nrrd", folder)
    correction = read_correction(folder)
    assert (correction.mask, correction.changed_slices) == (folder / "bladder.nrrd", (3, 5))
    assert correction.warnings == (SliceWarning("fallback", "note", "The processor was used.", ()),)
    for damaged in (
        {**report, "changed_slices": ["3"]},
        {**report, "warnings": [{**note, "severity": "loud"}]},
        {name: value for name, value in report.items() if name != "warnings"},
        {"schema": SCHEMA},
    ):
        (folder / "report.json").write_text(json.dumps(damaged), encoding="utf-8")
        with pytest.raises(InputError, match="damaged"):
            read_correction(folder)
