"""How bladders are shaped and where they lie: the prior that the networks learn from.

Lengths are canonical millimetres (x left, y posterior, z superior). Sources: capacity and ellipsoid proportions from
ultrasound practice (volume = 0.52 to 0.7 x width x depth x height); the empty bladder as anatomy describes it, a
tetrahedron with its apex behind the symphysis, a flat superior face, two inferolateral faces and a base; wall 2 to 8
mm. A bladder is soft: whatever lies on it flattens a face, and it bulges between, to one side more than to the other.
"""

from dataclasses import dataclass

import numpy as np

from .shapes import Ellipsoid, Point, Shape, Tube, as_point

Face = tuple[Point, float]
"""A plane that flattens a bladder: its outward unit normal, and its distance from the bladder's centre in mm."""

TRAINING_KINDS = ("ellipsoid", "lobed", "flat-top", "faceted", "horned", "collapsed")
TRAINING_SHARES = (0.2, 0.15, 0.1, 0.25, 0.18, 0.12)
HELD_OUT_KINDS = ("pear", "box", "twin")
WALL_X, WALL_Y = 74.0, -78.0  # how far to the side and to the front a bladder reaches
# outward normals of the empty bladder's faces: superior, left and right inferolateral, base
TETRAHEDRON = ((0.0, -0.25, 1.0), (0.75, -0.35, -0.6), (-0.75, -0.35, -0.6), (0.0, 1.0, 0.1))


@dataclass(frozen=True)
class BladderShape:
    """An outer wall surface: an ellipsoid that leans and ripples, with lobes, flat faces, and the neighbours' dents.

    faces: the planes that flatten it.
    """

    kind: str
    centre: Point
    radii: Point
    tilt_degrees: Point
    exponent: float
    ripple: float
    lobes: tuple[Shape, ...]
    faces: tuple[Face, ...]
    wall_mm: float
    indentation_mm: float
    fat_plane_mm: float


def draw_bladder_shape(
    rng: np.random.Generator, held_out: bool, stratum: str | None, sex: str, prostate_scale: float
) -> BladderShape:
    """A bladder of the training or of the held-out family; `stratum` forces its size (`case.STRATA`)."""
    volume_ml = _draw_volume_ml(rng, stratum)
    fullness = float(np.clip(np.log(volume_ml / 20) / np.log(30), 0, 1))  # 0 at 20 mL, 1 at 600 mL
    # small bladders are mostly flat, full ones round to tall (height against width)
    height = (0.35 + 0.65 * rng.beta(1.2, 1.8)) * (1 - fullness) + rng.uniform(0.65, 1.3) * fullness
    depth = rng.uniform(0.55, 1.15) * (1 - fullness) + rng.uniform(0.65, 1.1) * fullness
    width = (volume_ml * 1000 / (np.pi / 6 * height * depth)) ** (1 / 3)
    radii = (width / 2, width * depth / 2, width * height / 2)
    neck_z = rng.uniform(-14, 8) + (9 * prostate_scale - 3 if sex == "male" else -3)
    lean = fullness * rng.uniform(-5, 32)  # a full dome falls forward over the pubis
    aside = rng.uniform(-22, 22) if rng.random() < 0.15 else 0.0  # pushed away by bowel, uterus or a lymphocele
    tilt = (float(-lean + rng.normal(0, 8)), float(rng.normal(0, 10)), float(rng.normal(0, 7)))
    centre = within_the_pelvis(
        (
            float(rng.normal(0, 4 + 4 * fullness) + aside),
            float(-16 - rng.uniform(-5, 11) - 0.45 * lean),
            float(neck_z + radii[2] * rng.uniform(0.85, 1.05)),
        ),
        radii,
        tilt[0],
    )
    kind = str(rng.choice(HELD_OUT_KINDS) if held_out else rng.choice(TRAINING_KINDS, p=TRAINING_SHARES))
    radii, exponent, lobes, faces = _form(kind, rng, centre, radii, tilt)
    return BladderShape(
        kind=kind,
        centre=centre,
        radii=radii,
        tilt_degrees=tilt,
        exponent=exponent,
        ripple=0.0 if kind in ("box", "twin") else float(rng.uniform(0.02, 0.16)),
        lobes=lobes,
        faces=faces,
        wall_mm=float(rng.uniform(2, 4) + (1 - fullness) * rng.uniform(0, 4.5)),
        indentation_mm=float(rng.uniform(0, 0.45) * min(radii)),
        fat_plane_mm=float(max(0.0, rng.uniform(-3, 5))),
    )


def _form(
    kind: str, rng: np.random.Generator, centre: Point, radii: Point, tilt: Point
) -> tuple[Point, float, tuple[Shape, ...], tuple[Face, ...]]:
    """What a kind makes of the ellipsoid that was drawn: radii, exponent, lobes, faces, as BladderShape has them."""
    lobes, faces, exponent = [], [], 2.0
    if kind == "lobed":
        where = np.array(centre) + _direction(rng) * np.array(radii) * rng.uniform(0.4, 0.75)
        lobes.append(Ellipsoid(as_point(where), as_point(np.array(radii) * rng.uniform(0.45, 0.75)), tilt))
    elif kind == "flat-top":
        exponent = 2.5
    elif kind == "faceted":
        faces = [_face(rng, _direction(rng), radii, (0.5, 0.9)) for _ in range(int(rng.integers(2, 7)))]
        radii = as_point(np.array(radii) * (1 + 0.03 * len(faces)))
    elif kind == "collapsed":
        turned = [np.array(normal) + rng.normal(0, 0.15, size=3) for normal in TETRAHEDRON]
        faces = [_face(rng, normal / np.linalg.norm(normal), radii, (0.4, 0.75)) for normal in turned]
        radii = as_point(np.array(radii) * 1.2)
    elif kind == "horned":
        lobes = [_horn(rng, centre, radii) for _ in range(int(rng.integers(1, 3)))]
    elif kind == "pear":  # a narrow base that opens upwards
        where = (centre[0], centre[1] - 0.2 * radii[1], centre[2] + 0.45 * radii[2])
        lobes = [Ellipsoid(where, (radii[0] * 1.05, radii[1] * 0.95, radii[2] * 0.6), tilt)]
        radii = (radii[0] * 0.72, radii[1] * 0.8, radii[2])
    elif kind == "box":
        exponent = 3.2
    elif kind == "twin":  # two ears, as when the uterus or bowel presses on the middle of the dome
        ears = ((centre[0] + s * 0.5 * radii[0], centre[1], centre[2] + 0.25 * radii[2]) for s in (-1, 1))
        lobes = [Ellipsoid(ear, (radii[0] * 0.6, radii[1] * 0.85, radii[2] * 0.85), tilt) for ear in ears]
        radii = (radii[0] * 0.95, radii[1] * 0.9, radii[2] * 0.75)
    return as_point(radii), exponent, tuple(lobes), tuple(faces)


def _draw_volume_ml(rng: np.random.Generator, stratum: str | None) -> float:
    ranges = {"small": (15, 60), "medium": (60, 150), "large": (150, 400), "very-large": (400, 800)}
    if stratum in ranges:
        return float(np.exp(rng.uniform(*np.log(ranges[stratum]))))
    if stratum == "catheter":
        return float(np.exp(rng.uniform(*np.log((20, 150)))))
    low, high = (15, 80) if rng.random() < 0.4 else (80, 750)
    return float(np.exp(rng.uniform(*np.log((low, high)))))


def within_the_pelvis(centre: Point, radii: Point, lean_degrees: float) -> Point:
    """The centre moved so that the ellipsoid stays behind the abdominal wall and between the hip bones."""
    angle = np.radians(lean_degrees)
    forward = float(np.hypot(radii[1] * np.cos(angle), radii[2] * np.sin(angle)))
    aside = max(0.0, WALL_X - radii[0])
    return float(np.clip(centre[0], -aside, aside)), max(centre[1], WALL_Y + forward), centre[2]


def _direction(rng: np.random.Generator) -> np.ndarray:
    side = rng.normal(size=3) * np.array([1.0, 0.7, 0.8])
    return side / np.linalg.norm(side)


def _face(rng: np.random.Generator, normal: np.ndarray, radii: Point, depth: tuple[float, float]) -> Face:
    """A plane that cuts the ellipsoid at a share `depth` of its reach along the normal."""
    reach = float(np.linalg.norm(normal * np.array(radii)))
    return as_point(normal), reach * float(rng.uniform(*depth))


def _horn(rng: np.random.Generator, centre: Point, radii: Point) -> Tube:
    """A corner drawn out to one side, as towards a hernia, the urachus or between two loops of bowel."""
    side = _direction(rng)
    side[2] = abs(side[2]) if rng.random() < 0.6 else side[2]
    reach = side * np.array(radii)
    least = min(radii)
    start = np.array(centre) + 0.35 * reach
    end = np.array(centre) + reach * rng.uniform(0.95, 1.25) + side * rng.uniform(0, 9)
    return Tube(
        (as_point(start), as_point(end)), (least * rng.uniform(0.5, 0.75), max(3.0, least * rng.uniform(0.2, 0.4)))
    )
