"""One program that runs networks, as a process of its own: the engine's V-Net and its sliding window, or MONAI's.

    python -m BladderAutoContourLib.evaluation.peers.network_worker METHOD PROBLEM.npz...

Every line on standard input is the number of a problem, answered as `measured_program` says. Weights are random: it is
the cost that is measured.

MONAI is no package of this program: the benchmark gives it an environment of its own, with torch. There, nothing of
this program is imported but this file and what needs torch and the standard library alone.
"""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ... import host
from ...networks.channels import dual_channel
from ...networks.plan import IntensityPlan, NetworkPlan, StagePlan
from ...networks.vnet import VNet
from .measured_program import answer

Run = Callable[[np.ndarray], object]
OURS, OUR_WINDOW = "v-net", "sliding window"
MONAI_VNET, MONAI_UNET, MONAI_WINDOW = "monai v-net", "monai u-net", "monai sliding window"
UNET_WIDTHS = (16, 32, 64, 128, 256)
"""Of MONAI's own examples of its UNet, which has strides of 2 and two residual units a level there."""
OVERLAP = (0.5, 0.25, 0.25)
"""Of MONAI's windows along z, y, x: as the engine's."""


def network_of(build: Callable[[StagePlan], torch.nn.Module]) -> Callable[[StagePlan], Run]:
    """One look of a network at a crop."""

    def prepare(stage: StagePlan) -> Run:
        network = build(stage).eval()
        return lambda hu: network(_channels(hu, stage))

    return prepare


def v_net(stage: StagePlan) -> torch.nn.Module:
    """The engine's."""
    return VNet(stage.intensity.channels, stage.network)


def monai_vnet(stage: StagePlan) -> torch.nn.Module:
    """MONAI's V-Net as it comes: that of Milletari et al."""
    nets = importlib.import_module("monai.networks.nets")
    return nets.VNet(spatial_dims=3, in_channels=stage.intensity.channels, out_channels=stage.network.classes)


def monai_unet(stage: StagePlan) -> torch.nn.Module:
    """MONAI's UNet."""
    nets = importlib.import_module("monai.networks.nets")
    return nets.UNet(
        spatial_dims=3,
        in_channels=stage.intensity.channels,
        out_channels=stage.network.classes,
        channels=UNET_WIDTHS,
        strides=(2,) * (len(UNET_WIDTHS) - 1),
        num_res_units=2,
    )


def sliding_window(stage: StagePlan) -> Run:
    """The engine's windows over the body, its V-Net in each of them."""
    from ...pipeline.inference import bladder_probability
    from ...pipeline.localise import slide

    network = v_net(stage).eval()

    def look(window: np.ndarray) -> np.ndarray:
        return bladder_probability(network(_channels(window, stage)))

    return lambda hu: slide(hu, stage, look, lambda fraction: None)


def monai_sliding_window(stage: StagePlan) -> Run:
    """MONAI's windows over the whole volume, of the same size and overlap, the engine's V-Net in each of them."""
    inferers = importlib.import_module("monai.inferers")
    network = v_net(stage).eval()
    slider = inferers.SlidingWindowInferer(
        roi_size=stage.crop_voxels[::-1], overlap=OVERLAP, mode="gaussian", sigma_scale=0.25
    )
    return lambda hu: slider(_channels(hu, stage), lambda channels: network(channels).softmax(dim=1)[:, 1:].float())


METHODS: dict[str, Callable[[StagePlan], Run]] = {
    OURS: network_of(v_net),
    MONAI_VNET: network_of(monai_vnet),
    MONAI_UNET: network_of(monai_unet),
    OUR_WINDOW: sliding_window,
    MONAI_WINDOW: monai_sliding_window,
}


def main(method: str, *files: str) -> int:
    """Run the method on the problems of `files` as standard input asks."""
    torch.set_num_threads(host.available_cores())
    problems = [_read(Path(file)) for file in files]
    prepared = [(METHODS[method](stage), hu, number_type) for hu, stage, number_type in problems]

    def solve(number: int) -> None:
        run, hu, number_type = prepared[number]
        mixed = number_type != torch.float32
        with torch.inference_mode(), torch.autocast("cpu", number_type if mixed else torch.bfloat16, enabled=mixed):
            run(hu)

    answer(solve)
    return 0


def _channels(hu: np.ndarray, stage: StagePlan) -> torch.Tensor:
    return dual_channel(torch.from_numpy(hu)[None], stage.intensity)


def _read(file: Path) -> tuple[np.ndarray, StagePlan, torch.dtype]:
    with np.load(file) as content:
        raw: dict[str, Any] = json.loads(str(content["stage"]))
        raw["intensity"], raw["network"] = IntensityPlan(**raw["intensity"]), NetworkPlan(**raw["network"])
        return content["hu"], StagePlan(**raw), getattr(torch, str(content["number_type"]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
