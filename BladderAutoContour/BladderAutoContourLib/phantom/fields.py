"""Which part of the patient a scan shows: whole scans for tests and demonstrations, crops for training."""

from dataclasses import dataclass

import numpy as np

from ..imaging.geometry import Geometry, Triple, patient_grid
from .case import Case
from .render import canonical_to_patient

# Canonical z (mm) of the lower and upper end of a scan. The bladder lies about z = 0 to 120, the diaphragm near 350.
EXTENTS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "pelvis": ((-150.0, -75.0), (130.0, 240.0)),
    "abdomen-pelvis": ((-130.0, -70.0), (330.0, 460.0)),
    "whole-body": ((-430.0, -280.0), (560.0, 760.0)),
    "chest": ((185.0, 260.0), (480.0, 600.0)),
    "abdomen": ((150.0, 175.0), (360.0, 460.0)),
    "thighs": ((-440.0, -380.0), (-130.0, -95.0)),
}
FIELD_OF_VIEW_MM = (420.0, 520.0)  # from side to side and from front to back
WITH_BLADDER = ("pelvis", "abdomen-pelvis", "whole-body")
WITHOUT_BLADDER = ("chest", "abdomen", "thighs")

LOCALISER_ERROR_MM = (11.0, 14.0, 14.0)
"""How far a crop lies off the bladder, along (x, y, z): standard deviations of what a localiser errs by."""
FAR_SHARE, FAR_MM = 0.35, (30.0, 42.0, 42.0)
"""How often a crop lies anywhere within these distances: a network that always finds the bladder in the middle of its
crop learns the middle, and follows a localiser that has mistaken the prostate for the bladder."""

WINDOW_REACH = 0.85
"""How far above or below a window's middle the bladder's lies at most, as a share of half the window's height."""


@dataclass(frozen=True)
class Scan:
    """A scanned field: its name and grid."""

    kind: str
    geometry: Geometry


def draw_scan(case: Case, kind: str, spacing_mm: Triple, rng: np.random.Generator) -> Scan:
    """A scan of `kind` (a key of EXTENTS) at `spacing_mm` (x, y, z), its field of view 420 to 520 mm wide."""
    low, high = (rng.uniform(*ends) for ends in EXTENTS[kind])
    return _scan(case, kind, spacing_mm, rng, (low, high))


def _scan(case: Case, kind: str, spacing_mm: Triple, rng: np.random.Generator, extent: tuple[float, float]) -> Scan:
    low, high = extent
    width = rng.uniform(*FIELD_OF_VIEW_MM)
    size = (round(width / spacing_mm[0]), round(width / spacing_mm[1]), round((high - low) / spacing_mm[2]))
    centre = canonical_to_patient(case, np.array([rng.normal(0, 12), 12 + rng.normal(0, 12), (low + high) / 2]))
    return Scan(kind, patient_grid(centre, spacing_mm, size))


def draw_cut_scan(case: Case, spacing_mm: Triple, rng: np.random.Generator) -> Scan:
    """A pelvic scan that ends, below or above, within the bladder."""
    low, high = (rng.uniform(*ends) for ends in EXTENTS["pelvis"])
    through = case.bladder.centre[2] + rng.uniform(-0.3, 0.3) * case.bladder.radii[2]
    low, high = (through, high) if rng.random() < 0.5 else (low, through)
    return _scan(case, "pelvis", spacing_mm, rng, (low, high))


def draw_window(
    case: Case, spacing_mm: Triple, size: tuple[int, int, int], rng: np.random.Generator, with_bladder: bool
) -> Geometry:
    """A window of the localiser: centred on the body, anywhere along it, or with the bladder somewhere inside."""
    reach = size[2] * spacing_mm[2] / 2
    if with_bladder:
        z = case.bladder.centre[2] + rng.uniform(-WINDOW_REACH, WINDOW_REACH) * reach
    else:
        z = rng.uniform(-330, 620)
    return patient_grid(
        canonical_to_patient(case, np.array([rng.normal(0, 15), 12 + rng.normal(0, 15), z])), spacing_mm, size
    )


def draw_crop_error_mm(rng: np.random.Generator) -> np.ndarray:
    """How far, along (x, y, z), a crop of the segmenter lies off the bladder."""
    far = rng.random() < FAR_SHARE
    return rng.uniform(-1, 1, size=3) * FAR_MM if far else rng.normal(0, 1, size=3) * LOCALISER_ERROR_MM


def draw_crop(
    case: Case, spacing_mm: Triple, size: tuple[int, int, int], rng: np.random.Generator, with_bladder: bool
) -> Geometry:
    """A crop of the segmenter: about the bladder, as far off as a localiser errs, or about another organ."""
    if with_bladder:
        centre = np.asarray(case.bladder.centre) + draw_crop_error_mm(rng)
    else:
        centre = np.array([rng.uniform(-80, 80), rng.uniform(-50, 60), rng.uniform(-300, 620)])
    return patient_grid(canonical_to_patient(case, centre), spacing_mm, size)
