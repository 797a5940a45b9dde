"""`evaluate` on folders of cases: found, missed, without a bladder, unreadable."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.dicom.structure_set import StructureRequest, write_rtstruct
from BladderAutoContourLib.imaging.files import write_volume
from BladderAutoContourLib.imaging.volume import Volume
from PIL import Image


@pytest.fixture
def cases(scene, truth, tmp_path) -> Path:
    """Four cases: DICOM with a structure set, a volume with a mask, one that will be missed, one without a bladder."""
    folder = tmp_path / "Fälle"
    ct, empty = scene(), scene(bladder=False)
    mask = Volume(truth.astype(np.uint8), ct.geometry)
    write_ct_series(ct, folder / "a dicom" / "ct")
    series = read_ct([folder / "a dicom" / "ct"])
    write_rtstruct(series, mask, folder / "a dicom" / "RTSTRUCT.dcm", StructureRequest())
    for name, volume, reference in (("b volume", ct, mask), ("c missed", empty, mask), ("d without", empty, None)):
        (folder / name).mkdir()
        write_volume(volume, folder / name / "ct.nrrd")
        nothing = Volume(np.zeros_like(mask.array), ct.geometry)
        write_volume(reference or nothing, folder / name / "bladder.nrrd")
    (folder / "notes").mkdir()
    return folder


def read(output: Path) -> tuple[dict, dict[str, dict]]:
    """The summary and the rows of a finished evaluation; CSV and JSON say the same."""
    report = json.loads((output / "evaluation.json").read_text(encoding="utf-8"))
    with (output / "evaluation.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    for case in report["cases"]:
        row = rows[case["case"]]
        assert row.keys() == case.keys()
        assert {name: "" if value is None else str(value) for name, value in case.items()} == row
    return report, {case["case"]: case for case in report["cases"]}


def test_every_outcome_is_told_apart(run, cases, weights, truth, tmp_path):
    output = tmp_path / "out"
    outcome = run("evaluate", "--cases", cases, "--output", output, "--weights", weights)
    assert outcome.code == 0, outcome.stderr
    report, rows = read(output)
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "a dicom": "contoured",
        "b volume": "contoured",
        "c missed": "missed",
        "d without": "none",
    }
    assert rows["a dicom"]["dice"] > 0.85
    assert rows["a dicom"]["dice"] == pytest.approx(rows["b volume"]["dice"], abs=0.02)
    assert rows["b volume"]["reference_ml"] == pytest.approx(truth.sum() * 0.08)
    assert 0 <= rows["b volume"]["asd_mm"] < 4
    assert rows["c missed"]["dice"] == 0
    assert rows["c missed"]["asd_mm"] is None
    assert rows["d without"]["dice"] is None
    totals = report["summary"]
    assert (totals["cases"], totals["contoured"], totals["missed"], totals["none"]) == (4, 2, 1, 1)
    assert totals["missed_cases"] == ["c missed"]
    dices = [rows[name]["dice"] for name in ("a dicom", "b volume", "c missed")]
    assert totals["metrics"]["dice"]["mean"] == pytest.approx(np.mean(dices), abs=1e-4)
    assert totals["metrics"]["dice"]["median"] == pytest.approx(np.median(dices), abs=1e-4)
    assert totals["metrics"]["asd_mm"]["cases"] == 2
    assert report["model"]["sha256"]
    volumes = [rows[name] for name in ("a dicom", "b volume")]
    bias_ml = np.mean([row["volume_ml"] - row["reference_ml"] for row in volumes])
    assert report["volume_agreement"]["bias_ml"] == pytest.approx(bias_ml, abs=1e-3)
    assert report["reliability"]["cases"] == 4
    for name in ("volumes.png", "reliability.png", "worst_cases.png"):
        with Image.open(output / name) as picture:
            assert picture.size[1] > 500
            assert np.ptp(np.asarray(picture)) > 200
    assert "c missed" in outcome.stdout


def test_dice_is_that_of_the_masks_that_segment_writes(run, cases, weights, truth, tmp_path):
    single = cases / "b volume"
    assert run("evaluate", "--cases", single, "--output", tmp_path / "scores", "--weights", weights).code == 0
    assert run("segment", single / "ct.nrrd", "--output", tmp_path / "mask", "--weights", weights).code == 0
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "mask" / "bladder.nrrd"))) > 0
    _, rows = read(tmp_path / "scores")
    assert list(rows) == ["b volume"]
    assert rows["b volume"]["dice"] == pytest.approx(2 * (mask & truth).sum() / (mask.sum() + truth.sum()), abs=1e-4)


def test_a_contour_where_there_is_no_bladder_is_false(run, cases, weights, tmp_path):
    nothing = sitk.ReadImage(str(cases / "d without" / "bladder.nrrd"))
    sitk.WriteImage(nothing, str(cases / "b volume" / "bladder.nrrd"))
    outcome = run("evaluate", "--cases", cases, "--output", tmp_path / "out", "--weights", weights)
    assert outcome.code == 0, outcome.stderr
    report, rows = read(tmp_path / "out")
    assert rows["b volume"]["outcome"] == "false-contour"
    assert report["summary"]["false_contours"] == ["b volume"]
    assert report["summary"]["metrics"]["dice"]["cases"] == 2


def test_a_bad_case_does_not_stop_the_others(run, cases, scene, truth, weights, tmp_path):
    grid = replace(scene().geometry, origin_mm=(0.0, 0.0, 0.0))
    write_volume(Volume(truth.astype(np.uint8), grid), cases / "b volume" / "bladder.nrrd")
    outcome = run("evaluate", "--cases", cases, "--output", tmp_path / "out", "--weights", weights)
    outcome.failed_with(3, "input", "1 of 4", "b volume", "grid")
    report, rows = read(tmp_path / "out")
    assert rows["b volume"]["outcome"] == "failed"
    assert report["summary"]["failed_cases"] == ["b volume"]
    assert rows["a dicom"]["dice"] > 0.85


def test_what_the_contours_of_a_case_lack_is_said(run, cases, weights, tmp_path):
    path = cases / "a dicom" / "RTSTRUCT.dcm"
    dataset = pydicom.dcmread(path)
    drawn = dataset.ROIContourSequence[0].ContourSequence
    dataset.ROIContourSequence[0].ContourSequence = drawn[::2]
    dataset.save_as(path)
    options = ("--cases", cases / "a dicom", "--output", tmp_path / "out", "--weights", weights)
    outcome = run("evaluate", *options)
    assert outcome.code == 0, outcome.stderr
    notes = [event["message"] for event in outcome.events if event["event"] == "note"]
    assert f"a dicom: {(len(drawn) - 1) // 2} slices between the contours of 'Bladder' have none." in notes


def test_pictures_of_an_earlier_evaluation_do_not_stay(run, cases, weights, tmp_path):
    options = ("--output", tmp_path / "out", "--weights", weights)
    assert run("evaluate", "--cases", cases / "b volume", *options).code == 0
    assert (tmp_path / "out" / "volumes.png").exists()
    assert run("evaluate", "--cases", cases / "d without", *options).code == 0
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *("evaluation.csv", "evaluation.json", "reliability.png")
    }


def test_folders_that_are_no_cases(run, cases, weights, tmp_path):
    options = ("--output", tmp_path / "out", "--weights", weights)
    run("evaluate", "--cases", tmp_path / "nowhere", *options).failed_with(3, "input", "nowhere")
    run("evaluate", "--cases", cases / "notes", *options).failed_with(3, "input", "no case")
    (cases / "c missed" / "bladder.nrrd").unlink()
    run("evaluate", "--cases", cases, *options).failed_with(3, "input", "c missed", "bladder.nrrd")
    assert not (tmp_path / "out").exists()


def test_a_structure_of_another_name(run, cases, weights, tmp_path):
    options = ("--cases", cases / "a dicom", "--output", tmp_path / "out", "--weights", weights)
    run("evaluate", *options, "--roi", "Vessie").failed_with(3, "input", "Vessie", "Bladder")
    outcome = run("evaluate", *options, "--roi", "Vessie", "--roi", "bladder")
    assert outcome.code == 0, outcome.stderr
