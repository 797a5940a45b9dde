"""The benchmark of thinner weights, run small as its users run it: figures of every variant, or why int8 has none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from BladderAutoContourLib.networks.plan import NetworkPlan, Plan, StagePlan
from BladderAutoContourLib.networks.weights import build_networks, save_weights

PROGRAM = Path(__file__).resolve().parents[1] / "Benchmarks" / "thinner.py"


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(5)
    stage = StagePlan((4.0, 4.0, 4.0), (32, 32, 32), network=NetworkPlan(width=4))
    save_weights(build_networks(Plan("drawn", stage, stage)), tmp_path / "drawn.pt")
    return tmp_path / "drawn.pt"


def test_every_variant_is_measured(weights, tmp_path):
    words = ["--crops", "1", "--rounds", "1", "--weights", weights, "--output", tmp_path / "out" / "thinner.json"]
    ran = subprocess.run([sys.executable, PROGRAM, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "out" / "thinner.json").read_text(encoding="utf-8"))
    rows = {row["variant"]: row for row in found["variants"]}
    assert {"float32", "bfloat16", "half width, float32"} <= set(rows)
    assert bool(found["int8_missing"]) != ("int8, rest float32" in rows)
    assert all(row["seconds"] > 0 for row in rows.values())
    assert all(name in ran.stdout for name in rows)
    assert rows["float32"]["cnn_dice"] == rows["float32"]["crf_dice"] == [1.0]
    assert all(row["crf_dice"][0] > 0.9 for row in rows.values() if "crf_dice" in row)
    assert "crf_dice" not in rows["half width, float32"]
