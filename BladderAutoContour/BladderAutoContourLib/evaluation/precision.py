"""What the number type that the networks compute in costs: how its masks agree with those of float32."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..imaging.geometry import patient_grid
from ..networks.channels import dual_channel
from ..networks.finer import finer_grid, on_grid
from ..networks.number_type import autocast, number_type
from ..networks.plan import StagePlan
from ..networks.weights import Networks
from ..phantom.case import draw_case
from ..phantom.render import bladder_centre_mm, render
from ..pipeline.steps import Progress
from .metrics import dice

FIRST_SEED = 9_000
Masks = tuple[np.ndarray, np.ndarray]
CPU = torch.device("cpu")


def generated_crop(seed: int, stage: StagePlan) -> torch.Tensor:
    """HU (1, Z, Y, X) of a generated patient about the bladder, on the stage's grid."""
    case = draw_case(seed)
    grid = patient_grid(bladder_centre_mm(case), stage.spacing_mm, stage.crop_voxels)
    return torch.from_numpy(render(case, grid).stored_hu().astype(np.float32))[None]


def masks(logits: torch.Tensor, hu: torch.Tensor, networks: Networks) -> Masks:
    """The CNN's mask on its own grid, and that behind the CRF-RNN on the CRF's, of logits (1, 2, Z, Y, X)."""
    stage, crf = networks.plan.segmenter, networks.plan.crf
    size, spacing_mm = finer_grid(stage.crop_voxels, stage.spacing_mm, crf.spacing_mm)
    fine, fine_hu = (on_grid(values, size[::-1]) for values in (logits, hu[None]))
    refined = networks.crf(fine, fine_hu[0], spacing_mm)
    return tuple((values[0, 1] >= values[0, 0]).numpy() for values in (logits, refined))


def agreement(found: Sequence[Masks], exact: Sequence[Masks]) -> tuple[list[float], list[float]]:
    """Dice of the CNN's masks, and of those behind the CRF-RNN, crop by crop."""
    pairs = list(zip(found, exact, strict=True))
    return tuple([dice(one[k], other[k]) for one, other in pairs] for k in (0, 1))


def measured(networks: Networks, crops: int, progress: Progress) -> dict[str, Any]:
    """How this processor's masks agree with float32 ones on `crops` generated crops: plain data for the plan."""
    found, exact = [], []
    with torch.inference_mode():
        for number in range(crops):
            hu = generated_crop(FIRST_SEED + number, networks.plan.segmenter)
            channels = dual_channel(hu, networks.plan.segmenter.intensity)
            with autocast(CPU):
                logits = networks.segmenter(channels).float()
            found.append(masks(logits, hu, networks))
            exact.append(masks(networks.segmenter(channels), hu, networks))
            progress("compare the number types", (number + 1) / crops)
    cnn, crf = agreement(found, exact)
    return {
        "number_type": str(number_type(CPU)).removeprefix("torch."),
        "crops": crops,
        "least_dice_with_float32": {"cnn": round(min(cnn), 5), "crf-rnn": round(min(crf), 5)},
        "mean_dice_with_float32": {"cnn": round(statistics.mean(cnn), 5), "crf-rnn": round(statistics.mean(crf), 5)},
    }
