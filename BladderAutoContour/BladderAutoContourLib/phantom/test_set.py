"""The frozen test set: held-out patients that training never draws, and fields without a bladder.

Frozen with GENERATOR_VERSION and FIRST_SEED by a commit, before any of it is rendered and scored. A change of the
generator that changes a voxel of a held-out case needs a new version and a new freeze; so does a set that somebody has
looked at in order to decide what to change next (those with seeds from 100,000 to 1,100,000 and on served so). Of
1,200,000 and 1,300,000, one patient's bladder is too flat for any scan to cut.
"""

from dataclasses import dataclass

import numpy as np

from ..imaging.geometry import Triple, coverage, patient_grid
from .case import Case, Stream, draw_case
from .fields import WITHOUT_BLADDER, Scan, draw_cut_scan, draw_scan
from .render import bladder_centre_mm, render

FIRST_SEED = 1_400_000
COUNT, COUNT_WITHOUT = 300, 150
STRATA = (
    "plain",
    "small",
    "fluid-bowel",
    "metal",
    "contrast",
    "catheter",
    "gas",
    "rotated",
    "cut",
    "very-large",
)
"""What the cases are drawn to show, a tenth each; "plain" forces nothing, "cut" ends the scan in the bladder."""
KEPT = (0.25, 0.85)  # share of the bladder that a cut scan shows: less is nothing to find, more is hardly cut
MOST_TRIES = 200
OFF_CENTRE_MM = 100.0  # how far from the field's centre the bladder lies in a third of the cases


@dataclass(frozen=True)
class TestCase:
    """A held-out patient and the scan made of it. stratum: one of STRATA; the kind of field without a bladder."""

    name: str
    stratum: str
    case: Case
    scan: Scan


def with_bladder(count: int = COUNT) -> list[TestCase]:
    """The first `count` of the 300 cases: two thirds pelvic, one third wider fields with the bladder off centre."""
    return [_positive(number) for number in range(count)]


def without_bladder(count: int = COUNT_WITHOUT) -> list[TestCase]:
    """The first `count` of the 150 bladder-free fields: chest, abdomen with kidneys and gallbladder, thighs in turn."""
    result = []
    for number in range(count):
        seed = FIRST_SEED + 10_000 + number
        case = draw_case(seed, "held-out")
        rng = np.random.default_rng([seed, Stream.TEST_SCAN])
        kind = WITHOUT_BLADDER[number % len(WITHOUT_BLADDER)]
        result.append(TestCase(f"{kind}-{number:03d}", kind, case, draw_scan(case, kind, _spacing(rng), rng)))
    return result


def _spacing(rng: np.random.Generator) -> Triple:
    in_plane = float(rng.choice([1.6, 2.0, 2.4]))
    return in_plane, in_plane, float(rng.choice([3.0, 4.0, 5.0]))


def _cut(case: Case, spacing_mm: Triple, rng: np.random.Generator) -> Scan:
    """A scan that ends within the bladder and shows a part of it, judged on a coarse grid.

    Raises RuntimeError for a bladder so flat that every scan shows it whole or hardly at all.
    """
    around = patient_grid(bladder_centre_mm(case), (6.0, 6.0, 6.0), (40, 40, 40))
    label = render(case, around).bladder.numpy()
    for _ in range(MOST_TRIES):
        scan = draw_cut_scan(case, spacing_mm, rng)
        share = (label * coverage(scan.geometry, around)).sum() / label.sum()
        if KEPT[0] <= share <= KEPT[1]:
            return scan
    raise RuntimeError(f"seed {case.seed} gives no scan that cuts the bladder: freeze the set with other seeds")


def _positive(number: int) -> TestCase:
    seed = FIRST_SEED + number
    stratum = STRATA[number % len(STRATA)]
    case = draw_case(seed, "held-out", None if stratum in ("plain", "cut") else stratum)
    rng = np.random.default_rng([seed, Stream.TEST_SCAN])
    spacing = _spacing(rng)
    if stratum == "cut":
        return TestCase(f"cut-{number:03d}", stratum, case, _cut(case, spacing, rng))
    kind = "pelvis" if number % 3 else ("whole-body" if number % 2 else "abdomen-pelvis")
    while True:
        scan = draw_scan(case, kind, spacing, rng)
        offset = np.abs(bladder_centre_mm(case) - scan.geometry.centre_mm).max()
        if kind == "pelvis" or offset >= OFF_CENTRE_MM:
            return TestCase(f"{stratum}-{number:03d}", stratum, case, scan)
