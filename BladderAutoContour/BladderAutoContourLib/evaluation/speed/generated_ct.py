"""The generated CT that speed is measured on: one patient, at the size of a CT from the clinic, or small."""

import numpy as np

from ...imaging.geometry import patient_grid
from ...imaging.volume import Volume
from ...phantom.case import draw_case
from ...phantom.render import canonical_to_patient, render

SEED, STRATUM = 4, "large"
CENTRE_MM = (0.0, 12.0, 140.0)
"""Canonical centre of the generated CT: the bladder lies in its lower half, the abdomen above it."""

FULL_SIZE, FULL_SPACING_MM = (512, 512, 150), (0.98, 0.98, 3.0)
SMOKE_SIZE, SMOKE_SPACING_MM = (128, 128, 60), (3.9, 3.9, 5.0)


def generated_ct(size: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Volume:
    """A generated patient, HU (int16) on a grid about the pelvis; size and spacing are (x, y, z)."""
    case = draw_case(SEED, stratum=STRATUM)
    grid = patient_grid(canonical_to_patient(case, np.asarray(CENTRE_MM)), spacing_mm, size)
    return Volume(render(case, grid).stored_hu(), grid)
