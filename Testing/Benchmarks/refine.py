"""Corrections that propagate, beside correcting slice by slice: generated bladders, spoiled predictions.

Run from the repository root: `.venv/bin/python Testing/Benchmarks/refine.py --output refine.json`; a run that was cut
off goes on from that file. Held-out patients with seeds of their own in small fields, or with `--ct` and `--bladder` a
CT whose bladder is known; a softened, roughened and spoiled truth stands for the network's probability
(`refine_cases`). A simulated clinician repairs the worst slice, looks at what came of it, and so on. 1 - Dice is
compared with the same slices corrected alone, and with signed distances blended between them.
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.evaluation.metrics import dice
from BladderAutoContourLib.imaging.files import read_volume
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.phantom.case import GENERATOR_VERSION
from BladderAutoContourLib.pipeline.corrections.distance import in_plane_mm
from BladderAutoContourLib.pipeline.corrections.refine import Corrections
from BladderAutoContourLib.pipeline.engine import Engine
from refine_cases import SPOILS, SpoiledCase, known_case, make_case

FIRST_SEED = 740_000  # those from 720,000 were looked at while the corrections were made
COUNT = 50
SLICES = (1, 2, 3, 5)
WORSE = 0.005
Row = dict[str, Any]


def repaired(case: SpoiledCase, engine: Engine) -> Row:
    """What is left of the error after each number of repaired slices, in each of the three ways."""
    predicted, bladder = case.probability.array >= 0.5, case.bladder
    current, done = predicted, []
    row: Row = {"case": case.name, "predicted": _error(predicted, bladder), "seconds": 0.0}
    for count in range(1, max(SLICES) + 1):
        wrong = (current ^ bladder).sum(axis=(1, 2))
        wrong[done] = 0
        if wrong.any():
            done.append(int(wrong.argmax()))
        edited, touched = current.copy(), np.zeros(bladder.shape, dtype=bool)
        edited[done], touched[done] = bladder[done], True
        begun = time.perf_counter()
        corrections = Corrections(case.probability, _mask(edited, case), _mask(touched, case))
        refinement = engine.refine(case.ct, corrections).result
        row["seconds"] = max(row["seconds"], round(time.perf_counter() - begun, 2))
        current = refinement.mask.array > 0
        assert (current[done] == bladder[done]).all(), "a corrected slice was changed"
        if count in SLICES:
            alone = predicted.copy()
            alone[done] = bladder[done]
            blended = blend(alone, done, case.ct.geometry.spacing_mm[1::-1])
            row[str(count)] = [_error(mask, bladder) for mask in (current, alone, blended)]
    return row


def blend(alone: np.ndarray, done: Sequence[int], spacing_mm: tuple[float, float]) -> np.ndarray:
    """The signed distances of neighbouring corrected slices interpolated on the slices between them."""
    result = alone.copy()
    order = sorted(done)
    distances = in_plane_mm(alone[order], spacing_mm)
    for low, (first, last) in enumerate(itertools.pairwise(order)):
        for number in range(first + 1, last):
            share = (number - first) / (last - first)
            result[number] = (1 - share) * distances[low] + share * distances[low + 1] < 0
    return result


def summary(rows: Sequence[Row]) -> str:
    """Mean 1 - Dice after each number of slices, and how often propagation did harm."""
    lines = [f"{'':<14}{'cases':>6}  slices   propagated    alone  blended   worse than alone by more than {WORSE}"]
    for kind in ("all", *SPOILS):
        group = [row for row in rows if kind == "all" or row["case"].startswith(kind)]
        for count in SLICES if group else ():
            errors = np.array([row[str(count)] for row in group])
            worse = (errors[:, 0] > errors[:, 1] + WORSE).mean()
            means = "".join(f"{value:9.4f}" for value in errors.mean(axis=0))
            lines.append(f"{kind:<14}{len(group):6d}{count:8d}    {means}   {worse:.1%}")
    seconds = np.array([row["seconds"] for row in rows])
    lines.append(f"seconds from arrays to mask, the slowest of each case: median {np.median(seconds):.2f}")
    return "\n".join(lines)


def _mask(array: np.ndarray, case: SpoiledCase) -> Volume:
    return Volume(array.astype(np.uint8), case.ct.geometry)


def _error(mask: np.ndarray, bladder: np.ndarray) -> float:
    return round(1 - dice(mask, bladder), 5)


def _known(path: Path | None, model: dict[str, str]) -> list[Row]:
    """The rows of an earlier run of the same model and generator."""
    if path is None or not path.exists():
        return []
    earlier = json.loads(path.read_text(encoding="utf-8"))
    if (earlier["model"], earlier["generator"]) != (model, GENERATOR_VERSION):
        sys.exit(f"{path} is of another model or generator: name another file.")
    return earlier["cases"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=COUNT, help=f"the first so many cases (default: {COUNT})")
    parser.add_argument("--weights", type=Path, help="weights, whose CRF is used (default: those that are shipped)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="JSON file to write after every case")
    parser.add_argument("--ct", type=Path, metavar="FOLDER", help="a DICOM CT whose bladder is known")
    parser.add_argument("--bladder", type=Path, metavar="FILE", help="its mask")
    arguments = parser.parse_args()
    if (arguments.ct is None) != (arguments.bladder is None):
        parser.error("--ct and --bladder belong together")
    known = (read_ct([arguments.ct]).volume, read_volume(arguments.bladder)) if arguments.ct else None
    engine = Engine.load(arguments.weights, "auto")
    model = {"name": engine.plan.name, "sha256": engine.plan.sha256}
    rows = _known(arguments.output, model)
    for number in range(len(rows), arguments.count):
        seed, spoil = FIRST_SEED + number, SPOILS[number % len(SPOILS)]
        row = repaired(known_case(*known, spoil, seed) if known else make_case(seed, spoil, "held-out"), engine)
        rows.append(row)
        print(row["case"], row["predicted"], *(row[str(count)] for count in SLICES), row["seconds"], flush=True)
        if arguments.output:
            result = {"generator": GENERATOR_VERSION, "model": model, "summary": summary(rows).splitlines()}
            arguments.output.write_text(json.dumps({**result, "cases": rows}, indent=1) + "\n", encoding="utf-8")
    print(summary(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
