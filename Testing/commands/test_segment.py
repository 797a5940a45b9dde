"""`segment` on CTs it can contour: folders, lists of files, volume files, several at once."""

import json

import numpy as np
import pydicom
import SimpleITK as sitk
from BladderAutoContourLib.dicom.ct_writer import write_ct_series


def dice(path, truth: np.ndarray) -> float:
    """Overlap of a mask file with the truth; the file is read by SimpleITK, not by our reader."""
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0
    assert mask.shape == truth.shape
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


def test_dicom_folder(run, ct_folder, tmp_path, weights, truth):
    output = tmp_path / "Ergebnis für später" / "出力"
    outcome = run("segment", ct_folder, "--output", output, "--weights", weights, "--export-name", "Blase")
    assert outcome.code == 0, outcome.stderr
    assert dice(output / "bladder.nrrd", truth) > 0.85
    names = {"bladder.nrrd", "bladder_probability.nrrd", "RTSTRUCT.dcm", "preview.png", "report.json"}
    assert {path.name for path in output.iterdir()} == names
    assert [event["folder"] for event in outcome.events if event.get("event") == "result"] == [str(output)]
    structures = pydicom.dcmread(output / "RTSTRUCT.dcm").StructureSetROISequence
    assert [str(structure.ROIName) for structure in structures] == ["Blase"]


def test_events_tell_steps_and_time_left(run, ct_folder, tmp_path, weights):
    outcome = run("segment", ct_folder, "--output", tmp_path / "out", "--weights", weights)
    assert outcome.stdout.splitlines() == [json.dumps(event) for event in outcome.events], "a line is no JSON object"
    progress = [event for event in outcome.events if event["event"] == "progress"]
    steps = list(dict.fromkeys(event["step"] for event in progress))
    assert steps[0] == "load"
    assert {"read", "localise", "segment"} < set(steps)
    for step in steps:
        fractions = [event["fraction"] for event in progress if event["step"] == step]
        assert fractions[0] == 0.0, step
        assert fractions[-1] == 1.0, step
        assert fractions == sorted(fractions), step
    left = [event["seconds_left"] for event in progress]
    assert left[0] is None
    assert left[-1] == 0.0
    assert all(seconds is None or seconds >= 0 for seconds in left)
    text = outcome.stdout + outcome.stderr
    assert "PHANTOM" not in text
    assert "SEED" not in text


def test_list_of_dicom_files(run, ct_folder, tmp_path, weights, truth):
    files = sorted(ct_folder.iterdir())
    outcome = run("segment", *files, "--output", tmp_path / "out", "--weights", weights)
    assert outcome.code == 0, outcome.stderr
    assert dice(tmp_path / "out" / "bladder.nrrd", truth) > 0.85
    assert (tmp_path / "out" / "RTSTRUCT.dcm").exists()


def test_volume_file_has_no_structure_set(run, ct_file, tmp_path, weights, truth):
    outcome = run("segment", ct_file, "--output", tmp_path / "out", "--weights", weights, "--no-crf")
    assert outcome.code == 0, outcome.stderr
    assert dice(tmp_path / "out" / "bladder.nrrd", truth) > 0.85
    assert not (tmp_path / "out" / "RTSTRUCT.dcm").exists()


def test_relative_paths(run, ct_file, tmp_path, weights, truth):
    outcome = run("segment", ct_file.name, "--output", "out", "--weights", weights, cwd=ct_file.parent)
    assert outcome.code == 0, outcome.stderr
    assert dice(ct_file.parent / "out" / "bladder.nrrd", truth) > 0.85


def test_series_is_chosen_by_its_uid(run, scene, tmp_path, weights, truth):
    ct = tmp_path / "ct"
    write_ct_series(scene(bladder=False), ct / "a", seed=1)
    path = write_ct_series(scene(), ct / "b", seed=2)[0]
    uid = str(pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID)
    outcome = run("segment", ct, "--output", tmp_path / "out", "--weights", weights, "--series", uid)
    assert outcome.code == 0, outcome.stderr
    assert dice(tmp_path / "out" / "bladder.nrrd", truth) > 0.85


def test_several_cts_load_the_networks_once(run, ct_folder, ct_file, tmp_path, weights, truth):
    output = tmp_path / "out"
    outcome = run("segment", ct_folder, ct_file, ct_folder, "--output", output, "--weights", weights)
    assert outcome.code == 0, outcome.stderr
    folders = [ct_folder.name, "Becken ü", f"{ct_folder.name}-2"]
    assert {path.name for path in output.iterdir()} == set(folders)
    for folder in folders:
        assert dice(output / folder / "bladder.nrrd", truth) > 0.85
    loads = [event for event in outcome.events if event.get("step") == "load" and event["fraction"] == 0.0]
    assert len(loads) == 1


def test_one_of_several_fails_and_the_others_are_done(run, scene, ct_folder, ct_file, tmp_path, weights):
    empty, without = tmp_path / "empty", tmp_path / "without"
    empty.mkdir()
    write_ct_series(scene(bladder=False), without)
    output = tmp_path / "out"
    outcome = run("segment", without, ct_folder, empty, ct_file, "--output", output, "--weights", weights)
    error = outcome.failed_with(4, "no-bladder", "2 of 4", "without:", "empty:")
    assert str(empty) in " ".join(error["files"]) + error["message"]
    assert {path.name for path in output.iterdir()} == {ct_folder.name, "Becken ü"}
    notes = [event["message"] for event in outcome.events if event.get("event") == "note"]
    assert sum(note.startswith(("without: ", "empty: ")) for note in notes) == 2


def test_a_second_run_replaces_the_first(run, ct_file, tmp_path, weights):
    output = tmp_path / "out"
    for options in ((), ("--no-crf",)):
        outcome = run("segment", ct_file, "--output", output, "--weights", weights, *options)
        assert outcome.code == 0, outcome.stderr
        report = json.loads((output / "report.json").read_text(encoding="utf-8"))
        codes = {warning["code"] for warning in report["warnings"]}
        assert ("fallback" in codes) == bool(options)
    assert list(tmp_path.iterdir()) == [output]
