"""The ablation's table: what every row reaches, and how far rows differ that differ in one thing, with intervals."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...phantom.test_set import TestCase
from ..metrics import score
from .paired import interval, paired_interval

TITLES = {
    "v-net": "V-net",
    "dual-channel": "dual channel + V-net",
    "batch-norm": "V-net + normalisation (the CNN)",
    "cnn": "dual channel + CNN",
    "crf-rnn": "CNN + CRF-RNN, trained end to end",
    "crf-after": "CNN + CRF as post-processing",
    "all": "all of it",
}
PAPER_DSC = {
    "v-net": 83.57,
    "dual-channel": 91.35,
    "batch-norm": 84.13,
    "cnn": 91.90,
    "crf-rnn": 88.39,
    "crf-after": 87.81,
    "all": 92.24,
}
"""Xu, Zhou, Liu 2018, table 2: real patients, dice pooled over cases."""

COMPARISONS = (
    ("dual-channel", "v-net", "density channel, without normalisation"),
    ("cnn", "batch-norm", "density channel, with normalisation"),
    ("batch-norm", "v-net", "normalisation and the rate that it allows, one channel"),
    ("cnn", "dual-channel", "normalisation and the rate that it allows, two channels"),
    ("crf-rnn", "batch-norm", "CRF-RNN end to end, one channel"),
    ("crf-after", "batch-norm", "CRF as post-processing, one channel"),
    ("crf-rnn", "crf-after", "end to end rather than post-processing"),
    ("all", "cnn", "CRF-RNN end to end, two channels"),
    ("all", "v-net", "everything"),
)
"""Row, the row that it is compared with, and what the two differ in."""

METRICS = ("dice", "voe", "rvd", "asd_mm", "msd_mm", "hd95_mm")
BANDS_ML = ((0, 60), (60, 150), (150, 400), (400, 10_000))
CaseScores = Mapping[str, float | str | None]
ScoresByRow = Mapping[str, Mapping[int, Sequence[CaseScores]]]
"""Row, then seed, then the cases, in the same order for every row and seed."""


def score_crop(
    case: TestCase, probability: np.ndarray, label: np.ndarray, spacing_mm: tuple[float, float, float]
) -> CaseScores:
    """The scores of one crop: probability and the label's share, both (z, y, x), cut at 0.5; no part is left out."""
    found = dataclasses.asdict(score(probability >= 0.5, label >= 0.5, spacing_mm))
    kept = {name: round(found[name], 5) if np.isfinite(found[name]) else None for name in METRICS}
    return {"case": case.name, "stratum": case.stratum, "reference_ml": round(found["reference_ml"], 2), **kept}


def report(scores: ScoresByRow) -> dict[str, Any]:
    """The table as plain data: every row's metrics, the comparisons that are possible, Dice by volume and stratum."""
    there = [name for name in TITLES if scores.get(name)]
    rows = {name: _row(scores[name]) | {"title": TITLES[name], "paper_dsc": PAPER_DSC[name]} for name in there}
    compared = [_comparison(scores, *comparison) for comparison in COMPARISONS if set(comparison[:2]) <= set(there)]
    groups = {name: _by_group(scores[name]) for name in there}
    return {"rows": rows, "comparisons": [one for one in compared if one], "dice_by_group": groups}


def as_markdown(found: Mapping[str, Any]) -> str:
    """The three tables of a report, for people."""
    lines = [
        "| row | seeds | DSC % (95 % interval) | VOE % | RVD % | ASD mm | MSD mm | HD95 mm | nothing found | "
        "the paper's DSC % |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found["rows"].values():
        metrics, dice = row["metrics"], row["dice"]
        shares = " | ".join(f"{100 * metrics[name]:.2f}" for name in ("voe", "rvd"))
        distances = " | ".join(_distance(metrics[name]) for name in ("asd_mm", "msd_mm", "hd95_mm"))
        lines.append(
            f"| {row['title']} | {len(row['seeds'])} | {_percent(dice)} | {shares} | {distances} | "
            f"{row['nothing_found']} | {row['paper_dsc']:.2f} |"
        )
    lines += ["", "| what differs | rows | Dice, points (95 % interval, paired) | seeds alone | cases won |"]
    lines.append("|---|---|---|---|---|")
    for one in found["comparisons"]:
        seeds = ", ".join(f"{100 * value:+.2f}" for value in one["by_seed"].values())
        pair = f"{one['row']} - {one['against']}"
        won = f"{100 * one['won']:.0f} %"
        lines.append(f"| {one['what']} | {pair} | {_percent(one['difference'], sign='+')} | {seeds} | {won} |")
    groups = list(dict.fromkeys(group for row in found["dice_by_group"].values() for group in row))
    lines += ["", "| DSC % | " + " | ".join(groups) + " |", "|---" * (len(groups) + 1) + "|"]
    for name, row in found["dice_by_group"].items():
        cells = " | ".join(f"{100 * row[group]['dice']:.2f} ({row[group]['cases']})" for group in groups)
        lines.append(f"| {TITLES[name]} | {cells} |")
    return "\n".join(lines) + "\n"


def _row(by_seed: Mapping[int, Sequence[CaseScores]]) -> dict[str, Any]:
    dice = _values(by_seed, sorted(by_seed), "dice")
    pooled = interval(dice)
    means = {name: np.nanmean(_values(by_seed, sorted(by_seed), name)) for name in METRICS if name != "dice"}
    empty = int(np.isnan(_values(by_seed, sorted(by_seed), "asd_mm")).sum())
    return {
        "seeds": sorted(by_seed),
        "cases": dice.shape[1],
        "dice": _plain(pooled),
        "dice_by_seed": {
            str(seed): round(float(one.mean()), 5) for seed, one in zip(sorted(by_seed), dice, strict=True)
        },
        "metrics": {name: None if np.isnan(value) else round(float(value), 5) for name, value in means.items()},
        "nothing_found": empty,
    }


def _comparison(scores: ScoresByRow, name: str, against: str, what: str) -> dict[str, Any] | None:
    seeds = sorted(set(scores[name]) & set(scores[against]))
    if not seeds:
        return None
    ours, theirs = (_values(scores[one], seeds, "dice") for one in (name, against))
    difference = ours - theirs
    return {
        "what": what,
        "row": name,
        "against": against,
        "difference": _plain(paired_interval(ours, theirs)),
        "by_seed": {str(seed): round(float(one.mean()), 5) for seed, one in zip(seeds, difference, strict=True)},
        "won": round(float((difference.mean(axis=0) > 0).mean()), 4),
    }


def _by_group(by_seed: Mapping[int, Sequence[CaseScores]]) -> dict[str, dict[str, float]]:
    dice = _values(by_seed, sorted(by_seed), "dice").mean(axis=0)
    cases = by_seed[min(by_seed)]
    volumes = np.array([case["reference_ml"] for case in cases], dtype=float)
    belongs = {
        (f"{low} to {high} mL" if high < BANDS_ML[-1][1] else f"{low} mL and more"): (volumes >= low) & (volumes < high)
        for low, high in BANDS_ML
    }
    strata = np.array([case["stratum"] for case in cases])
    belongs |= {str(stratum): strata == stratum for stratum in sorted(set(strata) - {""})}
    return {
        group: {"dice": round(float(dice[inside].mean()), 5), "cases": int(inside.sum())}
        for group, inside in belongs.items()
        if inside.any()
    }


def _values(by_seed: Mapping[int, Sequence[CaseScores]], seeds: Sequence[int], metric: str) -> np.ndarray:
    """A metric (seeds, cases), NaN where a case has none. Raises ValueError where the seeds saw other cases."""
    names = [[case["case"] for case in by_seed[seed]] for seed in seeds]
    if any(one != names[0] for one in names):
        raise ValueError("the seeds were judged on different cases")
    return np.array([[case[metric] for case in by_seed[seed]] for seed in seeds], dtype=float)


def _plain(found: Any) -> dict[str, float]:
    return {key: round(value, 5) for key, value in dataclasses.asdict(found).items()}


def _percent(found: Mapping[str, float], sign: str = "") -> str:
    mean, low, high = (format(100 * found[key], f"{sign}.2f") for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def _distance(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
