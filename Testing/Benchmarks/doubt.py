"""How well the doubt of a slice ranks wrong slices first, beside what needs no doubt: small slices, slices near an end.

Run from the repository root: `.venv/bin/python Testing/Benchmarks/doubt.py --output doubt.json`. Generated scans of the
training family with seeds of their own: not those that the doubt is fitted on, never the frozen test set. A slice is
wrong where its in-plane HD95 is above 4 mm, or where contour or reference alone has a part in it. A missed slice has no
doubt of its own: it takes that of the contour's slice next to it, and so do area and distance. "area and end" is a
logistic regression fitted on the very slices that it is judged by, so what it reaches is flattered. Scans differ more
than slices of one scan do: the interval reaches about 0.09 to either side with 16 scans and 0.04 with 48.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from BladderAutoContourLib.errors import NoBladderError
from BladderAutoContourLib.evaluation.calibration.known_scans import scan_of
from BladderAutoContourLib.evaluation.calibration.logistic import fit_logistic
from BladderAutoContourLib.evaluation.metrics import dice
from BladderAutoContourLib.evaluation.slices import WRONG_HD95_MM, area_under_roc, slice_errors
from BladderAutoContourLib.phantom.case import GENERATOR_VERSION
from BladderAutoContourLib.pipeline.engine import Contouring, Engine

FIRST_SEED = 770_000
REQUIRED_AREA, REQUIRED_GAIN = 0.85, 0.10
RESAMPLINGS = 1000
ALONE = ("area", "end", "area and end")


@dataclass(frozen=True)
class Slice:
    """One slice of a contour or of the true bladder. hd95_mm is None where one of them has no part in it."""

    case: str
    number: int
    doubt: float
    area_mm2: float
    to_end_mm: float
    hd95_mm: float | None
    missed: bool
    added: bool
    wrong: bool


def slices_of(name: str, found: Contouring, bladder: np.ndarray) -> list[Slice]:
    """Every slice that the contour or the bladder has a part in."""
    contour, (x_mm, y_mm, z_mm) = found.mask.array > 0, found.mask.geometry.spacing_mm
    first = found.slice_features.first_slice
    last = first + len(found.slice_doubt) - 1
    rows = []
    for error in slice_errors(contour, bladder, (x_mm, y_mm, z_mm)):
        seen = int(np.clip(error.number, first, last))
        rows.append(
            Slice(
                case=name,
                number=error.number,
                doubt=round(found.slice_doubt[seen - first], 4),
                area_mm2=round(float(contour[seen].sum()) * x_mm * y_mm, 1),
                to_end_mm=min(seen - first, last - seen) * z_mm,
                hd95_mm=None if np.isinf(error.hd95_mm) else round(error.hd95_mm, 2),
                missed=error.missed,
                added=error.added,
                wrong=error.wrong,
            )
        )
    return rows


def areas(rows: Sequence[Slice]) -> dict[str, float]:
    """Area under ROC of the doubt, and of what needs none."""
    wrong = np.array([row.wrong for row in rows])
    area = np.log(np.array([row.area_mm2 for row in rows]))
    end = np.array([row.to_end_mm for row in rows])
    scores = {
        "doubt": np.array([row.doubt for row in rows]),
        "area": -area,
        "end": -end,
        "area and end": fitted(np.stack((area, end), axis=1), wrong),
    }
    return {name: area_under_roc(score, wrong) for name, score in scores.items()}


def fitted(features: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Log odds of `wrong` by a logistic regression on the features (hardly any prior)."""
    design = np.column_stack(((features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9), np.ones(len(wrong))))
    nothing = np.zeros(design.shape[1])
    return design @ fit_logistic(design, wrong.astype(float), nothing, 1e-2 * np.eye(len(nothing)))


def gain(found: dict[str, float]) -> float:
    """How far the doubt is above the best of what needs none."""
    return found["doubt"] - max(found[name] for name in ALONE)


def by_case(rows: Sequence[Slice]) -> list[list[Slice]]:
    """The slices of each case."""
    found: dict[str, list[Slice]] = {}
    for row in rows:
        found.setdefault(row.case, []).append(row)
    return list(found.values())


def intervals(rows: Sequence[Slice]) -> dict[str, tuple[float, float]]:
    """95 % intervals of the doubt's area and of its gain, by drawing whole cases with replacement."""
    cases, rng = by_case(rows), np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLINGS):
        found = areas([row for number in rng.integers(len(cases), size=len(cases)) for row in cases[number]])
        drawn.append((found["doubt"], gain(found)))
    low, high = np.nanpercentile(np.array(drawn), [2.5, 97.5], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(("doubt", "gain"))}


def within_cases(rows: Sequence[Slice]) -> tuple[float, int]:
    """Mean area under ROC of the doubt within a case, over the cases that have right and wrong slices; how many."""
    found = [areas(own)["doubt"] for own in by_case(rows) if len({row.wrong for row in own}) == 2]
    return (float(np.mean(found)) if found else float("nan")), len(found)


def summary(rows: Sequence[Slice]) -> list[str]:
    """The figures that are asked for."""
    found, spread, (within, cases) = areas(rows), intervals(rows), within_cases(rows)
    kinds = {kind: sum(getattr(row, kind) for row in rows) for kind in ("wrong", "missed", "added")}
    return [
        f"{len(rows)} slices of {len(by_case(rows))} cases: {kinds['wrong']} wrong (in-plane HD95 above "
        f"{WRONG_HD95_MM:g} mm, {kinds['missed']} missed, {kinds['added']} added)",
        f"doubt: area under ROC {found['doubt']:.3f} ({spread['doubt'][0]:.3f} to {spread['doubt'][1]:.3f}), "
        f"at least {REQUIRED_AREA:.2f} is asked; within a case {within:.3f} on average ({cases} cases)",
        "alone: " + ", ".join(f"{name} {found[name]:.3f}" for name in ALONE),
        f"gain: {gain(found):+.3f} ({spread['gain'][0]:+.3f} to {spread['gain'][1]:+.3f}), "
        f"at least {REQUIRED_GAIN:+.2f} is asked",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=48, help="cases (48)")
    parser.add_argument("--weights", type=Path, help="weights (default: those that are shipped)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="JSON file to write")
    arguments = parser.parse_args()
    engine = Engine.load(arguments.weights, "auto")
    rows: list[Slice] = []
    missed: list[str] = []
    for seed in range(FIRST_SEED, FIRST_SEED + arguments.count):
        name, ct, bladder = scan_of(seed, seed - FIRST_SEED)
        try:
            found = engine.contour(ct, lambda step, fraction: None)
        except NoBladderError:
            missed.append(name)
            print(f"{name:<22} missed", flush=True)
            continue
        own = slices_of(name, found, bladder)
        rows += own
        score, wrong = dice(found.mask.array, bladder), sum(row.wrong for row in own)
        print(f"{name:<22} Dice {score:.3f}, {wrong} of {len(own)} slices wrong", flush=True)
    lines = [*summary(rows), f"cases without a contour, left out: {', '.join(missed) or 'none'}"]
    print("\n".join(lines))
    if arguments.output:
        model = {"name": engine.plan.name, "sha256": engine.plan.sha256}
        slices = [asdict(row) for row in rows]
        result = {"generator": GENERATOR_VERSION, "model": model, "summary": lines, "areas": areas(rows)}
        text = json.dumps({**result, "missed_cases": missed, "slices": slices}, indent=1)
        arguments.output.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
