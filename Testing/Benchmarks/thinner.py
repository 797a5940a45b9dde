"""The segmenter in fewer bits or of half the width beside what is shipped: seconds a look, and how the masks agree.

Run from the repository root, on a machine that does nothing else: `.venv/bin/python Testing/Benchmarks/thinner.py`.
Every round runs each variant once, so that all have the same conditions. Masks are compared with the float32 ones, the
CNN's and those behind the CRF-RNN, on generated crops about a bladder; int8 takes its ranges from other such crops.
Of half the width there are no weights: it has random ones, and only its cost is shown.
"""

import argparse
import copy
import dataclasses
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from BladderAutoContourLib import host
from BladderAutoContourLib.evaluation.precision import FIRST_SEED, agreement, generated_crop, masks
from BladderAutoContourLib.networks.channels import dual_channel
from BladderAutoContourLib.networks.number_type import number_type
from BladderAutoContourLib.networks.plan import StagePlan
from BladderAutoContourLib.networks.vnet import VNet
from BladderAutoContourLib.networks.weights import Networks, default_weights, load_weights
from BladderAutoContourLib.output_files import write_text
from torch import nn

RESULT = Path(__file__).parent / "results" / "thinner.json"
CALIBRATION_SEEDS = (8_000, 8_001)
INT8_CHANNELS = 16
"""Convolutions from and to at least so many channels become int8: nearly all operations, but not the first and last."""
Network = Callable[[torch.Tensor], torch.Tensor]
Range = tuple[float, float]


class Int8Convolution(nn.Module):
    """A Conv3d with weights of 8 bits, a scale for each output channel; input and output have one scale each.

    inputs, outputs: the smallest and the largest number that was seen there; what lies beyond is cut.
    """

    def __init__(self, layer: nn.Conv3d, inputs: Range, outputs: Range) -> None:
        super().__init__()
        weight = layer.weight.detach()
        scales = weight.abs().amax(dim=(1, 2, 3, 4)).clamp(min=1e-8) / 127
        levels = torch.quantize_per_channel(weight, scales, torch.zeros_like(scales, dtype=torch.long), 0, torch.qint8)
        self._packed = torch.ops.quantized.conv3d_prepack(
            levels, layer.bias.detach(), layer.stride, layer.padding, layer.dilation, layer.groups
        )
        self._inputs, self._outputs = _scale_and_zero(inputs), _scale_and_zero(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = torch.quantize_per_tensor(x.float(), *self._inputs, torch.quint8)
        return torch.ops.quantized.conv3d(levels, self._packed, *self._outputs).dequantize().to(x.dtype)


def _scale_and_zero(seen: Range) -> tuple[float, int]:
    low, high = min(seen[0], 0.0), max(seen[1], 0.0)  # nought, the padding, must be a level
    scale = max(high - low, 1e-8) / 255
    return scale, round(-low / scale)


def int8_copy(network: VNet, crops: Sequence[torch.Tensor]) -> VNet:
    """The network with its wide convolutions in int8, their ranges seen on `crops` (1, C, Z, Y, X).

    Raises RuntimeError where torch has no such kernel for this processor.
    """
    thin = copy.deepcopy(network)
    seen: dict[nn.Conv3d, list[Range]] = {}

    def look(layer: nn.Conv3d, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        found = [tuple(map(float, torch.aminmax(values))) for values in (inputs[0], output)]
        so_far = seen.get(layer, found)
        seen[layer] = [(min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(so_far, found, strict=True)]

    wide = {
        name: layer
        for name, layer in thin.named_modules()
        if isinstance(layer, nn.Conv3d) and min(layer.in_channels, layer.out_channels) >= INT8_CHANNELS
    }
    hooks = [layer.register_forward_hook(look) for layer in wide.values()]
    for crop in crops:
        thin(crop)
    for hook in hooks:
        hook.remove()
    for name, layer in wide.items():
        place, _, last = name.rpartition(".")
        setattr(thin.get_submodule(place), last, Int8Convolution(layer, *seen[layer]))
    return thin


def bfloat16(network: nn.Module) -> Network:
    """The network with convolutions in bfloat16, on any processor."""

    def run(channels: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return network(channels).float()

    return run


def channels_last(network: nn.Module) -> Network:
    """The same, with the channels of a voxel side by side in memory."""
    run = bfloat16(copy.deepcopy(network).to(memory_format=torch.channels_last_3d))
    return lambda channels: run(channels.contiguous(memory_format=torch.channels_last_3d))


def half_width(stage: StagePlan) -> VNet:
    """The stage's network of half as many channels, with random weights."""
    network = dataclasses.replace(stage.network, width=stage.network.width // 2)
    return VNet(stage.intensity.channels, network).eval()


def measure(networks: Networks, count: int, rounds: int) -> dict[str, Any]:
    """Seconds of every variant and Dice with float32, on `count` crops. Plain data."""
    stage = networks.plan.segmenter
    hus = [generated_crop(FIRST_SEED + number, stage) for number in range(count)]
    crops = [dual_channel(hu, stage.intensity) for hu in hus]
    calibration = [dual_channel(generated_crop(seed, stage), stage.intensity) for seed in CALIBRATION_SEEDS]
    variants: dict[str, Network] = {
        "float32": networks.segmenter,
        "bfloat16": bfloat16(networks.segmenter),
        "bfloat16, channels last": channels_last(networks.segmenter),
        "half width, float32": half_width(stage),
        "half width, bfloat16": bfloat16(half_width(stage)),
    }
    missing = None
    try:
        thin = int8_copy(networks.segmenter, calibration)
        variants |= {"int8, rest float32": thin, "int8, rest bfloat16": bfloat16(thin)}
        thin(crops[0])
    except RuntimeError as error:  # torch names the kernel that it lacks for this processor
        missing = str(error).partition("\n")[0]
        variants = {name: run for name, run in variants.items() if not name.startswith("int8")}
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(1 + rounds):
        for name, run in variants.items():
            begun = time.perf_counter()
            run(crops[number % count])
            if number:  # the first round chooses algorithms and takes memory
                seconds[name].append(time.perf_counter() - begun)
    exact = [masks(networks.segmenter(crop), hu, networks) for crop, hu in zip(crops, hus, strict=True)]
    rows = []
    for name, run in variants.items():
        row = {"variant": name, "seconds": statistics.median(seconds[name])}
        if not name.startswith("half"):
            found = [masks(run(crop), hu, networks) for crop, hu in zip(crops, hus, strict=True)]
            row["cnn_dice"], row["crf_dice"] = agreement(found, exact)
        rows.append(row)
    return {
        "model": networks.plan.name,
        "size": list(stage.crop_voxels),
        "cores": torch.get_num_threads(),
        "engine_type": str(number_type(torch.device("cpu"))).removeprefix("torch."),
        "int8_engine": torch.backends.quantized.engine,
        "int8_missing": missing,
        "crops": count,
        "rounds": rounds,
        "variants": rows,
    }


def as_text(found: dict[str, Any]) -> str:
    """A table; the ratio is the seconds over those of what the engine runs here."""
    now = next(row["seconds"] for row in found["variants"] if row["variant"] == found["engine_type"])
    lines = [f"{'variant':<26}{'seconds':>9}{'ratio':>7}   Dice with float32: CNN least, mean; CRF-RNN least, mean"]
    for row in found["variants"]:
        line = f"{row['variant']:<26}{row['seconds']:9.3f}{row['seconds'] / now:7.2f}"
        if "cnn_dice" in row:
            for scores in (row["cnn_dice"], row["crf_dice"]):
                line += f"   {min(scores):.4f} {statistics.mean(scores):.4f}"
        lines.append(line)
    return "\n".join([*lines, *([f"int8: {found['int8_missing']}"] if found["int8_missing"] else [])])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--crops", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--weights", type=Path, help="weights (default: those that are shipped)")
    parser.add_argument("--output", type=Path, default=RESULT, metavar="FILE", help="JSON file to write")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")  # that quantisation moves to torchao
    torch.set_num_threads(host.available_cores())
    with torch.inference_mode():
        found = measure(load_weights(arguments.weights or default_weights()), arguments.crops, arguments.rounds)
    write_text(arguments.output, json.dumps(found, indent=1) + "\n")
    print(as_text(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
