"""Generated scans of the training family, contoured, their bladders known: what doubt and temperature are fitted on."""

from collections.abc import Iterator

import numpy as np

from ...errors import NoBladderError
from ...imaging.volume import Volume
from ...phantom.case import STRATA, draw_case
from ...phantom.fields import draw_scan
from ...phantom.render import render
from ...pipeline.engine import Contouring, Engine
from ...pipeline.steps import Progress

FIRST_SEED = 740_000
KINDS = (None, *STRATA)  # every property in turn
SPACINGS_MM = ((1.5, 3.0), (1.8, 4.0), (2.0, 5.0))  # in the plane, across: finer than what makes a slice wrong


def scan_of(seed: int, number: int) -> tuple[str, Volume, np.ndarray]:
    """Name, CT and true bladder, boolean (z, y, x), of a pelvic scan; `number` picks its stratum and spacing."""
    case = draw_case(seed, stratum=KINDS[number % len(KINDS)])
    in_plane, across = SPACINGS_MM[number % len(SPACINGS_MM)]
    scan = draw_scan(case, "pelvis", (in_plane, in_plane, across), np.random.default_rng([seed, 1]))
    rendered = render(case, scan.geometry)
    ct = Volume(rendered.stored_hu(), scan.geometry)
    return f"{case.stratum or 'any'}-{seed}", ct, rendered.bladder.numpy() >= 0.5


def contoured_scans(engine: Engine, count: int, progress: Progress) -> Iterator[tuple[Contouring, np.ndarray]]:
    """Contour and true bladder, boolean (z, y, x), of `count` scans; those whose bladder is not found are passed over.

    One scan at a time is held: what is needed of it is to be taken before the next.
    """
    for number in range(count):
        _, ct, bladder = scan_of(FIRST_SEED + number, number)
        try:
            found = engine.contour(ct, lambda step, fraction: None)
        except NoBladderError:  # no contour: no slice to doubt, and no voxel near it
            found = None
        if found is not None:
            yield found, bladder
        progress("contour known scans", (number + 1) / count)
