"""The whole pipeline on the frozen test set of generated pelves: 300 with a bladder, 150 fields without one.

Run from the repository root, alone or in parts that share the work:

    .venv/bin/python Testing/Benchmarks/held_out.py --output held_out.json
    .venv/bin/python Testing/Benchmarks/held_out.py --part 1/2 --output one.json      and 2/2 beside it
    .venv/bin/python Testing/Benchmarks/held_out.py --merge one.json two.json --output held_out.json

A bladder is found where the contour overlaps it at Dice 0.1 or more. Beside every score stands what a HU threshold with
the largest component reaches. The file is written after every case.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from BladderAutoContourLib.errors import NoBladderError
from BladderAutoContourLib.evaluation.metrics import dice
from BladderAutoContourLib.networks.weights import default_weights, load_weights
from BladderAutoContourLib.phantom.case import GENERATOR_VERSION
from BladderAutoContourLib.phantom.test_set import (
    COUNT,
    COUNT_WITHOUT,
    FIRST_SEED,
    STRATA,
    TestCase,
    with_bladder,
    without_bladder,
)
from BladderAutoContourLib.pipeline.engine import Engine
from hu_threshold import water_component
from rendered import CACHE_HELP, scan_of
from scipy.stats import beta

COMMAND = ".venv/bin/python Testing/Benchmarks/held_out.py"
STATED = "held_out"
"""Under which name the model's JSON states its score."""
FOUND_DICE = 0.1
BANDS_ML = ((0, 60), (60, 150), (150, 400), (400, 10_000))
Row = dict[str, Any]


def evaluate(test: TestCase, is_there: bool, engine: Engine, cache: Path | None = None) -> Row:
    """Contour one case, and score contour and threshold."""
    ct, bladder = scan_of(test, is_there, cache)
    begun = time.perf_counter()
    confidence, found = 0.0, np.zeros(bladder.shape, bool)
    try:
        contouring = engine.contour(ct, lambda step, fraction: None)
        confidence, found = contouring.confidence, contouring.mask.array > 0
    except NoBladderError:
        pass
    seconds = time.perf_counter() - begun
    threshold = water_component(ct)
    return {
        "case": test.name,
        "stratum": test.stratum,
        "bladder": is_there,
        "off_centre": is_there and test.scan.kind != "pelvis",
        "reference_ml": round(float(bladder.sum()) * ct.geometry.voxel_ml, 1),
        "volume_ml": round(float(found.sum()) * ct.geometry.voxel_ml, 1),
        "confidence": round(confidence, 4),
        "seconds": round(seconds, 2),
        "dice": round(dice(found, bladder), 4),
        "threshold_dice": round(dice(threshold, bladder), 4),
        "contour": bool(found.any()),
        "threshold_contour": bool(threshold.any()),
    }


def upper_bound(events: int, trials: int) -> float:
    """Clopper and Pearson's one-sided 95 % upper bound of a share."""
    return 1.0 if events >= trials else float(beta.ppf(0.95, events + 1, trials - events))


def summary(rows: Sequence[Row]) -> str:
    """The figures that are asked for, ours beside the threshold's."""
    there = [row for row in rows if row["bladder"]]
    groups: dict[str, Callable[[Row], bool]] = {
        "all": lambda row: True,
        "pelvic fields": lambda row: not row["off_centre"],
        "off centre by 100 mm": lambda row: row["off_centre"],
        **{
            f"{low} mL and more" if high == BANDS_ML[-1][1] else f"{low} to {high} mL": (
                lambda row, low=low, high=high: low <= row["reference_ml"] < high
            )
            for low, high in BANDS_ML
        },
        **{stratum: lambda row, stratum=stratum: row["stratum"] == stratum for stratum in STRATA},
    }
    lines = [
        f"{'with a bladder':<24}{'cases':>6}{'mean Dice':>11}{'median':>8}{'found':>8}   threshold: mean Dice, found"
    ]
    for name, belongs in groups.items():
        group = [row for row in there if belongs(row)]
        if group:
            ours, threshold = (np.array([row[key] for row in group]) for key in ("dice", "threshold_dice"))
            lines.append(
                f"{name:<24}{len(group):6d}{ours.mean():11.4f}{np.median(ours):8.4f}{(ours >= FOUND_DICE).mean():8.1%}"
                f"{threshold.mean():24.4f}{(threshold >= FOUND_DICE).mean():7.1%}"
            )
    missed = [row["case"] for row in there if row["dice"] < FOUND_DICE]
    lines.append(f"not found: {', '.join(missed) or 'none'}")
    absent = [row for row in rows if not row["bladder"]]
    if absent:
        ours, threshold = (sum(row[key] for row in absent) for key in ("contour", "threshold_contour"))
        lines.append(
            f"without a bladder: {ours} of {len(absent)} give a contour (95 % upper bound "
            f"{upper_bound(ours, len(absent)):.1%}); threshold: {threshold}"
        )
        if ours:
            lines.append(f"false contours: {', '.join(row['case'] for row in absent if row['contour'])}")
    return "\n".join(lines)


def reproduced(rows: Sequence[Row], stated: Mapping[str, Any] | None) -> str:
    """Whether all cases' mean Dice is what the model's JSON states, within the noise that stands there."""
    dices = [row["dice"] for row in rows if row["bladder"]]
    if stated is None or stated["first_seed"] != FIRST_SEED:
        return "The model's JSON states no score on these cases."
    if len(dices) < COUNT:
        return f"The model's JSON states the score of all {COUNT} cases; these are {len(dices)}."
    mean = float(np.mean(dices))
    within = "within" if abs(mean - stated["mean_dice"]) <= stated["noise"] else "NOT within"
    return f"The model's JSON states {stated['mean_dice']:.4f}: {within} its noise of {stated['noise']:.4f}."


def write(path: Path | None, model: dict[str, str], rows: Sequence[Row]) -> None:
    """Write what is known so far."""
    if path is not None:
        about = {"generator": GENERATOR_VERSION, "first_seed": FIRST_SEED, "model": model}
        result = {**about, "summary": summary(rows).splitlines(), "cases": rows}
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def merge(paths: Sequence[Path], output: Path | None) -> None:
    """Put parts together, which must be of one model and of the frozen set as it is, and share no case."""
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    rows = sorted((row for part in parts for row in part["cases"]), key=lambda row: (not row["bladder"], row["case"]))
    names = [(row["case"], row["bladder"]) for row in rows]
    assert len(set(names)) == len(names), "the parts share cases"
    assert all(part["model"] == parts[0]["model"] for part in parts), "the parts are of different models"
    assert all((part["generator"], part["first_seed"]) == (GENERATOR_VERSION, FIRST_SEED) for part in parts), (
        "the parts are of another frozen set"
    )
    write(output, parts[0]["model"], rows)
    print(summary(rows))
    plan = load_weights(default_weights()).plan
    if plan.sha256 == parts[0]["model"]["sha256"]:
        print(reproduced(rows, plan.scores.get(STATED)))


def part_of(text: str) -> tuple[int, int]:
    """ "2/3" as (2, 3)."""
    number, _, total = text.partition("/")
    if not 1 <= int(number) <= int(total):
        raise ValueError(text)
    return int(number), int(total)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10**6, help="the first so many cases of each kind (default: all)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help=CACHE_HELP)
    parser.add_argument("--weights", type=Path, help="weights (default: those that are shipped)")
    parser.add_argument("--part", type=part_of, default=(1, 1), metavar="I/N", help="the I-th of N shares of the cases")
    parser.add_argument("--merge", type=Path, nargs="+", metavar="FILE", help="put the files of parts together")
    parser.add_argument("--output", type=Path, metavar="FILE", help="JSON file to write")
    arguments = parser.parse_args()
    if arguments.merge:
        merge(arguments.merge, arguments.output)
        return 0
    engine = Engine.load(arguments.weights, "auto")
    model = {"name": engine.plan.name, "sha256": engine.plan.sha256}
    tests = [(test, True) for test in with_bladder(min(arguments.count, COUNT))]
    tests += [(test, False) for test in without_bladder(min(arguments.count, COUNT_WITHOUT))]
    number, total = arguments.part
    rows: list[Row] = []
    # In an order of chance, so that every part gets its share of the long fields.
    for index in np.random.default_rng(0).permutation(len(tests))[number - 1 :: total]:
        test, is_there = tests[index]
        row = evaluate(test, is_there, engine, arguments.cache)
        rows.append(row)
        score = f"Dice {row['dice']:.3f}, threshold {row['threshold_dice']:.3f}" if is_there else "no bladder"
        contour = f"{row['volume_ml']:.0f} mL, confidence {row['confidence']:.2f}" if row["contour"] else "no contour"
        print(f"{row['case']:<20}{row['reference_ml']:7.0f} mL: {score}; {contour}; {row['seconds']:.1f} s", flush=True)
        write(arguments.output, model, rows)
    print(summary(rows))
    print(reproduced(rows, engine.plan.scores.get(STATED)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
