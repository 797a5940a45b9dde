"""`benchmark`: a real run of `segment`, measured."""

import json
import time

import numpy as np
import pytest
import SimpleITK as sitk


def test_a_run_is_measured(run, ct_folder, weights, tmp_path):
    begun = time.perf_counter()
    outcome = run("benchmark", "--ct", ct_folder, "--output", tmp_path / "out", "--weights", weights)
    whole = time.perf_counter() - begun
    assert outcome.code == 0, outcome.stderr
    found = json.loads((tmp_path / "out" / "benchmark.json").read_text(encoding="utf-8"))
    steps = {step["name"]: step for step in found["steps"]}
    assert {"read", "localise", "segment", "restore", "decide", "structure-set", "picture", "write"} <= set(steps)
    assert 0 < sum(step["seconds"] for step in steps.values()) < found["seconds"] < whole
    assert found["seconds"] == pytest.approx(
        sum(step["seconds"] for step in steps.values()) + found["other_seconds"], abs=0.05
    )
    # seen from outside: no less than the steps say of themselves, but for rounding
    assert found["peak_mb"] >= max(step["peak_mb"] for step in steps.values()) - 0.1 > 50
    (warm,) = found["warm"]["seconds"][-1:]
    assert 0 < warm < found["seconds"]
    assert set(found["warm"]["steps"]) == set(steps)
    assert found["warm"]["peak_mb"] > 50
    assert (found["size"], found["spacing_mm"]) == ([64, 64, 40], [4.0, 4.0, 5.0])
    assert found["model"] == "water"
    for name in (*steps, "whole run"):
        assert any(line.startswith(name) for line in outcome.stdout.splitlines()), name


def test_smoke_generates_its_ct_and_larger_ones(run, weights, tmp_path):
    outcome = run("benchmark", "--smoke", "--growth", "--output", tmp_path, "--weights", weights)
    assert outcome.code == 0, outcome.stderr
    found = json.loads((tmp_path / "benchmark.json").read_text(encoding="utf-8"))
    assert (found["size"], found["spacing_mm"]) == ([128, 128, 60], [3.9, 3.9, 5.0])
    steps = [event["step"] for event in outcome.events if event.get("event") == "progress"]
    assert list(dict.fromkeys(steps)) == ["generate", "measure", "growth"]
    runs = json.loads((tmp_path / "growth.json").read_text(encoding="utf-8"))["runs"]
    assert [(cost["matrix"], cost["slices"]) for cost in runs] == [(128, 60), (64, 90)]
    assert all(cost["seconds"] > 0 and cost["peak_mb"] > 50 for cost in runs)
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "growth.png")))
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 4


def test_a_peer_that_cannot_be_installed_is_told(run, ct_folder, weights, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    outcome = run("benchmark", "--smoke", "--ct", ct_folder, "--weights", weights, "--peers", tmp_path / "peers")
    outcome.failed_with(8, "environment", "pydensecrf2", "--peers")
    assert "whole run" not in outcome.stdout, "minutes of measuring came before"


def test_a_run_that_fails_is_told_in_its_own_words(run, ct_folder, scene, weights, tmp_path):
    run("benchmark", "--ct", tmp_path / "nowhere").failed_with(3, "input", "nowhere")
    (tmp_path / "empty").mkdir()
    outcome = run("benchmark", "--ct", tmp_path / "empty", "--weights", weights)
    outcome.failed_with(3, "input", str(tmp_path / "empty"))
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"none")
    run("benchmark", "--ct", ct_folder, "--weights", broken).failed_with(7, "weights", "broken.json")
