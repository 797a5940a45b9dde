"""The paper's preprocessing and CNN: values, parameter count, shapes, normalisation."""

import dataclasses
import json
import math

import pytest
import torch
from BladderAutoContourLib.networks.channels import density_map, dual_channel, scale_intensity
from BladderAutoContourLib.networks.plan import CrfPlan, DecisionPlan, IntensityPlan, NetworkPlan, Plan, StagePlan
from BladderAutoContourLib.networks.vnet import Normalisation, VNet


def volume(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, 1, -1)


def test_density_map_is_the_papers_exponential_without_a_factor_of_two() -> None:
    mapped = density_map(volume(30.0, 50.0, 10.0, 70.0), centre_hu=30.0, width_hu=20.0)
    expected = [1.0, math.exp(-1.0), math.exp(-1.0), math.exp(-4.0)]
    assert mapped.flatten().tolist() == pytest.approx(expected)


def test_fixed_window_clamps_and_ignores_the_rest_of_the_volume() -> None:
    plan = IntensityPlan(window_hu=(-200.0, 300.0))
    scaled = scale_intensity(volume(-1000.0, -200.0, 50.0, 300.0, 3000.0), plan)
    assert scaled.flatten().tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])


def test_minimum_and_maximum_scaling_is_each_volumes_own() -> None:
    hu = torch.cat((volume(-1000.0, 0.0, 1000.0), volume(0.0, 10.0, 40.0)))
    scaled = scale_intensity(hu, IntensityPlan(scaling="minmax"))
    assert scaled[0].flatten().tolist() == pytest.approx([0.0, 0.5, 1.0])
    assert scaled[1].flatten().tolist() == pytest.approx([0.0, 0.25, 1.0])
    assert torch.isfinite(scale_intensity(volume(5.0, 5.0), IntensityPlan(scaling="minmax"))).all()


def test_channels_are_the_scaled_ct_and_its_density_map() -> None:
    hu = torch.randn(2, 3, 4, 5) * 100.0
    plan = IntensityPlan()
    both = dual_channel(hu, plan)
    assert both.shape == (2, 2, 3, 4, 5)
    assert torch.equal(both[:, 0], scale_intensity(hu, plan))
    assert torch.equal(both[:, 1], density_map(hu, plan.density_centre_hu, plan.density_width_hu))
    single = dataclasses.replace(plan, density_map=False)
    assert dual_channel(hu, single).shape == (2, single.channels, 3, 4, 5) == (2, 1, 3, 4, 5)


def test_the_papers_network_has_its_61_989_582_parameters() -> None:
    with torch.device("meta"):
        network = VNet(2, NetworkPlan(width=16, kernel=5, normalisation="batch"))
    assert sum(parameter.numel() for parameter in network.parameters()) == 61_989_582


@pytest.mark.parametrize("shape", [(32, 16, 16), (16, 32, 48)])
@pytest.mark.parametrize("channels", [1, 2])
def test_logits_have_the_size_of_the_input(shape: tuple[int, int, int], channels: int) -> None:
    network = VNet(channels, NetworkPlan(width=4, kernel=3, classes=3))
    with torch.no_grad():
        assert network(torch.randn(2, channels, *shape)).shape == (2, 3, *shape)


def test_the_lean_and_the_papers_network_are_one_class_of_other_size() -> None:
    lean = set(VNet(2, NetworkPlan(width=4, kernel=3)).state_dict())
    with torch.device("meta"):
        assert set(VNet(2, NetworkPlan(width=16, kernel=5)).state_dict()) == lean


@pytest.mark.parametrize("training", [True, False])
def test_instance_normalisation_knows_only_its_own_volume(training: bool) -> None:
    torch.manual_seed(0)
    network = VNet(2, NetworkPlan(width=4, kernel=3)).train(training)
    one, other = torch.randn(1, 2, 16, 32, 32), 3.0 + 5.0 * torch.randn(1, 2, 16, 32, 32)
    with torch.no_grad():
        together, alone = network(torch.cat((one, other))), network(one)
    assert torch.allclose(together[:1], alone, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_batch_normalisation_uses_the_current_batch_in_prediction_too(training: bool) -> None:
    torch.manual_seed(0)
    layer = Normalisation(3, "batch").train(training)
    batch = torch.randn(2, 3, 4, 4, 4) * torch.tensor([1.0, 30.0]).view(2, 1, 1, 1, 1) + 7.0
    normalised = layer(batch)
    assert normalised.mean(dim=(0, 2, 3, 4)).abs().max() < 1e-4
    assert (normalised.var(dim=(0, 2, 3, 4), correction=0) - 1.0).abs().max() < 1e-3
    assert not torch.allclose(layer(batch[:1]), normalised[:1], atol=0.1)
    assert not [name for name in layer.state_dict() if "running" in name]


def test_unknown_normalisation_and_odd_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="normalisation"):
        Normalisation(3, "group")
    with pytest.raises(ValueError, match="multiple"):
        VNet(3, NetworkPlan(width=8))


def test_a_plan_survives_its_json() -> None:
    stage = StagePlan(
        spacing_mm=(2.0, 2.0, 3.0),
        crop_voxels=(128, 128, 64),
        intensity=IntensityPlan(window_hu=(-150.0, 250.0), scaling="minmax", density_map=False),
        network=NetworkPlan(width=16, kernel=5, normalisation="batch"),
    )
    plan = Plan(
        name="paper",
        localiser=dataclasses.replace(stage, spacing_mm=(4.0, 4.0, 5.0)),
        segmenter=stage,
        crf=CrfPlan(theta_alpha_mm=(1.0, 2.0, 3.0), iterations=5),
        decision=DecisionPlan(minimum_confidence=0.7),
        training={"seed": 3, "command": "train --plan paper.json"},
        scores={"dice": 0.9},
        sha256="ab",
    )
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"name": "x", "localiser": {}, "segmenter": {}})])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        Plan.from_json(text)
