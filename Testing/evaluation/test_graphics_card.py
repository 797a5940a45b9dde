"""The benchmark of a graphics card, on the pretended one: it measures what it says, and torch and numpy suffice it."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from BladderAutoContourLib.networks.weights import Networks, load_weights
from pretend_card import pretended_card
from small_engine import save_water_weights

BENCHMARK = Path(__file__).parents[1] / "Benchmarks" / "graphics_card.py"
ABSENT = ("SimpleITK", "pydicom", "vtk", "vtkmodules", "scipy")
WITHOUT_A_CARD = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    found = importlib.util.spec_from_file_location("graphics_card", BENCHMARK)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    return load_weights(save_water_weights(tmp_path_factory.mktemp("weights") / "water.pt", 32, 6.0), "cpu")


def test_every_part_of_a_click_is_measured(benchmark, networks, monkeypatch) -> None:
    widths = next(iter(benchmark.PLANS))
    monkeypatch.setattr(benchmark, "PLANS", {widths: benchmark.PLANS[widths]})
    with pretended_card():
        costs = benchmark.pipeline_costs(networks, runs=1) | benchmark.crf_costs(runs=1, size=(16, 16, 16))
    assert len(costs) == 5 + 2
    assert all(one["ms"] > 0 and one["mib"] > 0 for one in costs.values())
    assert costs[f"{widths}, forward and backward"]["mib"] > costs[widths]["mib"]


def test_card_and_processor_agree(benchmark, networks) -> None:
    with pretended_card():
        found = benchmark.agreement_with_processor(networks, crops=1)
    assert found == {
        "crops": 1,
        "least_dice_cnn": pytest.approx(1, abs=1e-3),
        "least_dice_crf_rnn": pytest.approx(1, abs=1e-3),
    }


def test_what_little_memory_does_is_told(benchmark, networks) -> None:
    with pretended_card(cap_bytes=2**30):
        much, none = benchmark.with_less_memory(networks, (4096, 0))
    assert not much["fallback"]
    assert not much["failures"]
    assert much["device"].startswith("GPU")
    assert none["fallback"]
    assert none["device"].startswith("CPU")
    assert all("out of memory" in reason for reason in none["failures"])
    assert len(none["failures"]) == 2
    assert much["voxels"] == pytest.approx(none["voxels"], rel=0.01)


def test_what_is_measured_before_a_part_fails_is_kept(benchmark, tmp_path, monkeypatch) -> None:
    def fail(runs: int) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")

    weights = save_water_weights(tmp_path / "water.pt", 32, 6.0)
    monkeypatch.setattr(benchmark, "default_weights", lambda: weights)
    monkeypatch.setattr(benchmark, "crf_costs", fail)
    output = tmp_path / "no" / "such" / "folder" / "card.json"
    monkeypatch.setattr(sys, "argv", ["graphics_card.py", "--runs", "1", "--output", str(output)])
    with pretended_card(), pytest.raises(RuntimeError, match="launch failure"):
        benchmark.main()
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["a_click"]["CNN, a look"]["ms"] > 0
    assert found["cudnn"] is None
    assert "crf_rnn" not in found


def test_a_card_that_cannot_compute_is_told(benchmark, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["graphics_card.py"])
    with pretended_card() as card:
        card.failure = RuntimeError("CUDA error: no kernel image is available for execution on the device")
        with pytest.raises(SystemExit, match="cannot compute on the graphics card"):
            benchmark.main()


def test_without_a_card_it_says_so_and_torch_and_numpy_suffice() -> None:
    code = (
        f"import sys, runpy; sys.modules.update(dict.fromkeys({ABSENT!r})); sys.argv[:] = ['graphics_card.py']; "
        f"runpy.run_path({str(BENCHMARK)!r}, run_name='__main__')"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=WITHOUT_A_CARD
    )
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("There is no CUDA graphics card here")
