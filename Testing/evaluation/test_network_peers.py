"""The networks' cost as the benchmark measures it: our own workers, and what is said where MONAI cannot be had."""

import io
import venv

import pytest
import torch
from BladderAutoContourLib.evaluation.peers.network import (
    Extent,
    as_data,
    as_text,
    compare,
    seconds_of,
    tasks,
)
from BladderAutoContourLib.events import Events
from BladderAutoContourLib.networks.plan import NetworkPlan, Plan, StagePlan

EXTENT = Extent(runs=1, share=0.4)
NETWORK = NetworkPlan(width=2)
PLAN = Plan(
    "small",
    localiser=StagePlan((6.0,) * 3, (64, 64, 48), network=NETWORK),
    segmenter=StagePlan((3.0,) * 3, (80, 80, 64), network=NETWORK),
)


@pytest.mark.parametrize("number", [0, 2])
def test_ours_is_measured_where_monai_cannot_be_installed(number, tmp_path):
    venv.create(tmp_path / "peers")  # without pip: nothing can be installed there
    task = tasks(PLAN, EXTENT)[number]
    assert task.hu.shape == (32, 32, 32)
    assert task.hu.max() - task.hu.min() > 500  # a body in air
    found = compare([task], EXTENT, tmp_path / "peers", tmp_path, Events(io.StringIO()))
    assert "could not be installed" in found.missing
    assert {cost.method for cost in found.costs} == {task.ours}
    assert found.costs[0].number_type == "float32"
    assert all(cost.seconds > 0 and cost.ratio == 1.0 and cost.peak_mb >= 0 for cost in found.costs)
    text = as_text(found)
    assert found.missing in text
    assert f"{task.name}, 32 x 32 x 32" in text
    assert as_data(found, EXTENT)["missing"] == found.missing
    if number == 0:
        assert seconds_of(found.costs, "segmenter", torch.float32) == found.costs[0].seconds
