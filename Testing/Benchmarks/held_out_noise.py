"""How far the held-out score hangs on the machine; states score and noise in the model's JSON.

Run from the repository root, after held_out.py, on a processor that computes in bfloat16:

    .venv/bin/python Testing/Benchmarks/held_out_noise.py --of Testing/Benchmarks/results/held_out.json

The first cases are contoured once more in float32, as on a processor or a card without bfloat16: of all that may differ
between two machines this moves a contour most. held_out.py says at its end whether a run reproduced what is stated.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import torch
from BladderAutoContourLib import host
from BladderAutoContourLib.networks import number_type
from BladderAutoContourLib.networks.weights import default_weights, load_weights
from BladderAutoContourLib.phantom.test_set import COUNT, FIRST_SEED, with_bladder
from BladderAutoContourLib.pipeline.engine import Engine
from held_out import COMMAND, STATED, Row, evaluate
from rendered import CACHE_HELP


def noise_of(differences: np.ndarray, cases: int) -> float:
    """How far the mean Dice of `cases` cases may lie off, from the differences of some: the shift and its 95 % error.

    Half of a step is added, since scores are stated to four digits.
    """
    error = 1.96 * float(np.std(differences, ddof=1)) * (len(differences) ** -0.5 + cases**-0.5)
    return abs(float(np.mean(differences))) + error + 5e-5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--of", type=Path, required=True, metavar="FILE", help="what held_out.py has written")
    parser.add_argument("--count", type=int, default=36, help="how many cases are contoured once more")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help=CACHE_HELP)
    arguments = parser.parse_args()
    weights = default_weights()
    plan = load_weights(weights).plan
    found = json.loads(arguments.of.read_text(encoding="utf-8"))
    before: dict[str, Row] = {row["case"]: row for row in found["cases"] if row["bladder"]}
    if found["model"]["sha256"] != plan.sha256 or len(before) != COUNT:
        parser.error(f"{arguments.of} is not the whole score of the shipped weights")
    cpu = torch.device("cpu")
    if number_type.number_type(cpu) == torch.float32:
        parser.error("this processor computes in float32 anyway: nothing to compare")
    number_type.number_type = lambda _: torch.float32  # as where the hardware has no bfloat16
    engine, differences = Engine.load(weights, "cpu"), []
    for test in with_bladder(arguments.count):
        again = evaluate(test, True, engine, arguments.cache)["dice"]
        differences.append(again - before[test.name]["dice"])
        print(f"{test.name:<20}{before[test.name]['dice']:8.4f}{again:8.4f}", flush=True)
    stated = {
        "command": COMMAND,
        "first_seed": FIRST_SEED,
        "mean_dice": round(float(np.mean([row["dice"] for row in before.values()])), 4),
        "noise": round(noise_of(np.array(differences), COUNT), 4),
        "noise_from": f"float32 against bfloat16, {len(differences)} cases",
        "largest_difference_of_a_case": round(float(np.abs(differences).max()), 4),
    }
    text = dataclasses.replace(plan, scores={**plan.scores, STATED: stated}).to_json()
    host.put_text(weights.with_suffix(".json"), text)
    print(json.dumps(stated, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
