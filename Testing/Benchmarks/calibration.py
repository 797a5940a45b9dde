"""Whether probabilities mean what they say: of voxels near the contour, and the confidence that there is a bladder.

Run from the repository root: `.venv/bin/python Testing/Benchmarks/calibration.py --output calibration.json`. The whole
pipeline on the frozen test set's cases. A voxel is near where it lies within 5 mm of the contour's surface: elsewhere
nearly all are sure and right, which would flatter the error. Beside the JSON file come two reliability curves,
calibration_voxels.png and calibration_cases.png. The file is written after every case.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from BladderAutoContourLib.errors import NoBladderError
from BladderAutoContourLib.evaluation.accuracy import CONTOURED, FALSE_CONTOUR, MISSED, NONE_RIGHTLY
from BladderAutoContourLib.evaluation.calibration.temperature import BAND_MM, near_contour
from BladderAutoContourLib.evaluation.metrics import dice
from BladderAutoContourLib.evaluation.reliability import Reliability, Tally, reliability, reliability_plot
from BladderAutoContourLib.phantom.case import GENERATOR_VERSION
from BladderAutoContourLib.phantom.test_set import FIRST_SEED, TestCase, with_bladder, without_bladder
from BladderAutoContourLib.pipeline.engine import Engine
from BladderAutoContourLib.pipeline.lettering import write_png
from rendered import CACHE_HELP, scan_of


def judge(
    test: TestCase, is_there: bool, engine: Engine, use_crf: bool, voxels: Tally, cache: Path | None
) -> dict[str, Any]:
    """Contour one case; its row for the confidence's curve. Voxels near a contour of a bladder join the tally."""
    ct, truth = scan_of(test, is_there, cache)
    row: dict[str, Any] = {"case": test.name, "bladder": is_there, "dice": None, "voxel_error": None}
    try:
        found = engine.contour(ct, lambda step, fraction: None, use_crf)
    except NoBladderError as error:
        outcome = MISSED if is_there else NONE_RIGHTLY
        return row | {"outcome": outcome, "confidence": round(error.confidence, 5)}
    if is_there:
        own, near = Tally(), near_contour(found, truth)
        for tally in (voxels, own):
            tally.add(near.probability, near.bladder)
        row["voxel_error"] = round(own.reliability().expected_calibration_error, 5)
        row["dice"] = round(dice(found.mask.array, truth), 5)
    outcome = CONTOURED if is_there else FALSE_CONTOUR
    return row | {"outcome": outcome, "confidence": round(found.confidence, 5)}


def as_text(name: str, found: Reliability | None) -> str:
    """One line a bin, and the error."""
    if found is None:
        return f"{name}: nothing to judge"
    lines = [f"{name}: {found.cases}, expected calibration error {found.expected_calibration_error:.4f}"]
    lines += [f"  promised {one.confidence:.3f}, kept {one.real:.3f} ({one.cases})" for one in found.bins]
    return "\n".join(lines)


def write(path: Path, about: dict[str, Any], curves: dict[str, Reliability | None], rows: list[dict]) -> None:
    """Write what is known so far: the JSON file, and a picture of each curve beside it."""
    data = {name: dataclasses.asdict(curve) if curve else None for name, curve in curves.items()}
    path.write_text(json.dumps({**about, **data, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    words = {
        "voxels": ("voxel", "Probability", f"share of bladder, within {BAND_MM:g} mm of the contour"),
        "cases": ("case", "Confidence", "share of real bladders"),
    }
    for name, curve in curves.items():
        if curve:
            write_png(reliability_plot(curve, *words[name]), path.with_name(f"{path.stem}_{name}.png"))


def own(rows: list[dict[str, Any]]) -> str:
    """What the curves hide: faults that cancel between cases, and how sure false contours are."""
    errors = [row["voxel_error"] for row in rows if row["voxel_error"] is not None]
    false = sorted(row["confidence"] for row in rows if row["outcome"] == FALSE_CONTOUR)
    sure = ", ".join(f"{one:.3f}" for one in false)
    return (
        f"Within a case the error of voxels is {statistics.mean(errors):.3f}, {statistics.median(errors):.3f} in "
        "the median. "
        f"Confidence of the {len(false)} contours where there is no bladder: {sure}."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, help="the first so many cases of each kind (default: all)")
    parser.add_argument("--weights", type=Path, help="weights (default: those that are shipped)")
    parser.add_argument("--no-crf", action="store_true", help="the CNN's own probability")
    parser.add_argument("--output", type=Path, metavar="FILE", help="JSON file to write, with two pictures beside it")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help=CACHE_HELP)
    arguments = parser.parse_args()
    engine = Engine.load(arguments.weights, "auto")
    about = {
        "generator": GENERATOR_VERSION,
        "first_seed": FIRST_SEED,
        "model": {"name": engine.plan.name, "sha256": engine.plan.sha256},
        "crf": not arguments.no_crf,
        "band_mm": BAND_MM,
    }
    counted = () if arguments.count is None else (arguments.count,)
    tests = [(test, True) for test in with_bladder(*counted)] + [(test, False) for test in without_bladder(*counted)]
    voxels, rows = Tally(), []
    curves: dict[str, Reliability | None] = {}
    for test, is_there in tests:
        row = judge(test, is_there, engine, not arguments.no_crf, voxels, arguments.cache)
        rows.append(row)
        near = "" if row["voxel_error"] is None else f", voxels' error {row['voxel_error']:.3f}"
        print(f"{test.name:<24}{row['outcome']:<14} confidence {row['confidence']:.3f}{near}", flush=True)
        curves = {"voxels": voxels.reliability(), "cases": reliability(rows)}
        if arguments.output:
            write(arguments.output, about, curves, rows)
    for name, curve in curves.items():
        print(as_text(name, curve))
    print(own(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
