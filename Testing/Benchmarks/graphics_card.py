"""What networks and CRF-RNN cost on a CUDA graphics card, and what they do when its memory does not suffice.

Run from the repository root where there is such a card: `python Testing/Benchmarks/graphics_card.py` with
`BladderAutoContour` on PYTHONPATH. torch and numpy suffice. Times are CUDA events' medians, copies to the card and back
included; memory is what torch took above what stood there before. What the card contours is compared with what the
processor does in float32; then the card's memory is capped for good, step by step.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from BladderAutoContourLib.errors import EnvironmentFault
from BladderAutoContourLib.evaluation.peers.crf import PLANS
from BladderAutoContourLib.evaluation.peers.crf_problem import SIZE, SPACING_MM, generated_problem
from BladderAutoContourLib.evaluation.precision import agreement, generated_crop, masks
from BladderAutoContourLib.networks.channels import dual_channel
from BladderAutoContourLib.networks.crf_rnn import CrfRnn
from BladderAutoContourLib.networks.finer import finer_grid, on_grid
from BladderAutoContourLib.networks.weights import Networks, default_weights, load_weights
from BladderAutoContourLib.pipeline.device import describe, resolve_device
from BladderAutoContourLib.pipeline.fallback import Workplace
from BladderAutoContourLib.pipeline.inference import Inference

RESULT = Path(__file__).parent / "results" / "graphics_card.json"
FIRST_SEED = 9_100
WINDOWS, LOOKS = 4, 2
"""Windows of the localiser that cover the body of a pelvic CT, and looks of the CNN at one bladder."""
MIB = 2**20


def cost(work: Callable[[], Any], runs: int) -> dict[str, float]:
    """Median milliseconds of `runs` after three that warm up, and the most MiB taken above what stood there."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    standing = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    milliseconds = []
    for _ in range(runs):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        milliseconds.append(begin.elapsed_time(end))
    taken = torch.cuda.max_memory_allocated() - standing
    return {"ms": round(statistics.median(milliseconds), 2), "mib": round(taken / MIB, 1)}


class Patient:
    """A generated patient as the pipeline shows it: HU (z, y, x) for the localiser, the CNN and the CRF-RNN."""

    def __init__(self, networks: Networks, seed: int) -> None:
        plan = networks.plan
        size, self.spacing_mm = finer_grid(plan.segmenter.crop_voxels, plan.segmenter.spacing_mm, plan.crf.spacing_mm)
        crop = generated_crop(seed, plan.segmenter)
        self.coarse = generated_crop(seed, plan.localiser)[0].numpy()
        self.crop = crop[0].numpy()
        self.shape = size[::-1]
        self.fine = on_grid(crop[None], self.shape)[0, 0].numpy()

    def sharpened(self, inference: Inference, logits: torch.Tensor) -> torch.Tensor:
        """The CRF-RNN's logits of the CNN's, on its own grid."""
        return inference.sharpen(on_grid(logits, self.shape), self.fine, self.spacing_mm)

    def contour(self, inference: Inference) -> tuple[np.ndarray, np.ndarray]:
        """All that networks and CRF-RNN do for one click; the masks of the CNN and of the CRF-RNN."""
        for _ in range(WINDOWS):
            inference.localise(self.coarse)
        first = inference.segment(self.crop)
        logits = (first + inference.segment(self.crop, mirrored=True)) / 2
        return tuple(
            (values[0, 1] >= values[0, 0]).cpu().numpy() for values in (logits, self.sharpened(inference, logits))
        )


def pipeline_costs(networks: Networks, runs: int) -> dict[str, dict[str, float]]:
    """Every part of a click, and all of them one after the other."""
    inference, patient = Inference(networks, torch.device("cuda")), Patient(networks, FIRST_SEED)
    place = Workplace(networks, "cuda")
    logits = inference.segment(patient.crop)
    parts = {
        "localiser, a window": lambda: inference.localise(patient.coarse),
        "CNN, a look": lambda: inference.segment(patient.crop),
        "CRF-RNN on its grid": lambda: patient.sharpened(inference, logits),
        f"{WINDOWS} windows, {LOOKS} looks, CRF-RNN": lambda: patient.contour(inference),
        "the same as a request, which gives the memory back": lambda: place.compute(patient.contour),
    }
    return {name: cost(work, runs) for name, work in parts.items()}


def crf_costs(runs: int, size: tuple[int, int, int] = SIZE) -> dict[str, dict[str, float]]:
    """The CRF-RNN alone on the problem that it shares with its peer, and what training takes of it."""
    found = {}
    for name, plan in PLANS.items():
        problem = generated_problem(plan, size)
        crf = CrfRnn(plan).to("cuda")
        hu, logits = (torch.from_numpy(values)[None].to("cuda") for values in (problem.hu, problem.logits))

        def forward(crf=crf, hu=hu, logits=logits) -> torch.Tensor:
            with torch.inference_mode():
                return crf(logits, hu, SPACING_MM)

        def backward(crf=crf, hu=hu, logits=logits) -> None:
            crf(logits.clone().requires_grad_(), hu, SPACING_MM).sum().backward()
            crf.zero_grad()

        found[name] = cost(forward, runs)
        found[f"{name}, forward and backward"] = cost(backward, max(1, runs // 4))
    return found


def agreement_with_processor(networks: Networks, crops: int) -> dict[str, float]:
    """The least Dice between the card's masks and the processor's in float32, of the CNN and behind the CRF-RNN."""
    card, found, exact = Inference(networks, torch.device("cuda")), [], []
    for number in range(crops):
        patient = Patient(networks, FIRST_SEED + number)
        found.append(patient.contour(card))
        hu = torch.from_numpy(patient.crop)[None]
        with torch.inference_mode():
            channels = dual_channel(hu, networks.plan.segmenter.intensity)
            mirrored = networks.segmenter(channels.flip(-1)).flip(-1)
            exact.append(masks((networks.segmenter(channels) + mirrored) / 2, hu, networks))
    cnn, crf = agreement(found, exact)
    return {"crops": crops, "least_dice_cnn": round(min(cnn), 5), "least_dice_crf_rnn": round(min(crf), 5)}


def with_less_memory(networks: Networks, shares_mib: tuple[int, ...]) -> list[dict[str, Any]]:
    """Where a click was computed, and what was said of it, with so many MiB of the card, or all that it has."""
    patient, found = Patient(networks, FIRST_SEED), []
    total = torch.cuda.get_device_properties(0).total_memory
    for mib in shares_mib:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(min(1.0, mib * MIB / total))
        done = Workplace(networks, "cuda").compute(patient.contour)
        said = {"device": done.device, "fallback": done.fallback, "failures": done.failures}
        found.append({"mib": mib, **said, "voxels": int(done.result[1].sum())})
    torch.cuda.set_per_process_memory_fraction(1.0)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--crops", type=int, default=8)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA graphics card here, or this torch is built without CUDA.")
    try:
        card = resolve_device("cuda")
    except EnvironmentFault as fault:
        sys.exit(fault.message)
    networks = load_weights(default_weights(), "cpu")
    result: dict[str, Any] = {
        "machine": describe(card),
        "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version(),
        "model": networks.plan.name,
    }
    parts: dict[str, Callable[[], Any]] = {
        "a_click": lambda: pipeline_costs(networks, arguments.runs),
        "crf_rnn": lambda: {"voxels": SIZE, **crf_costs(arguments.runs)},
        "agreement": lambda: agreement_with_processor(networks, arguments.crops),
        "less_memory": lambda: with_less_memory(networks, (4096, 400, 200, 100, 40)),
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    for name, measure in parts.items():
        result[name] = measure()
        # a part that fails on a lent card takes nothing of those before it along
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
