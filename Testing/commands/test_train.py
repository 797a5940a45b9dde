"""`train` on a hospital's own patients: who is held out, what is reported, weights that the engine takes."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest
from BladderAutoContourLib.dicom.structure_set import write_rtstruct
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.evaluation.cases import find_cases
from BladderAutoContourLib.evaluation.people import people, sealed
from BladderAutoContourLib.imaging.files import read_volume, write_volume
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.networks.plan import DoubtPlan, NetworkPlan, Plan, StagePlan
from BladderAutoContourLib.networks.weights import load_weights
from BladderAutoContourLib.training.fine_tuning import going_on as from_weights
from BladderAutoContourLib.training.plan import StageSchedule, TrainingPlan
from small_engine import write_water_series

NAMES = ("Röntgen 1", "patient 2", "patient 3", "patient 4")
QUICK_STAGE = StageSchedule("localiser", 2, warmup=1, batch=1, precision="float32")
QUICK = ("--device", "cpu", "--calibrate", "0", "--workers", "0")


@pytest.fixture(scope="session")
def patients(truth, scene, tmp_path_factory) -> Path:
    """Four folders: three DICOM series with structure sets, whose bladders have two names; one volume with a mask."""
    folder = tmp_path_factory.mktemp("own patients")
    ct = scene()
    mask = Volume(truth.astype(np.uint8), ct.geometry)
    for seed, (name, roi_name) in enumerate(zip(NAMES, ("Bladder", "Vescica", "vescica "), strict=False)):
        write_water_series(folder / name / "ct", seed=seed)
        series = read_ct([folder / name / "ct"])
        write_rtstruct(series, mask, folder / name / "RTSTRUCT.dcm", StructureRequest(roi_name=roi_name))
    (folder / NAMES[3]).mkdir()
    write_volume(ct, folder / NAMES[3] / "ct.nrrd")
    write_volume(mask, folder / NAMES[3] / "bladder.nrrd")
    return folder


@pytest.fixture
def fine_tune(run, weights, patients):
    """Run a short fine-tuning."""

    def command(output: Path, *more: str | Path):
        options = ("--start-from", weights, "--patients", patients, "--roi", "Bladder", "--roi", "Vescica")
        return run("train", *options, "--output", output, "--steps", "4", *QUICK, *more)

    return command


def test_own_patients_give_weights_that_segment_accepts(fine_tune, run, weights, patients, ct_folder, tmp_path):
    output = tmp_path / "eigene Gewichte"
    outcome = fine_tune(output, "--hold-out", NAMES[1])
    assert outcome.code == 0, outcome.stderr
    report = json.loads((output / "held-out.json").read_text(encoding="utf-8"))
    (patient,) = report["patients"]
    assert patient["patient"] == NAMES[1]
    for side in ("before", "after"):
        assert patient[side]["dice"] > 0.85
        assert patient[side]["volume_ml"] == pytest.approx(patient[side]["reference_ml"], rel=0.2)
        assert report["mean_dice"][side] == patient[side]["dice"]
    text = (output / "held-out.txt").read_text(encoding="utf-8")
    assert text in outcome.stdout
    assert f"{patient['after']['dice']:.3f}" in text
    plan = json.loads((output / "water-own.json").read_text(encoding="utf-8"))
    origin = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    assert plan["training"]["start_from"]["sha256"] == origin["sha256"] == report["models"]["before"]["sha256"]
    assert (plan["training"]["patients"], plan["training"]["held_out"]) == (3, 1)
    assert plan["sha256"] == report["models"]["after"]["sha256"] != origin["sha256"]
    assert not any(name in json.dumps(plan, ensure_ascii=False) for name in NAMES)
    contour = run("segment", ct_folder, "--output", tmp_path / "contour", "--weights", output / "water-own.pt")
    assert contour.code == 0, contour.stderr
    assert (tmp_path / "contour" / "RTSTRUCT.dcm").exists()
    report = (tmp_path / "contour" / "report.json").read_text(encoding="utf-8")
    assert json.loads(report)["model"]["plan"]["training"]["patients"] == 3
    assert not any(one in report for one in plan["training"]["shown"]["identities"])
    words = ("--cases", patients, "--roi", "Bladder", "--roi", "Vescica", "--device", "cpu")
    judged = run("evaluate", *words, "--weights", output / "water-own.pt", "--output", tmp_path / "judged")
    assert judged.code == 0, judged.stderr
    judgement = json.loads((tmp_path / "judged" / "evaluation.json").read_text(encoding="utf-8"))
    rows = {row["case"]: row for row in judgement["cases"]}
    assert [name for name, row in rows.items() if "no test of them" not in row["message"]] == [NAMES[1]]
    assert (judgement["summary"]["cases"], len(judgement["summary"]["shown_in_training"])) == (1, 3)
    assert judgement["summary"]["metrics"]["dice"]["mean"] == rows[NAMES[1]]["dice"]
    assert judgement["volume_agreement"]["cases"] == judgement["reliability"]["cases"] == 1
    assert "3 not counted, which the weights were shown in training" in judged.stdout
    said = [event["message"] for event in judged.events if event["event"] == "note"]
    assert sum("shown this patient in training" in note for note in said) == 3


def test_the_share_that_is_held_out_follows_the_names(fine_tune, tmp_path):
    outcome = fine_tune(tmp_path / "a")
    assert outcome.code == 0, outcome.stderr
    split = json.loads((tmp_path / "a" / "patients.json").read_text(encoding="utf-8"))
    assert len(split["held_out"]) >= 1
    assert sorted(split["shown"] + split["held_out"]) == sorted(NAMES)
    other = next(name for name in NAMES if name not in split["held_out"])
    changed = fine_tune(tmp_path / "a", "--resume", "--hold-out", other)
    changed.failed_with(3, "input", "held out", "another folder")
    again = fine_tune(tmp_path / "a", "--resume")
    assert again.code == 0, again.stderr
    curve = (tmp_path / "a" / "segmenter" / "curve.csv").read_text(encoding="utf-8")
    assert len(curve.splitlines()) == 5
    fine_tune(tmp_path / "a", "--resume", "--roi", "Blase").failed_with(
        3, "input", "other CTs or contours", "another folder"
    )


def test_what_the_contours_of_patients_lack_is_said(fine_tune, patients, tmp_path):
    gaps = shutil.copytree(patients, tmp_path / "gaps")
    for name in NAMES[:2]:
        path = gaps / name / "RTSTRUCT.dcm"
        dataset = pydicom.dcmread(path)
        drawn = dataset.ROIContourSequence[0].ContourSequence
        dataset.ROIContourSequence[0].ContourSequence = [*drawn[:5], *drawn[6:]]
        dataset.save_as(path)
    outcome = fine_tune(tmp_path / "out", "--hold-out", NAMES[1], "--patients", gaps)
    assert outcome.code == 0, outcome.stderr
    notes = [event["message"] for event in outcome.events if event["event"] == "note"]
    said = [note.partition(": ") for note in notes if "slices between the contours" in note]
    # Who is shown is read for both networks and told of once; who is held out is judged before and after.
    assert sorted(name for name, _, _ in said) == sorted((NAMES[0], NAMES[1], NAMES[1]))


def test_what_would_teach_the_networks_wrong_is_refused(fine_tune, patients, tmp_path):
    """A bladder that was drawn on every second slice; a CT that does not say how the patient lies in it."""
    wrong = shutil.copytree(patients, tmp_path / "wrong")
    path = wrong / NAMES[0] / "RTSTRUCT.dcm"
    dataset = pydicom.dcmread(path)
    drawn = dataset.ROIContourSequence[0].ContourSequence
    dataset.ROIContourSequence[0].ContourSequence = drawn[::2]
    dataset.save_as(path)
    whole = (wrong / NAMES[3] / "ct.nrrd").read_bytes()
    (wrong / NAMES[3] / "ct.nrrd").write_bytes(re.sub(rb"space: [^\n]*\n", b"space dimension: 3\n", whole, count=1))
    refused = fine_tune(tmp_path / "out", "--patients", wrong)
    refused.failed_with(3, "input", NAMES[0], "have no contour", "Interpolate", NAMES[3], "how the patient lies")


def test_slices_left_out_are_seen_whichever_way_a_file_holds_the_patient(fine_tune, patients, tmp_path):
    """In a sagittal file the first axis runs from side to side."""
    sagittal = shutil.copytree(patients, tmp_path / "sagittal") / NAMES[3]
    mask = sitk.ReadImage(sagittal / "bladder.nrrd")
    drawn = sitk.GetArrayFromImage(mask)
    drawn[::2] = 0
    gaps = sitk.GetImageFromArray(drawn)
    gaps.CopyInformation(mask)
    for image, name in ((sitk.ReadImage(sagittal / "ct.nrrd"), "ct.nrrd"), (gaps, "bladder.nrrd")):
        sitk.WriteImage(sitk.PermuteAxes(image, (1, 2, 0)), sagittal / name)
    refused = fine_tune(tmp_path / "out", "--patients", sagittal.parent)
    refused.failed_with(3, "input", NAMES[3], "have no contour", "Interpolate")


def test_another_ct_is_not_mixed_in(fine_tune, patients, tmp_path):
    """Its patient was seen by one network, and would be recognised by neither CT alone."""
    changed = shutil.copytree(patients, tmp_path / "changed")
    options = ("--patients", changed, "--hold-out", NAMES[0], "--stage", "localiser")
    assert fine_tune(tmp_path / "out", *options).code == 0
    ct = read_volume(changed / NAMES[3] / "ct.nrrd")
    write_volume(Volume(ct.array + 5, ct.geometry), changed / NAMES[3] / "ct.nrrd")
    fine_tune(tmp_path / "out", *options, "--resume").failed_with(3, "input", "other CTs or contours", "another folder")


def test_nobody_is_shown_under_one_name_and_held_out_under_another(fine_tune, run, patients, tmp_path):
    doubled = shutil.copytree(patients, tmp_path / "doubled")
    shutil.copytree(doubled / NAMES[1], doubled / "again")
    options = ("--patients", doubled)
    output = tmp_path / "out"
    refused = fine_tune(output, *options, "--hold-out", NAMES[1])
    refused.failed_with(2, "usage", "again", NAMES[1], "show one patient", "both")
    assert not output.exists()
    outcome = fine_tune(output, *options, "--hold-out", NAMES[1], "--hold-out", "again")
    assert outcome.code == 0, outcome.stderr
    split = json.loads((output / "patients.json").read_text(encoding="utf-8"))
    assert split["held_out"] == sorted((NAMES[1], "again"))

    own = output / "water-own.pt"
    plan = own.with_suffix(".json").read_text(encoding="utf-8")
    assert len(json.loads(plan)["training"]["shown"]["identities"]) == 7
    series = read_ct([patients / NAMES[0] / "ct"])
    assert not any(word in plan for word in ("SEED", series.series_uid, str(series.header.StudyInstanceUID)))
    onwards = ("--start-from", own, "--patients", patients)
    for name in (NAMES[0], NAMES[3]):
        seen = fine_tune(tmp_path / "more", *onwards, "--hold-out", name)
        seen.failed_with(3, "input", "water-own.pt was trained on the patient in", name, "Hold out others")
    assert not (tmp_path / "more").exists()
    again = fine_tune(tmp_path / "more", *onwards, "--hold-out", NAMES[1], "--stage", "localiser")
    assert again.code == 0, again.stderr


def test_two_processes_share_a_fine_tuning(weights, patients, tmp_path):
    output = tmp_path / "out"
    ranks = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "BladderAutoContourLib")
    options = ("--start-from", weights, "--patients", patients, "--roi", "Bladder", "--roi", "Vescica", "--steps", "2")
    held_out = ("--hold-out", NAMES[0], "--stage", "localiser")
    words = [sys.executable, *ranks, "train", *options, *held_out, "--output", output, *QUICK]
    outcome = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, timeout=400)
    assert outcome.returncode == 0, outcome.stderr
    curve = (output / "localiser" / "curve.csv").read_text(encoding="utf-8")
    assert len(curve.splitlines()) == 3


def test_a_first_try_that_trained_nothing_binds_nobody(fine_tune, run, weights, patients, tmp_path):
    output = tmp_path / "out"
    options = ("--start-from", weights, "--patients", patients, "--output", output, *QUICK)
    run("train", *options, "--roi", "Bladder", "--hold-out", NAMES[1]).failed_with(3, "input", "has no structure")
    assert fine_tune(output, "--hold-out", NAMES[0], "--stage", "localiser").code == 0


def test_everybody_who_cannot_be_used_is_named_at_once(fine_tune, patients, tmp_path):
    spoiled = shutil.copytree(patients, tmp_path / "spoiled")
    for name in (NAMES[1], NAMES[3]):
        for file in spoiled.joinpath(name).glob("[bR]*"):
            file.write_bytes(b"no structure set, no mask")
    outcome = fine_tune(tmp_path / "out", "--patients", spoiled, "--hold-out", NAMES[0])
    outcome.failed_with(3, "input", f"The patient in {NAMES[1]} cannot", f"The patient in {NAMES[3]} cannot")
    assert not list((tmp_path / "out").glob("*/checkpoint.pt"))


def test_folders_of_one_patient_cannot_be_divided(run, weights, patients, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(patients / NAMES[1], tmp_path / "patients" / name)
    options = ("--start-from", weights, "--patients", tmp_path / "patients", "--output", tmp_path / "out", *QUICK)
    run("train", *options, "--roi", "Vescica").failed_with(3, "input", "one patient", "PatientID")


def test_a_training_that_nobody_could_judge_is_refused(fine_tune, run, weights, patients, tmp_path):
    output = tmp_path / "out"
    fine_tune(output, "--hold-out-share", "0").failed_with(2, "usage", "holds out nobody")
    fine_tune(output, "--hold-out", "nobody").failed_with(2, "usage", "no patient nobody")
    everybody = [word for name in NAMES for word in ("--hold-out", name)]
    fine_tune(output, *everybody).failed_with(2, "usage", "nobody is left")
    shutil.copytree(patients / NAMES[3], tmp_path / "single" / NAMES[3])
    options = ("--start-from", weights, "--output", output, *QUICK)
    run("train", *options, "--patients", tmp_path / "single").failed_with(3, "input", "one patient", "held out")
    run("train", *options).failed_with(2, "usage", "--patients")
    run("train", *options, "--patients", patients, "--roi", "Bladder").failed_with(
        3, "input", "has no structure", "Vescica"
    )
    fine_tune(output, "--hold-out", NAMES[0], "--hold-out-share", "7").failed_with(
        2, "usage", "leave out --hold-out-sh"
    )
    fine_tune(output, "--workers", "-1").failed_with(2, "usage", "--workers", "from 0 on")
    fine_tune(output, "--calibrate", "-3").failed_with(2, "usage", "--calibrate", "from 0 on")
    fine_tune(output, "--steps", "0").failed_with(2, "usage", "--steps", "from 1 on")
    assert not (output / "segmenter").exists()


def test_a_plan_that_a_training_has_kept_tells_whom_it_was_shown(run, patients, tmp_path):
    """Who goes on with it may not hold out somebody else."""
    (shown, *_) = people(find_cases(patients))
    plan = tiny_plan(tmp_path / "run.json", 0.5)
    raw = json.loads(plan.read_text(encoding="utf-8"))
    raw["notes"] = {"shown": sealed(shown.identities)}
    plan.write_text(json.dumps(raw), encoding="utf-8")
    options = ("--patients", patients, "--hold-out", shown.cases[0].name, "--output", tmp_path / "out", *QUICK)
    seen = run("train", "--plan", plan, *options)
    seen.failed_with(3, "input", "run.json was trained on the patient in", shown.cases[0].name, "Hold out others")


def tiny_plan(path: Path, share: float) -> Path:
    network = NetworkPlan(width=2)
    plan = Plan(
        "mixed",
        StagePlan((12, 12, 12), (32, 32, 16), network=network),
        StagePlan((8, 8, 8), (32, 32, 16), network=network),
    )
    stages = tuple(
        StageSchedule(stage, 3, warmup=1, batch=1, precision="float32", patients=share)
        for stage in ("localiser", "segmenter")
    )
    path.write_text(json.dumps(dataclasses.asdict(TrainingPlan(5, plan, stages))), encoding="utf-8")
    return path


def test_a_plan_mixes_patients_with_generated_ones(run, patients, tmp_path):
    options = ("--patients", patients, "--roi", "Bladder", "--roi", "Vescica", "--hold-out", NAMES[3], *QUICK)
    output = tmp_path / "out"
    outcome = run("train", "--plan", tiny_plan(tmp_path / "plan.json", 0.5), "--output", output, *options)
    assert outcome.code == 0, outcome.stderr
    report = json.loads((output / "held-out.json").read_text(encoding="utf-8"))
    assert [patient["patient"] for patient in report["patients"]] == [NAMES[3]]
    assert "before" not in report["patients"][0]
    assert json.loads((output / "mixed.json").read_text(encoding="utf-8"))["training"]["patients"] == 3


@pytest.fixture
def going_on(weights, tmp_path):
    """Write a plan that trains the localiser of the weights on, and say what trains by it."""
    start = load_weights(weights, "cpu").plan

    def options(*stages: StageSchedule, notes: dict | None = None, **changes) -> list[Path | str]:
        stages = stages or (QUICK_STAGE,)
        plan = tmp_path / "plan.json"
        training = TrainingPlan(5, dataclasses.replace(start, **{"name": "gone-on", **changes}), stages, notes or {})
        plan.write_text(json.dumps(dataclasses.asdict(training)), encoding="utf-8")
        return ["--plan", plan, "--start-from", weights, "--output", tmp_path / "out", *QUICK]

    return options


def test_a_plan_goes_on_from_finished_weights(run, going_on, weights, tmp_path):
    """What no stage of it trains stays as it was, and so does what was fitted to them."""
    start = load_weights(weights, "cpu")
    notes = {"why": "a test", "shown": sealed({"somebody"})}
    options = going_on(notes=notes, doubt=DoubtPlan(), scores={"held_out": 1.0})
    outcome = run("train", *options)
    assert outcome.code == 0, outcome.stderr
    after = load_weights(tmp_path / "out" / "gone-on.pt", "cpu")
    told = after.plan.training
    assert (told["why"], told["start_from"]["sha256"]) == ("a test", start.plan.sha256)
    assert "shown" not in told
    assert (after.plan.decision, after.plan.doubt, after.plan.scores) == (start.plan.decision, start.plan.doubt, {})
    changed = {
        name.partition(".")[0]
        for (name, one), other in zip(
            start.modules().state_dict().items(), after.modules().state_dict().values(), strict=True
        )
        if not one.equal(other)
    }
    assert changed == {"localiser"}
    run("train", "--plan", tmp_path / "out" / "run.json", "--output", tmp_path / "again", *QUICK).failed_with(
        2, "usage", "began with the weights", start.plan.name, "--start-from"
    )


def test_a_plan_that_does_not_fit_the_weights_is_refused(run, going_on, weights, tmp_path):
    start = load_weights(weights, "cpu").plan

    def refused(words: str, *stages: StageSchedule, **changes) -> None:
        training = TrainingPlan(5, dataclasses.replace(start, **{"name": "on", **changes}), stages or (QUICK_STAGE,))
        with pytest.raises(InputError, match=words) as caught:
            from_weights(training, start, weights)
        assert weights.name in caught.value.message

    refused("both named water. .* name of its own", name=start.name)
    refused(
        "The localiser of .* network differ", localiser=dataclasses.replace(start.localiser, network=NetworkPlan(4))
    )
    finer = dataclasses.replace(start.segmenter, spacing_mm=(2.0, 2.0, 2.0))
    refused("The segmenter of .* spacing_mm differ. Take segmenter over", segmenter=finer)
    other = dataclasses.replace(start.crf, temperature=None if start.crf.temperature else 2.0)
    joint = StageSchedule("joint", 2, batch=1, start_from="segmenter", train_network=False, precision="float32")
    segmenter = dataclasses.replace(QUICK_STAGE, stage="segmenter")
    refused("The crf of .* temperature differ", segmenter, joint, crf=other)
    again = dataclasses.replace(joint, start_from="")
    refused('joint would begin .* again, .* "start_from" .* "segmenter"', segmenter, again)
    options = going_on(name=start.name)
    run("train", *options).failed_with(3, "input", "both named", "name of its own")
    run("train", *options[2:], "--steps", "2").failed_with(2, "usage", "--patients", "--plan")
    run("train", *options[4:]).failed_with(2, "usage", "--plan", "--start-from", "both")
    assert not (tmp_path / "out").exists()


def test_a_plan_and_its_patients_belong_together(run, patients, tmp_path):
    output = ("--output", tmp_path / "out", *QUICK)
    plan = tiny_plan(tmp_path / "without.json", 0.0)
    run("train", "--plan", plan, "--patients", patients, *output).failed_with(2, "usage", "No stage")
    plan = tiny_plan(tmp_path / "with.json", 0.5)
    run("train", "--plan", plan, *output).failed_with(2, "usage", "--patients")
    plan.write_text(plan.read_text(encoding="utf-8").replace('"patients": 0.5', '"patients": 1.5'), encoding="utf-8")
    run("train", "--plan", plan, *output).failed_with(3, "input", "a number from 0 to 1")
    assert not (tmp_path / "out").exists()


def test_calibration_says_what_it_was_fitted_on_and_how_exact_the_processor_is(fine_tune, tmp_path):
    assert fine_tune(tmp_path / "own", "--hold-out", NAMES[1]).code == 0
    before = json.loads((tmp_path / "own" / "water-own.json").read_text(encoding="utf-8"))
    outcome = fine_tune(tmp_path / "own", "--hold-out", NAMES[1], "--resume", "--calibrate", "1")
    assert outcome.code == 0, outcome.stderr
    after = json.loads((tmp_path / "own" / "water-own.json").read_text(encoding="utf-8"))
    assert after["decision"]["calibration_slope"] != before["decision"]["calibration_slope"]
    assert after["doubt"] != before["doubt"]
    found = after["scores"]["precision"]
    assert found["number_type"] in ("bfloat16", "float32")
    assert 0.9 < found["least_dice_with_float32"]["crf-rnn"] <= found["mean_dice_with_float32"]["crf-rnn"] <= 1
