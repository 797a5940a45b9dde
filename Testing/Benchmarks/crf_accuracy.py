"""The CRF-RNN of the engine against brute-force mean field: three crops of 32^3 voxels, three sets of widths.

Run from the repository root: `.venv/bin/python Testing/Benchmarks/crf_accuracy.py`. Some minutes; prints a table, and
ends with code 1 where a message is off by more than 3 % or fewer than 99.8 % of the labels are equal.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "networks"))

from BladderAutoContourLib.evaluation.peers.brute_force import Widths, mean_field
from BladderAutoContourLib.evaluation.peers.crf import PLANS
from BladderAutoContourLib.evaluation.peers.crf_problem import SPACING_MM
from BladderAutoContourLib.networks.crf_rnn import CrfRnn
from BladderAutoContourLib.networks.gaussian import BilateralGaussian, NormalisedFilter, SpatialGaussian
from BladderAutoContourLib.networks.plan import CrfPlan
from scene import Scene, ct_like

CROPS = (11, 12, 13)


@dataclass(frozen=True)
class Comparison:
    """Errors of the first iteration's messages relative to the exact ones, and shares of voxels after the last."""

    largest_error: float
    mean_error: float
    equal_labels: float
    changed_labels: float

    @property
    def passed(self) -> bool:
        return self.largest_error <= 0.03 and self.equal_labels >= 0.998 and self.changed_labels >= 0.01


def compare(scene: Scene, plan: CrfPlan) -> Comparison:
    hu = scene.hu.clamp(*plan.window_hu)
    widths = Widths(plan.theta_alpha_mm, plan.theta_beta_hu, plan.theta_gamma_mm)
    messages, margin = mean_field(
        scene.logits, hu, SPACING_MM, widths, plan.iterations, plan.spatial_weight, plan.bilateral_weight
    )
    ones = torch.ones(1, 1, *hu.shape)
    kernels = (
        BilateralGaussian(hu[None], SPACING_MM, plan.theta_alpha_mm, plan.theta_beta_hu, plan.window_hu),
        SpatialGaussian(hu.shape, SPACING_MM, plan.theta_gamma_mm, like=ones),
    )
    q = scene.logits.softmax(0)[None, 1:]
    with torch.no_grad():
        errors = [
            (NormalisedFilter(kernel, ones)(q)[0, 0] - exact).abs() / exact
            for kernel, exact in zip(kernels, messages[:2], strict=True)
        ]
        refined = CrfRnn(plan)(scene.logits[None], scene.hu[None], SPACING_MM)[0]
    exact_labels = margin > 0.0
    return Comparison(
        largest_error=max(error.max().item() for error in errors),
        mean_error=max(error.mean().item() for error in errors),
        equal_labels=((refined[1] > refined[0]) == exact_labels).float().mean().item(),
        changed_labels=((scene.logits[1] > scene.logits[0]) != exact_labels).float().mean().item(),
    )


def main() -> int:
    print("widths        crop   message error: largest, mean   equal labels   changed by the CRF")
    passed = True
    for name, plan in PLANS.items():
        for crop in CROPS:
            found = compare(ct_like(crop, (32, 32, 32), SPACING_MM), plan)
            passed &= found.passed
            print(
                f"{name:12s}  {crop:4d}   {found.largest_error:22.3%} {found.mean_error:6.3%}"
                f"   {found.equal_labels:12.3%}   {found.changed_labels:18.2%}   {'' if found.passed else 'FAILED'}",
                flush=True,
            )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
