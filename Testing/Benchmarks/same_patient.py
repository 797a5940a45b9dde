"""A generated patient with a bladder of at least 150 mL, stored in eight ways: do the contours agree?

Run from the repository root: `.venv/bin/python Testing/Benchmarks/same_patient.py`. For every way it prints Dice with
the contour of the original, on its grid; beside it what carrying that very contour to the other grid and back leaves
of it, and Dice with the true bladder. Ends with code 1 where the contours agree less than at 0.93.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pipeline"))

from BladderAutoContourLib.errors import NoBladderError
from BladderAutoContourLib.evaluation.metrics import dice
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.phantom.case import draw_case
from BladderAutoContourLib.phantom.fields import draw_scan
from BladderAutoContourLib.phantom.render import render
from BladderAutoContourLib.pipeline.engine import Engine
from storages import STORAGES, mask_on_grid

SPACING_MM = (1.0, 1.0, 3.0)
REQUIRED = 0.93


def generated(seed: int, spacing_mm: tuple[float, float, float]) -> tuple[Volume, Volume]:
    """CT and true bladder."""
    case = draw_case(seed, stratum="large")
    scan = draw_scan(case, "pelvis", spacing_mm, np.random.default_rng([seed, 1]))
    rendered = render(case, scan.geometry)
    ct = rendered.stored_hu()
    return Volume(ct, scan.geometry), Volume((rendered.bladder.numpy() >= 0.5).astype(np.uint8), scan.geometry)


def contour(engine: Engine, ct: Volume) -> Volume:
    """The contour; an empty one where none was found."""
    try:
        return engine.contour(ct, lambda step, fraction: None).mask
    except NoBladderError:
        return Volume(np.zeros(ct.geometry.shape, np.uint8), ct.geometry)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=8, help="the generated patient")
    parser.add_argument("--weights", type=Path, help="weights (default: those that are shipped)")
    parser.add_argument("--spacing", type=float, nargs=3, default=SPACING_MM, help="mm, of the original")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    engine = Engine.load(arguments.weights, "auto")
    ct, truth = generated(arguments.seed, tuple(arguments.spacing))
    true_ml = truth.array.sum() * truth.geometry.voxel_ml
    assert true_ml >= 150, f"the bladder of seed {arguments.seed} holds only {true_ml:.0f} mL: choose another"
    original = contour(engine, ct)
    print(f"seed {arguments.seed}, {true_ml:.0f} mL, model {engine.plan.name}")
    print(f"the original's contour: Dice {dice(original.array, truth.array):.4f} with the true bladder\n")
    print(f"{'stored as':<24}{'Dice with original':>20}{'re-gridding alone':>20}{'with the truth':>16}")
    rows = []
    for name, store in STORAGES.items():
        with tempfile.TemporaryDirectory() as folder:
            stored = store(ct, truth, Path(folder) / "stored")
        back = mask_on_grid(contour(engine, stored), ct.geometry)
        carried = mask_on_grid(mask_on_grid(original, stored.geometry), ct.geometry)
        row = {
            "stored": name,
            "dice": dice(back.array, original.array),
            "regridding": dice(carried.array, original.array),
            "truth": dice(back.array, truth.array),
        }
        rows.append(row)
        failed = "" if row["dice"] >= REQUIRED else "   FAILED"
        print(f"{name:<24}{row['dice']:20.4f}{row['regridding']:20.4f}{row['truth']:16.4f}{failed}", flush=True)
    if arguments.output:
        result = {"model": engine.plan.name, "sha256": engine.plan.sha256, "seed": arguments.seed, "ways": rows}
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if all(row["dice"] >= REQUIRED for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
