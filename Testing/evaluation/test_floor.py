"""The least work of CRF-RNN and CNN, and what a machine's rates make of it."""

import dataclasses

import pytest
import torch
from BladderAutoContourLib.evaluation.peers.crf import PLANS
from BladderAutoContourLib.evaluation.peers.floor import Machine, crf_floor, network_floor
from BladderAutoContourLib.networks.plan import NetworkPlan, StagePlan
from BladderAutoContourLib.networks.vnet import VNet
from torch.utils.flop_counter import FlopCounterMode

MACHINE = Machine(threads=1, gflops=100.0, bfloat16_gflops=200.0, gigabytes=10.0)


def test_the_floor_grows_with_the_voxels():
    small, large = (crf_floor(PLANS["6 mm, 30 HU"], (32, 32, n), (2.0, 2.0, 3.0), MACHINE) for n in (16, 32))
    assert large.gigabytes == pytest.approx(2 * small.gigabytes)
    assert 2 * small.gflop <= large.gflop <= 3 * small.gflop
    assert small.compute_seconds == pytest.approx(small.gflop / 100.0)


def test_the_networks_operations_are_those_that_torch_counts():
    stage = StagePlan((3.0, 3.0, 3.0), (32, 16, 48), network=NetworkPlan(width=4))
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        VNet(stage.intensity.channels, stage.network)(torch.zeros(1, 2, 48, 16, 32))
    found = network_floor(stage, torch.float32, MACHINE)
    assert found.gflop == pytest.approx(counter.get_total_flops() / 1e9)
    assert found.compute_seconds == pytest.approx(found.gflop / 100.0)
    half = network_floor(stage, torch.bfloat16, MACHINE)
    assert (half.gflop, half.gigabytes) == pytest.approx((found.gflop, found.gigabytes / 2))
    assert half.compute_seconds == pytest.approx(found.compute_seconds / 2)


def test_a_network_of_twice_the_voxels_moves_hardly_more_than_twice_the_bytes():
    stage = StagePlan((3.0, 3.0, 3.0), (32, 32, 32))
    twice = dataclasses.replace(stage, crop_voxels=(32, 32, 64))
    small, large = (network_floor(one, torch.float32, MACHINE) for one in (stage, twice))
    assert large.gflop == pytest.approx(2 * small.gflop)
    assert 1.0 < large.gigabytes / small.gigabytes < 2.0  # the weights are read once in both
