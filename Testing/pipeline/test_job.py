"""One CT in, one complete result folder out, from DICOM and from volume files."""

import io
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from analytic import Body, ct_of, density_networks, points_of, scan_grid
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.errors import Cancelled, InputError, NoBladderError, OutputError
from BladderAutoContourLib.events import Events
from BladderAutoContourLib.imaging.files import to_sitk, write_volume
from BladderAutoContourLib.pipeline import job
from BladderAutoContourLib.pipeline.engine import Engine
from BladderAutoContourLib.pipeline.job import Job, run_job
from BladderAutoContourLib.pipeline.preview import preview
from BladderAutoContourLib.pipeline.result_folder import RESULT_FILES, STRUCTURE_SET
from BladderAutoContourLib.pipeline.steps import USUAL_SHARES
from PIL import Image

BODY = Body()
CODES = {
    "bladder-cut",
    "implausible-volume",
    "metal",
    "contrast",
    "hu-scale",
    "several-candidates",
    "unsure-slices",
    "geometry",
    "border",
    "fallback",
}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(density_networks(), "cpu")


@pytest.fixture(scope="module")
def dicom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("Größe CT")
    write_ct_series(ct_of(BODY, scan_grid()), folder)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def told(stream: io.StringIO, event: str) -> list[dict]:
    return [line for line in map(json.loads, stream.getvalue().splitlines()) if line.get("event") == event]


def test_dicom_series_gives_all_files_on_its_own_grid(engine: Engine, dicom_folder: Path, tmp_path: Path) -> None:
    stream = io.StringIO()
    output = tmp_path / "Ergebnis ü"
    assert run_job(Job((dicom_folder,), output), engine, Events(stream)) == output
    assert names(output) == sorted(RESULT_FILES)
    grid = scan_grid()
    mask = sitk.ReadImage(str(output / "bladder.nrrd"))
    probability = sitk.ReadImage(str(output / "bladder_probability.nrrd"))
    assert mask.GetPixelID() == sitk.sitkUInt8
    assert probability.GetPixelID() == sitk.sitkFloat32
    for image in (mask, probability):
        assert image.GetSize() == grid.size
        np.testing.assert_allclose(image.GetSpacing(), grid.spacing_mm)
        np.testing.assert_allclose(image.GetOrigin(), grid.origin_mm, atol=1e-4)
    inside = sitk.GetArrayFromImage(mask) > 0
    np.testing.assert_array_equal(sitk.GetArrayFromImage(probability) >= np.float32(0.5), inside)
    truth = BODY.bladder(points_of(grid)) >= 0.5
    assert 2 * (inside & truth).sum() / (inside.sum() + truth.sum()) > 0.92
    assert Image.open(output / "preview.png").size[0] > 1200
    assert told(stream, "result")[0]["folder"] == str(output)
    steps = list(dict.fromkeys(line["step"] for line in told(stream, "progress")))
    assert steps == list(USUAL_SHARES)


def test_report_says_what_ran_and_nothing_of_the_patient(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "ct"
    folder.mkdir()
    write_ct_series(ct_of(BODY, scan_grid()), folder, patient_name="Mustermann^Erika", patient_id="PAT-4711")
    stream = io.StringIO()
    run_job(Job((folder,), tmp_path / "out"), engine, Events(stream))
    text = (tmp_path / "out" / "report.json").read_text(encoding="utf-8")
    for content in (text, stream.getvalue()):
        assert "Mustermann" not in content
        assert "4711" not in content
    report = json.loads(text)
    assert report["schema"] == 1
    assert report["software"]["name"]
    assert report["model"]["plan"]["name"] == report["model"]["name"] == "density"
    assert report["device"].startswith("CPU")
    assert report["input"]["slices"] == 56
    assert report["input"]["spacing"] == [4.0, 4.0, 4.0]
    assert report["input"]["series_uid"] == read_ct([folder]).series_uid
    assert [step["name"] for step in report["steps"]] == list(USUAL_SHARES)
    assert all(step["seconds"] >= 0 and step["peak_mb"] > 0 for step in report["steps"])
    assert report["volume_ml"] == pytest.approx(BODY.volume_ml, rel=0.15)
    for axis in range(3):
        lower = report["bounding_box_mm"]["lower"][axis]
        upper = report["bounding_box_mm"]["upper"][axis]
        assert lower == pytest.approx(BODY.bladder_mm[axis] - BODY.radii_mm[axis], abs=6)
        assert upper == pytest.approx(BODY.bladder_mm[axis] + BODY.radii_mm[axis], abs=6)
    assert 0.5 < report["confidence"] <= 1
    assert 0 < report["crf_change_in_band"] < 1
    assert report["touched_slices"] == []
    assert all(set(warning) == {"code", "severity", "sentence", "slices"} for warning in report["warnings"])
    assert {warning["code"] for warning in report["warnings"]} <= CODES
    assert all(0 <= doubt <= 1 for doubt in report["slice_doubt"])


def test_every_sentence_of_a_report_ends_in_one_stop(engine: Engine, tmp_path: Path) -> None:
    for number, file in enumerate(write_ct_series(ct_of(BODY, scan_grid()), tmp_path / "ct")):
        dataset = pydicom.dcmread(file)
        dataset.GantryDetectorTilt = "15"
        dataset.RescaleType = "UNHEARD" if number else "HU"
        dataset.save_as(file)
    long_name = "Bladder, by the programme"
    run_job(Job((tmp_path / "ct",), tmp_path / "out", export_name=long_name), engine, Events(io.StringIO()))
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert sum(warning["code"] == "geometry" for warning in report["warnings"]) == 2
    assert report["notes"]
    for sentence in (*(warning["sentence"] for warning in report["warnings"]), *report["notes"]):
        assert sentence.endswith("."), sentence
        assert not sentence.endswith(".."), sentence


def test_the_picture_calls_no_contour_certain(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sitk.WriteImage(to_sitk(ct_of(BODY, scan_grid())), str(tmp_path / "ct.nrrd"))
    contour, titles = Engine.contour, []
    sure = iter((1.0, 0.9996, 0.789))
    monkeypatch.setattr(
        Engine, "contour", lambda *given, **more: replace(contour(*given, **more), confidence=next(sure))
    )
    monkeypatch.setattr(job, "preview", lambda *given: titles.append(given[-1]) or preview(*given))
    for _ in range(3):
        run_job(Job((tmp_path / "ct.nrrd",), tmp_path / "out"), engine, Events(io.StringIO()))
    assert [title.partition("confidence ")[2][:4] for title in titles] == ["0.99", "0.99", "0.78"]


def test_a_volume_file_that_does_not_say_how_the_patient_lies_is_told(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "ct.nii"
    sitk.WriteImage(to_sitk(ct_of(BODY, scan_grid())), str(path))
    for code, told_so in ((1, False), (0, True)):
        content = bytearray(path.read_bytes())
        struct.pack_into("<hh", content, 252, code, code)  # qform_code, sform_code
        path.write_bytes(content)
        output = run_job(Job((path,), tmp_path / f"out {code}"), engine, Events(io.StringIO()))
        warnings = json.loads((output / "report.json").read_text(encoding="utf-8"))["warnings"]
        assert any("does not say how the patient lies" in warning["sentence"] for warning in warnings) is told_so


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_volume_file_gives_no_structure_set_and_says_why(engine: Engine, tmp_path: Path, suffix: str) -> None:
    sitk.WriteImage(to_sitk(ct_of(BODY, scan_grid())), str(tmp_path / f"ct{suffix}"))
    stream = io.StringIO()
    output = run_job(Job((tmp_path / f"ct{suffix}",), tmp_path / "out"), engine, Events(stream))
    assert names(output) == sorted(set(RESULT_FILES) - {STRUCTURE_SET})
    assert any("RTSTRUCT" in line["message"] for line in told(stream, "note"))
    assert json.loads((output / "report.json").read_text(encoding="utf-8"))["input"]["series_uid"] is None


def test_list_of_dicom_files_gives_the_same_as_their_folder(engine: Engine, dicom_folder: Path, tmp_path: Path) -> None:
    files = tuple(sorted(dicom_folder.iterdir(), reverse=True))
    first = run_job(Job(files, tmp_path / "a"), engine, Events(io.StringIO()))
    second = run_job(Job((dicom_folder,), tmp_path / "b"), engine, Events(io.StringIO()))
    assert (first / "bladder.nrrd").read_bytes() == (second / "bladder.nrrd").read_bytes()


def test_structures_name_is_the_users(engine: Engine, dicom_folder: Path, tmp_path: Path) -> None:
    output = run_job(Job((dicom_folder,), tmp_path, export_name=" Blase "), engine, Events(io.StringIO()))
    dataset = pydicom.dcmread(output / "RTSTRUCT.dcm")
    assert [str(roi.ROIName) for roi in dataset.StructureSetROISequence] == ["Blase"]


def test_no_bladder_leaves_no_folder(engine: Engine, tmp_path: Path) -> None:
    write_volume(ct_of(Body(has_bladder=False), scan_grid()), tmp_path / "ct.nrrd")
    with pytest.raises(NoBladderError):
        run_job(Job((tmp_path / "ct.nrrd",), tmp_path / "out"), engine, Events(io.StringIO()))
    assert names(tmp_path) == ["ct.nrrd"]


def test_unreadable_inputs_leave_no_folder(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "ct.nrrd").write_text("not a volume")
    (tmp_path / "empty").mkdir()
    both = (tmp_path / "ct.nrrd", tmp_path / "empty")
    for sources in (both[:1], both[1:], both):
        with pytest.raises(InputError):
            run_job(Job(sources, tmp_path / "out"), engine, Events(io.StringIO()))
    assert names(tmp_path) == ["ct.nrrd", "empty"]


def test_full_disk_leaves_nothing(engine: Engine, dicom_folder: Path, full_disk: Path) -> None:
    with pytest.raises(OutputError, match="full"):
        run_job(Job((dicom_folder,), full_disk / "out"), engine, Events(io.StringIO()))
    assert names(full_disk) == []


def test_cancelled_run_leaves_nothing(engine: Engine, dicom_folder: Path, tmp_path: Path) -> None:
    for step in ("read", "segment", "picture", "write"):
        events = Events(io.StringIO())
        plain = events.progress

        def cancel_at(name: str, fraction: float, plain=plain, events=events, step=step) -> None:
            if name == step:
                events.cancellation.cancel()
            plain(name, fraction)

        events.progress = cancel_at
        with pytest.raises(Cancelled):
            run_job(Job((dicom_folder,), tmp_path / "out"), engine, events)
        assert names(tmp_path) == []
