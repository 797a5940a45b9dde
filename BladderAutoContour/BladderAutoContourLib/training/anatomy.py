"""How else the bladder may lie among its neighbours, and how else a little urine may be spread.

The generator places bladders by its priors (`phantom.bladder_prior`); a network that has only seen those loses an organ
a centimetre outside them. This moves, tilts and stretches the bladder of a case, and the prostate beside it, farther
than the priors do, and fills small bladders with contrast medium more often.
"""

from dataclasses import replace

import numpy as np

from ..phantom.bladder_prior import BladderShape, within_the_pelvis
from ..phantom.case import Case, draw_case
from ..phantom.shapes import Ellipsoid, Point, Shape, Tube, as_point

SHARE = 0.65  # of the patients
SHIFT_MM = (6.0, 10.0, 9.0)  # standard deviations along canonical x, y, z
FARTHEST_MM = (16.0, 22.0, 20.0)
SMALL_ML, LARGE_ML = 40.0, 250.0  # below and above them a bladder turns and stretches most and least
TURN_DEGREES = (18.0, 4.0)  # standard deviation of the turn about x of the smallest and the largest
STRETCH = (0.25, 0.06)  # likewise, of the logarithm of height, depth and width
FILLED = 0.12  # of the patients whose bladder holds no contrast medium
UNSTRETCHED = np.ones(3)
GLAND_SHIFT_MM = ((-5.0, 5.0), (-6.0, 18.0), (-8.0, 12.0))  # of the prostate, along x, y, z


def wander(case: Case, rng: np.random.Generator) -> Case:
    """The case with its bladder and prostate elsewhere, mostly; the volume stays about the same."""
    if rng.random() >= SHARE:
        return case
    return replace(
        case,
        bladder=_elsewhere(case.bladder, rng),
        gland_shift_mm=tuple(float(rng.uniform(*ends)) for ends in GLAND_SHIFT_MM),
        prostate_scale=float(np.clip(case.prostate_scale * np.exp(rng.normal(0, 0.2)), 0.6, 2.1)),
    )


def fill(case: Case, rng: np.random.Generator) -> Case:
    """The case with contrast medium in its bladder, now and then, whatever else it was drawn to show.

    A stratum forces one property. In a small bladder, whose wall is thick, a network that has seldom seen contrast
    medium draws the lumen.
    """
    if case.contents.contrast_hu or rng.random() >= FILLED:
        return case
    other = draw_case(int(rng.integers(2**31)), stratum="contrast").contents
    return replace(
        case,
        contents=replace(
            case.contents, contrast_hu=other.contrast_hu, layer=other.layer, layer_softness=other.layer_softness
        ),
    )


def ellipsoid_ml(radii_mm: Point) -> float:
    """Volume of the ellipsoid that a bladder is made from."""
    return 4 / 3 * np.pi * float(np.prod(radii_mm)) / 1000


def _elsewhere(shape: BladderShape, rng: np.random.Generator) -> BladderShape:
    largeness = float(np.clip(np.log(ellipsoid_ml(shape.radii) / SMALL_ML) / np.log(LARGE_ML / SMALL_ML), 0, 1))
    turn, stretch = ((1 - largeness) * small + largeness * large for small, large in (TURN_DEGREES, STRETCH))
    factors = np.exp(rng.normal(0, stretch, size=3))
    factors /= np.prod(factors) ** (1 / 3)
    radii = as_point(np.array(shape.radii) * factors)
    tilt = (shape.tilt_degrees[0] + float(rng.normal(0, turn)), *shape.tilt_degrees[1:])
    shift = np.clip(rng.normal(0, SHIFT_MM), np.negative(FARTHEST_MM), FARTHEST_MM)
    centre = within_the_pelvis(as_point(np.array(shape.centre) + shift), radii, tilt[0])
    return replace(carried(shape, centre, factors), radii=radii, tilt_degrees=tilt)


def carried(shape: BladderShape, centre: Point, factors: np.ndarray = UNSTRETCHED) -> BladderShape:
    """The bladder with its lobes about another centre; `factors` stretch how the lobes lie about it."""
    lobes = tuple(_carried(lobe, np.array(shape.centre), np.array(centre), factors) for lobe in shape.lobes)
    return replace(shape, centre=centre, lobes=lobes)


def _carried(lobe: Shape, before: np.ndarray, after: np.ndarray, factors: np.ndarray) -> Shape:
    """A lobe where the bladder it belongs to has gone, stretched with it."""

    def carried(point: Point) -> Point:
        return as_point(after + (np.array(point) - before) * factors)

    if isinstance(lobe, Ellipsoid):
        return replace(lobe, centre=carried(lobe.centre), radii=as_point(np.array(lobe.radii) * factors))
    if isinstance(lobe, Tube):
        return replace(lobe, points=tuple(carried(point) for point in lobe.points))
    raise TypeError(f"a bladder's lobe is an ellipsoid or a tube, not {type(lobe).__name__}")
