"""The CRF-RNN against mean field by definition, and as a layer: gradients, types, devices, voxel sizes, training."""

import dataclasses

import pytest
import torch
from BladderAutoContourLib.evaluation.peers.brute_force import Widths, mean_field
from BladderAutoContourLib.networks.crf_rnn import CrfRnn, voxel_unit_plan
from BladderAutoContourLib.networks.gaussian import BilateralGaussian, NormalisedFilter, SpatialGaussian
from BladderAutoContourLib.networks.plan import CrfPlan, NetworkPlan
from BladderAutoContourLib.networks.vnet import VNet
from scene import ct_like

SPACING_MM = (2.0, 2.0, 3.0)
SOFT = CrfPlan(theta_alpha_mm=(6.0, 6.0, 6.0), theta_beta_hu=30.0)
PLANS = {
    "6 mm, 30 HU": SOFT,
    "3 mm, 15 HU": CrfPlan(theta_alpha_mm=(3.0, 3.0, 3.0), theta_beta_hu=15.0),
    "the paper's": voxel_unit_plan(SPACING_MM, hu_range=(-1000.0, 1500.0)),
}


@pytest.mark.parametrize("name", PLANS)
def test_messages_and_labels_are_those_of_brute_force(name: str) -> None:
    """A crop of 20^3; Testing/Benchmarks/crf_accuracy.py does three of 32^3 for each set of widths."""
    plan, scene = PLANS[name], ct_like(1, (20, 20, 20), SPACING_MM)
    hu = scene.hu.clamp(*plan.window_hu)
    widths = Widths(plan.theta_alpha_mm, plan.theta_beta_hu, plan.theta_gamma_mm)
    messages, margin = mean_field(
        scene.logits, hu, SPACING_MM, widths, plan.iterations, plan.spatial_weight, plan.bilateral_weight
    )
    with torch.no_grad():
        refined = CrfRnn(plan)(scene.logits[None], scene.hu[None], SPACING_MM)[0]
    appearance, smoothness = filters(plan, hu)
    q = scene.logits.softmax(0)[None, 1:]
    for ours, exact in ((appearance(q), messages[0]), (smoothness(q), messages[1])):
        error = (ours[0, 0] - exact).abs()
        assert (error / exact).max() <= 0.03
        assert (error / exact).mean() <= 0.002
    before, after, exact_after = scene.logits[1] > scene.logits[0], refined[1] > refined[0], margin > 0.0
    assert (exact_after != before).float().mean() >= 0.01
    assert (after == exact_after).float().mean() >= 0.998


def filters(plan: CrfPlan, hu: torch.Tensor) -> tuple[NormalisedFilter, NormalisedFilter]:
    ones = torch.ones(1, 1, *hu.shape)
    appearance = BilateralGaussian(hu[None], SPACING_MM, plan.theta_alpha_mm, plan.theta_beta_hu, plan.window_hu)
    smoothness = SpatialGaussian(hu.shape, SPACING_MM, plan.theta_gamma_mm, like=ones)
    return NormalisedFilter(appearance, ones), NormalisedFilter(smoothness, ones)


def test_messages_stay_between_the_smallest_and_the_largest_value() -> None:
    """Also where a voxel's intensity is like no other's: nothing but itself to listen to."""
    hu = torch.full((12, 12, 12), 0.0)
    hu[6, 6, 6] = 290.0
    q = torch.rand(1, 1, 12, 12, 12, generator=torch.Generator().manual_seed(0))
    appearance, _ = filters(dataclasses.replace(SOFT, theta_beta_hu=10.0), hu)
    message = appearance(q)
    assert q.min() - 1e-5 <= message.min() <= message.max() <= q.max() + 1e-5
    assert message[0, 0, 6, 6, 6] == pytest.approx(q[0, 0, 6, 6, 6].item(), abs=1e-3)


@pytest.mark.parametrize("window_hu", [(-200.0, 300.0), (-1000.0, 1500.0)])
def test_the_filter_is_symmetric(window_hu: tuple[float, float]) -> None:
    """`<a, K b> = <K a, b>`, which the backward pass relies on."""
    torch.manual_seed(0)
    hu = (torch.randn(2, 5, 20, 9) * 100.0).double()
    kernel = BilateralGaussian(hu, SPACING_MM, (6.0, 4.0, 5.0), 30.0, window_hu)
    a, b = torch.randn(2, 2, 3, 5, 20, 9).double().unbind()
    assert (a * kernel(b)).sum().item() == pytest.approx((kernel(a) * b).sum().item(), rel=1e-10)


@pytest.mark.parametrize("classes", [2, 3])
def test_gradients_in_double_precision(classes: int) -> None:
    torch.manual_seed(0)
    shape = (2, 2, 12)  # long enough along x for the factored kernel, short along y and z for the dense one
    hu = torch.randn(2, *shape).double() * 60.0
    crf = CrfRnn(dataclasses.replace(SOFT, theta_alpha_mm=(12.0, 2.0, 4.0)), classes).double()
    names = ("spatial_weights", "bilateral_weights", "compatibility")
    assert sorted(names) == sorted(dict(crf.named_parameters()))
    logits = torch.randn(2, classes, *shape).double().requires_grad_(True)
    learned = [
        (getattr(crf, name).detach() + 0.3 * torch.randn(classes, classes).double()).requires_grad_(True)
        for name in names
    ]

    def run(logits: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        state = dict(zip(names, values, strict=True))
        return torch.func.functional_call(crf, state, (logits, hu[: len(logits)], SPACING_MM))

    assert torch.autograd.gradcheck(run, (logits, *learned), fast_mode=True)
    one = logits[:1].detach().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda *values: run(*values).sum(dim=(0, 3, 4)), (one, *learned))


def test_a_temperature_softens_the_result_and_moves_no_label() -> None:
    torch.manual_seed(1)
    logits, hu = torch.randn(1, 2, 6, 8, 7) * 3, torch.randn(1, 6, 8, 7) * 60
    sure = CrfRnn(SOFT)(logits, hu, SPACING_MM)
    crf = CrfRnn(dataclasses.replace(SOFT, temperature=2.5))
    soft = crf(logits, hu, SPACING_MM)
    assert torch.allclose(soft, sure / 2.5, atol=1e-5)
    assert torch.equal(soft.argmax(dim=1), sure.argmax(dim=1))
    torch.nn.functional.cross_entropy(soft, logits.argmax(dim=1)).backward()
    assert crf.log_temperature.grad is not None
    assert crf.log_temperature.grad.abs() > 0
    with pytest.raises(ValueError, match="temperature"):
        CrfRnn(dataclasses.replace(SOFT, temperature=0.0))


def test_it_starts_as_the_papers_potts_model() -> None:
    crf = CrfRnn(CrfPlan(spatial_weight=1.0, bilateral_weight=15.0))
    assert torch.equal(crf.spatial_weights, torch.eye(2))
    assert torch.equal(crf.bilateral_weights, 15.0 * torch.eye(2))
    assert torch.equal(crf.compatibility, -torch.eye(2))


def test_zero_weights_and_zero_iterations_leave_the_logits() -> None:
    scene = ct_like(2, (8, 16, 16))
    for plan in (dataclasses.replace(SOFT, spatial_weight=0.0, bilateral_weight=0.0), CrfPlan(iterations=0)):
        refined = CrfRnn(plan)(scene.logits[None], scene.hu[None], SPACING_MM)
        assert torch.allclose(refined[0], scene.logits, atol=1e-6)


def test_two_labels_and_a_third_that_nobody_has_agree() -> None:
    scene = ct_like(2, (8, 16, 16))
    nobody = torch.full((1, *scene.hu.shape), -60.0)
    with torch.no_grad():
        two = CrfRnn(SOFT)(scene.logits[None], scene.hu[None], SPACING_MM)
        for order in ([0, 1, 2], [2, 0, 1]):
            logits = torch.cat((scene.logits, nobody))[order]
            three = CrfRnn(SOFT, classes=3)(logits[None], scene.hu[None], SPACING_MM)
            assert torch.allclose(three[:, [order.index(0), order.index(1)]], two, atol=1e-3)


def test_volumes_of_a_batch_do_not_meet() -> None:
    one, other = ct_like(3, (8, 16, 16)), ct_like(4, (8, 16, 16))
    crf = CrfRnn(SOFT)
    with torch.no_grad():
        together = crf(torch.stack((one.logits, other.logits)), torch.stack((one.hu, other.hu)), SPACING_MM)
        for number, scene in enumerate((one, other)):
            assert torch.allclose(crf(scene.logits[None], scene.hu[None], SPACING_MM)[0], together[number], atol=1e-4)


def test_the_voxel_size_does_not_change_the_decision() -> None:
    """The same scene at 2 x 2 x 3 and 1 x 1 x 3 mm: decisions compared where the finer grid's voxels fall."""
    coarse = ct_like(5, (24, 30, 30), (2.0, 2.0, 3.0), noise_hu=0.0)
    fine = ct_like(5, (24, 60, 60), (1.0, 1.0, 3.0), noise_hu=0.0)
    crf = CrfRnn(SOFT)
    with torch.no_grad():
        seen_coarse = crf(coarse.logits[None], coarse.hu[None], (2.0, 2.0, 3.0)).softmax(1)[:, 1:]
        seen_fine = crf(fine.logits[None], fine.hu[None], (1.0, 1.0, 3.0)).softmax(1)[:, 1:]
    unrefined = fine.logits[None].softmax(1)[:, 1:]
    regridded = torch.nn.functional.avg_pool3d(seen_fine, (1, 2, 2))
    before = torch.nn.functional.avg_pool3d(unrefined, (1, 2, 2))
    changed = ((before > 0.5) != (regridded > 0.5)).float().mean()
    assert changed >= 0.01
    assert ((seen_coarse > 0.5) != (regridded > 0.5)).float().mean() <= 0.1 * changed


def test_voxel_units_are_millimetres_of_that_grid() -> None:
    plan = voxel_unit_plan((2.0, 2.0, 3.0), hu_range=(-1000.0, 1500.0), theta_alpha_voxels=2.0)
    assert plan.theta_alpha_mm == (4.0, 4.0, 6.0)
    assert plan.theta_gamma_mm == (2.0, 2.0, 3.0)
    assert plan.theta_beta_hu == pytest.approx(12.5)
    assert plan.window_hu == (-1000.0, 1500.0)
    assert (plan.spatial_weight, plan.bilateral_weight, plan.iterations) == (1.0, 15.0, 3)


@pytest.mark.parametrize(
    "wrong", [{"theta_beta_hu": 0.0}, {"theta_alpha_mm": (6.0, 0.0, 6.0)}, {"window_hu": (300.0, -200.0)}]
)
def test_impossible_widths_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="CRF"):
        CrfRnn(dataclasses.replace(SOFT, **wrong))


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (2, 4, 8, 9), (4, 8, 8)])
def test_a_ct_of_another_size_than_the_logits_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="differ in batch or grid"):
        CrfRnn(SOFT)(torch.zeros(2, 2, 4, 8, 8), torch.zeros(shape), SPACING_MM)


def test_it_computes_in_float32_under_autocast_and_from_half_precision() -> None:
    scene = ct_like(6, (8, 16, 16))
    crf = CrfRnn(SOFT)
    logits = scene.logits.half().float()[None].requires_grad_(True)
    plain = crf(logits, scene.hu[None], SPACING_MM)
    (gradient,) = torch.autograd.grad(plain.square().sum(), logits)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = crf(logits.half(), scene.hu[None].half().float(), SPACING_MM)
        cast = crf(logits, scene.hu[None], SPACING_MM)
    (mixed_gradient,) = torch.autograd.grad(cast.square().sum(), logits)
    assert plain.dtype == mixed.dtype == cast.dtype == torch.float32
    assert torch.equal(cast, plain)
    assert torch.equal(mixed_gradient, gradient)
    assert torch.allclose(mixed, plain, atol=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", PLANS)
def test_cpu_and_cuda_agree(name: str) -> None:
    scene = ct_like(7)
    results = []
    for device in ("cpu", "cuda"):
        logits = scene.logits[None].to(device).requires_grad_(True)
        refined = CrfRnn(PLANS[name]).to(device)(logits, scene.hu[None].to(device), SPACING_MM)
        (gradient,) = torch.autograd.grad(refined.square().mean(), logits)
        results.append((refined.detach().cpu(), gradient.cpu()))
    (cpu, cpu_gradient), (cuda, cuda_gradient) = results
    assert ((cpu[:, 1] > cpu[:, 0]) == (cuda[:, 1] > cuda[:, 0])).float().mean() >= 0.9999
    assert (cpu - cuda).abs().mean() <= 1e-3
    assert (cpu_gradient - cuda_gradient).norm() <= 1e-2 * cpu_gradient.norm()


@pytest.mark.parametrize("frozen", [False, True])
def test_training_through_both_lowers_the_loss(frozen: bool) -> None:
    torch.manual_seed(0)
    scene = ct_like(8, (16, 32, 32))
    labels = (ct_like(8, (16, 32, 32), noise_hu=0.0).logits.argmax(0))[None]
    channels = torch.stack((scene.hu / 500.0, (-(((scene.hu - 10.0) / 30.0) ** 2)).exp()))[None]
    network, crf = VNet(2, NetworkPlan(width=4)), CrfRnn(SOFT)
    if frozen:
        for parameter in network.parameters():
            parameter.requires_grad_(False)
    before = {key: value.clone() for key, value in {**network.state_dict(), **crf.state_dict()}.items()}
    learned = [parameter for parameter in (*network.parameters(), *crf.parameters()) if parameter.requires_grad]
    optimiser = torch.optim.Adam(learned, lr=0.02)
    losses = []
    for _ in range(6):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(crf(network(channels), scene.hu[None], SPACING_MM), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.98 * losses[0]
    key = "entry.convolution.0.weight"
    assert torch.equal(network.state_dict()[key], before[key]) == frozen
    for key, value in crf.state_dict().items():
        assert not torch.equal(value, before[key]), key
