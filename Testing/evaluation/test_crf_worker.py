"""The programs that the benchmark measures: our own workers on a generated problem, against brute force."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from BladderAutoContourLib.errors import EnvironmentFault
from BladderAutoContourLib.evaluation.peers.crf import PLANS, brute_force
from BladderAutoContourLib.evaluation.peers.crf_problem import generated_problem
from BladderAutoContourLib.evaluation.peers.measured_program import MeasuredProgram
from BladderAutoContourLib.evaluation.speed.growth import Cost, as_large_as, seconds_a_slice
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume


@pytest.mark.parametrize("method", ["crf-rnn", "cosine 2.5"])
def test_the_worker_answers_with_seconds_and_memory_and_solves_the_problem(method, tmp_path):
    problem = generated_problem(PLANS["6 mm, 30 HU"], (24, 24, 16)).crop((2, 6, 6), 12)
    assert problem.hu.shape == (12, 12, 12)
    problem.save(tmp_path / "crop.npz")
    words = ["-m", "BladderAutoContourLib.evaluation.peers.crf_worker", method, str(tmp_path / "crop.npz")]
    answered = subprocess.run(
        [sys.executable, *words], input="0\n0\n", capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert answered[0] == "ready"
    for line in answered[1:3]:
        seconds, grown_mb = map(float, line.split())
        assert seconds > 0
        assert grown_mb >= 0
    found, exact = np.load(tmp_path / f"crop.{method}.npy"), brute_force(problem)
    assert np.abs(found - exact).mean() < 1e-3
    assert ((exact >= 0.5) != (problem.logits[1] >= 0)).mean() > 0.01  # there was something to solve


def test_a_measured_program_that_has_died_is_told_and_not_taken_for_cancelled(tmp_path):
    generated_problem(PLANS["6 mm, 30 HU"], (24, 24, 16)).crop((2, 6, 6), 8).save(tmp_path / "crop.npz")
    with MeasuredProgram(Path(sys.executable), "crf_worker", "crf-rnn", tmp_path / "crop.npz") as program:
        assert program.solve(0)[0] > 0
        for _ in range(2):  # it dies of the first, and the second finds nobody who listens
            with pytest.raises(EnvironmentFault, match="ended with code 1"):
                program.solve("no number")


def test_a_longer_body_begins_as_the_base_and_holds_one_bladder_more_or_less_of_it():
    base = Volume(np.arange(10 * 4 * 4, dtype=np.int16).reshape(10, 4, 4), Geometry((4, 4, 10), (1.0, 1.0, 3.0)))
    longer = as_large_as(base, 4, 23)
    assert longer.geometry.size == (4, 4, 23)
    assert np.array_equal(longer.array[:10], base.array)
    assert longer.array[10:].min() >= base.array[6].min()  # nothing from below the upper part
    coarse = as_large_as(base, 2, 5)
    assert coarse.array.shape == (5, 2, 2)
    assert coarse.array[0, 0, 0] == round(base.array[0, :2, :2].mean())
    assert coarse.geometry.spacing_mm == (2.0, 2.0, 3.0)
    assert coarse.geometry.origin_mm == (0.5, 0.5, 0.0)


def test_seconds_of_a_further_slice():
    costs = [Cost(512, 100, 3.0, 1.0), Cost(512, 300, 7.0, 1.0), Cost(512, 200, 5.0, 1.0), Cost(256, 100, 1.0, 1.0)]
    found = seconds_a_slice(costs)
    assert found[512] == pytest.approx([0.02, 0.02])
    assert found[256] == []
