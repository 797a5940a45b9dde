"""One generated patient, drawn from priors: habitus, bladder, contents, scanner.

Lengths are millimetres in canonical coordinates (x left, y posterior, z superior; origin midway between the femoral
heads) before the patient's own scale; attenuations are HU. Two families: "training", and "held-out", whose bladder
shapes, fat under the skin, elastic warp, and scanners' sharpness and noise training never draws. Priors: urine 0 to 20
HU, muscle 45 to 65, fat -115 to -85; the bladder's own in `bladder_prior`.
"""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from .bladder_prior import BladderShape, draw_bladder_shape
from .findings import Findings
from .shapes import Point

GENERATOR_VERSION = 4
FAMILIES = ("training", "held-out")
STRATA = ("small", "medium", "large", "very-large", "contrast", "catheter", "gas", "metal", "fluid-bowel", "rotated")


class Stream(IntEnum):
    """The random streams of a case, one for each part of the anatomy and of the scan.

    Streams, so that one organ's draw never moves another's: a loop of bowel more leaves bones, vessels and noise as
    they were. The numbers enter the seeds: another one makes other voxels, and needs a new GENERATOR_VERSION.
    """

    PATIENT = 0  # the case's own properties: habitus, bladder, contents, scanner
    TORSO = 1
    SKELETON = 2
    VESSELS = 3
    ABDOMEN = 4
    BOWEL = 5
    GENITAL_ORGANS = 6
    DOME_LOOPS = 7
    BLADDER_SURFACE = 8  # its ripples, and which neighbours press on it
    CATHETER_AND_STONES = 9
    COUCH = 10
    METAL = 11
    EXPOSURE = 12  # noise, of each slab anew
    WARP = 13
    CLUTTER = 14
    DOME_LOOP_STOOL = 15  # the grain of what the dome's loops hold
    STARVATION = 16  # bands between the hips, where few photons arrive
    HAZE = 17
    TEST_SCAN = 77  # which field of a patient the frozen test set shows


@dataclass(frozen=True)
class Habitus:
    """Frame, fat and posture. `origin_mm` is where the canonical origin lies in the patient's LPS coordinates."""

    scale: Point
    tilt_degrees: Point
    origin_mm: Point
    fat_front: float
    fat_side: float
    fat_back: float
    warp_mm: float
    warp_wavelength_mm: tuple[float, float]
    prone: bool


@dataclass(frozen=True)
class Contents:
    """What is in the bladder."""

    urine_hu: float
    wall_hu: float
    contrast_hu: float  # 0: none
    layer: float  # share of the depth that contrast fills from the dependent side; 1: all of it
    layer_softness: float  # share of the depth over which contrast and urine mix
    gas: float  # share of the depth that gas fills from the top; 0: none
    balloon_radius: float  # catheter balloon; 0: none
    stone_radius: float


@dataclass(frozen=True)
class Scanner:
    """What the machine does to the picture."""

    noise_hu: float  # of a 1 x 1 x 3 mm voxel
    noise_grain_mm: float
    blur_mm: float
    offset_hu: float
    gain: float
    streak_hu: float  # photon starvation between the hips
    metal: tuple[str, ...]  # "left", "right"
    couch: bool
    sharpening: float


@dataclass(frozen=True)
class Case:
    """Everything that `render` needs. Fine detail (bowel, textures) comes from `generator(stream)`."""

    seed: int
    family: str
    stratum: str | None
    sex: str
    enhanced: bool
    habitus: Habitus
    bladder: BladderShape
    contents: Contents
    scanner: Scanner
    fluid_bowel: bool
    opacified_bowel: float  # share of the bowel loops that hold oral contrast
    prostate_scale: float
    gland_shift_mm: Point = (0.0, 0.0, 0.0)  # of the prostate, off where the prior places it
    findings: Findings = field(default=Findings(), repr=False)  # that no family draws: a training adds them

    def generator(self, stream: Stream) -> np.random.Generator:
        """A random stream of its own for one part of the anatomy, the same on every grid."""
        return np.random.default_rng([GENERATOR_VERSION, FAMILIES.index(self.family), self.seed, stream])


def draw_case(seed: int, family: str = "training", stratum: str | None = None) -> Case:
    """The patient of a seed. `stratum` forces one property (see STRATA). Raises ValueError for unknown names."""
    if family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}: one of {', '.join(FAMILIES)}")
    if stratum is not None and stratum not in STRATA:
        raise ValueError(f"unknown stratum {stratum!r}: one of {', '.join(STRATA)}")
    rng = np.random.default_rng([GENERATOR_VERSION, FAMILIES.index(family), seed, Stream.PATIENT])
    held_out = family == "held-out"
    sex = "female" if rng.random() < 0.5 else "male"
    habitus = _draw_habitus(rng, held_out, stratum)
    prostate_scale = float(rng.choice([rng.uniform(0.75, 1.1), rng.uniform(1.1, 1.7)], p=[0.7, 0.3]))
    bladder = draw_bladder_shape(rng, held_out, stratum, sex, prostate_scale)
    return Case(
        seed=seed,
        family=family,
        stratum=stratum,
        sex=sex,
        enhanced=bool(rng.random() < 0.4),
        habitus=habitus,
        bladder=bladder,
        contents=_draw_contents(rng, held_out, stratum, bladder),
        scanner=_draw_scanner(rng, held_out, stratum),
        fluid_bowel=stratum == "fluid-bowel" or bool(rng.random() < 0.3),
        opacified_bowel=float(rng.choice([0.08, rng.uniform(0.3, 0.9)], p=[0.75, 0.25])),
        prostate_scale=prostate_scale,
    )


def _draw_habitus(rng: np.random.Generator, held_out: bool, stratum: str | None) -> Habitus:
    frame = rng.uniform(0.88, 1.12)
    scale = tuple(float(frame * rng.uniform(0.93, 1.07)) for _ in range(3))
    spread = 12.0 if rng.random() < 0.1 else 5.0
    obese, uneven = rng.uniform(0, 1) ** 1.7, 0.3
    if held_out:  # leaner than the leanest that training draws, or stouter than the stoutest
        obese, uneven = rng.choice([rng.uniform(-0.22, -0.15), rng.uniform(1.5, 1.65)]), 0.05
    fat = np.array((12 + 45 * obese, 10 + 35 * obese, 14 + 40 * obese)) * rng.uniform(1 - uneven, 1 + uneven, size=3)
    tilt = (float(rng.normal(0, 8)), float(rng.normal(0, spread / 2.5)), float(rng.normal(0, spread / 2)))
    if stratum == "rotated":  # lying askew: turned about the long axis, and bent to one side
        tilt = (tilt[0], float(rng.uniform(-12, 12)), float(rng.choice([-1, 1]) * rng.uniform(15, 30)))
    return Habitus(
        scale=scale,
        tilt_degrees=tilt,
        origin_mm=tuple(float(v) for v in rng.uniform(-150, 150, size=3)),
        fat_front=float(fat[0]),
        fat_side=float(fat[1]),
        fat_back=float(fat[2]),
        warp_mm=float(rng.uniform(6, 8) if held_out else rng.uniform(1.5, 5.5)),
        warp_wavelength_mm=(130.0, 400.0) if held_out else (90.0, 320.0),
        prone=bool(rng.random() < 0.06),
    )


def _draw_contents(rng: np.random.Generator, held_out: bool, stratum: str | None, bladder: BladderShape) -> Contents:
    contrast = stratum == "contrast" or rng.random() < 0.14
    smallest = min(bladder.radii) - bladder.wall_mm
    balloon = stratum == "catheter" or rng.random() < 0.10
    gas = stratum == "gas" or rng.random() < (0.35 if balloon else 0.04)
    radius = float(min(rng.uniform(8, 14), 0.85 * smallest)) if balloon else 0.0
    urine = float(rng.uniform(-8, 25) if held_out else rng.uniform(-10, 32))
    wall = float(max(rng.uniform(22, 55), urine + 6))
    if not held_out and rng.random() < 0.4:  # hardly told from urine, as where no contrast medium was given
        wall = urine + float(rng.uniform(-3, 12))
    return Contents(
        urine_hu=urine,
        wall_hu=wall,
        contrast_hu=float(np.exp(rng.uniform(np.log(60), np.log(900)))) if contrast else 0.0,
        layer=float(rng.choice([1.0, rng.uniform(0.15, 0.8)])),
        layer_softness=float(np.exp(rng.uniform(np.log(0.03), np.log(0.5)))),
        gas=float(rng.uniform(0.05, 0.3 if held_out else 0.6)) if gas else 0.0,
        balloon_radius=radius if radius > 4 else 0.0,
        stone_radius=float(rng.uniform(2, 7)) if rng.random() < 0.03 else 0.0,
    )


def _draw_scanner(rng: np.random.Generator, held_out: bool, stratum: str | None) -> Scanner:
    metal: tuple[str, ...] = ()
    if stratum == "metal" or rng.random() < 0.07:
        metal = (("left",), ("right",), ("left", "right"))[int(rng.integers(3))]
    return Scanner(
        noise_hu=float(rng.choice([rng.uniform(2, 5), rng.uniform(28, 36)]) if held_out else rng.uniform(5, 28)),
        noise_grain_mm=float(rng.uniform(1.5, 2.0) if held_out else rng.uniform(0.4, 1.4)),
        blur_mm=float(rng.uniform(1.1, 1.4) if held_out else rng.uniform(0.3, 1.0)),
        offset_hu=float(rng.normal(0, 6)),
        gain=float(rng.uniform(0.97, 1.03)),
        streak_hu=float(max(0.0, rng.normal(4, 6))),
        metal=metal,
        couch=bool(rng.random() < 0.85),
        sharpening=float(rng.uniform(0.4, 0.7) if held_out else rng.uniform(0, 0.3)),
    )
