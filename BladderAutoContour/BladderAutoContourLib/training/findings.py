"""Findings that the generator's priors leave out, given to a share of the patients that a training shows.

A network that has never seen a lymphocele takes it for the bladder, and one that has never seen a pelvis without a
prostate ends the bladder where a prostate would begin. Canonical millimetres (x left, y posterior, z superior); HU.
Assumed: after radical prostatectomy the bladder neck descends to the pelvic floor, 2 to 4 cm below where it was, and
is drawn out to a funnel; a cystocele reaches below the symphysis; ovarian cysts and lymphoceles measure 2 to 12 cm;
bladder diverticula lie mostly beside and behind the ureters' openings; the wall of an inflamed or an irradiated bladder
measures 5 to 12 mm, is hardly told from urine without contrast medium, and the fat about it is hazy.
"""

from dataclasses import replace

import numpy as np

from ..phantom.bladder_prior import within_the_pelvis
from ..phantom.case import Case
from ..phantom.findings import Clip, Haze, Lake
from ..phantom.shapes import Ellipsoid, Tube, as_point
from .anatomy import carried

LAKES, LOW_NECK, POUCH, FREE_FLUID, SNUG, SMALL_FRAME, INFLAMED = 0.25, 0.25, 0.1, 0.1, 0.25, 0.15, 0.4
"""How often a patient who has findings has each of them; who would have none has one, whichever."""
LAKE_MM = (14.0, 60.0)  # half the width of a cyst or a lymphocele
NECK_Z = (-42.0, -14.0)  # where the neck of a bladder lies that has come down
LONGEST_FUNNEL_MM = 26.0
FRAME = (0.72, 0.95)  # of the size that was drawn
CLIPS = 9  # at most
THICK_WALL_MM = (5.0, 12.0)


def with_findings(case: Case, rng: np.random.Generator) -> Case:
    """The case with one of the findings, or several of them."""
    choice = (lower_neck, pouch, snug, free_fluid, lakes, small_frame, inflamed)
    shares = (LOW_NECK, POUCH, SNUG, FREE_FLUID, LAKES, SMALL_FRAME, INFLAMED)
    drawn = [change for change, share in zip(choice, shares, strict=True) if rng.random() < share]
    for change in drawn or [choice[int(rng.integers(len(choice)))]]:
        case = change(case, rng)
    return case


def lower_neck(case: Case, rng: np.random.Generator) -> Case:
    """A neck near the pelvic floor: a man's without a prostate, with clips about it; a woman's with a cystocele."""
    bladder = case.bladder
    lowest = bladder.centre[2] - bladder.radii[2]
    gap = lowest - rng.uniform(*NECK_Z)
    findings = case.findings
    if case.sex == "male":
        near = np.array([bladder.centre[0] * 0.5, bladder.centre[1] + rng.uniform(-4, 12), lowest - max(gap, 0)])
        clips = tuple(_clip(near, rng) for _ in range(int(rng.integers(0, CLIPS + 1))))
        findings = replace(findings, prostate=False, clips=clips)
    if gap <= 0:
        return replace(case, findings=findings)
    down = max(gap * rng.uniform(0.2, 0.9), gap - LONGEST_FUNNEL_MM)
    bladder = carried(bladder, (bladder.centre[0], bladder.centre[1], bladder.centre[2] - down))
    if (funnel := gap - down) > 4:
        (x, y, z), (a, b, c) = bladder.centre, bladder.radii
        least = min(a, b)
        wide, narrow = least * rng.uniform(0.35, 0.7), rng.uniform(4, 9)
        end = (x * 0.5 + rng.normal(0, 2), y + rng.uniform(-6, 10), z - c - funnel + narrow)
        cone = Tube(((x, y, z - 0.55 * c), as_point(np.array(end))), (float(wide), float(min(narrow, wide))))
        bladder = replace(bladder, lobes=(*bladder.lobes, cone), ripple=min(bladder.ripple, 0.06))
    return replace(case, bladder=bladder, findings=findings)


def _clip(near: np.ndarray, rng: np.random.Generator) -> Clip:
    return Clip(
        at=as_point(near + rng.normal(0, (16, 9, 12))),
        radius_mm=float(rng.uniform(0.9, 2.0)),
        hu=float(rng.uniform(1000, 3000)),
        ray_degrees=float(rng.uniform(0, 180)),
        ray_mm=float(rng.uniform(5, 18)),
    )


def pouch(case: Case, rng: np.random.Generator) -> Case:
    """A diverticulum: a pouch of the bladder on a narrow neck, part of the organ."""
    bladder = case.bladder
    side = rng.normal(size=3) * np.array([1.0, 0.6, 0.5])
    side[1] = abs(side[1]) - 0.2
    side /= np.linalg.norm(side)
    centre, radii = np.array(bladder.centre), np.array(bladder.radii)
    radius = float(min(rng.uniform(6, 20), 0.8 * radii.min()))
    surface = centre + side * radii
    middle = surface + side * (radius * rng.uniform(0.5, 1.0) + rng.uniform(0, 4))
    own = as_point(radius * rng.uniform(0.75, 1.25, size=3))
    sac = Ellipsoid(within_the_pelvis(as_point(middle), own, 0.0), own)
    neck = Tube((as_point(centre + 0.7 * (surface - centre)), sac.centre), (float(rng.uniform(3, 6)),) * 2)
    lobes = (*bladder.lobes, neck, sac)
    return replace(case, bladder=replace(bladder, lobes=lobes, ripple=min(bladder.ripple, 0.06)))


def snug(case: Case, rng: np.random.Generator) -> Case:
    """No fat between the bladder and what lies on it, whose walls are as dense as its own."""
    bladder = replace(
        case.bladder, fat_plane_mm=0.0, indentation_mm=float(rng.uniform(0.1, 0.5) * min(case.bladder.radii))
    )
    return replace(case, bladder=bladder, fluid_bowel=case.fluid_bowel or bool(rng.random() < 0.4))


def free_fluid(case: Case, rng: np.random.Generator) -> Case:
    """Ascites that washes about the dome."""
    (x, _, z), (_, _, c) = case.bladder.centre, case.bladder.radii
    middle = (x * 0.5, float(rng.uniform(-15, 15)), z + c * rng.uniform(0.2, 1.0) + rng.uniform(0, 30))
    radii = (float(rng.uniform(45, 85)), float(rng.uniform(35, 55)), float(rng.uniform(35, 85)))
    pool = Lake(Ellipsoid(as_point(np.array(middle)), radii), float(rng.uniform(-2, 20)))
    bladder = replace(case.bladder, fat_plane_mm=0.0) if rng.random() < 0.7 else case.bladder
    return replace(case, bladder=bladder, findings=replace(case.findings, free_fluid=(pool,)))


def lakes(case: Case, rng: np.random.Generator) -> Case:
    """Cysts or lymphoceles: above, beside, before or behind the bladder, pressing on it or apart from it."""
    count = 2 if rng.random() < 0.2 else 1
    return replace(case, findings=replace(case.findings, lakes=tuple(_lake(case, rng) for _ in range(count))))


def _lake(case: Case, rng: np.random.Generator) -> Lake:
    centre, radii = np.array(case.bladder.centre), np.array(case.bladder.radii)
    half = float(np.exp(rng.uniform(*np.log(LAKE_MM))))
    place = str(rng.choice(["above", "beside", "before", "behind"], p=[0.45, 0.3, 0.1, 0.15]))
    half = min(half, {"above": 60.0, "beside": 40.0, "before": 22.0, "behind": 35.0}[place])
    own = half * rng.uniform(0.7, 1.2, size=3)
    way = rng.normal(0, 0.35, size=3)
    axis, sign = {"above": (2, 1), "beside": (0, rng.choice([-1, 1])), "before": (1, -1), "behind": (1, 1)}[place]
    way[axis] = sign
    # below 1 it presses on the bladder, above 1 there is room between them
    middle = centre + way / np.linalg.norm(way) * (radii + own) * rng.uniform(0.8, 1.25)
    urine = case.contents.urine_hu
    hu = urine + rng.uniform(-4, 4) if rng.random() < 0.4 else rng.uniform(-5, 30)
    shape = Ellipsoid(
        within_the_pelvis(as_point(middle), as_point(own), 0.0), as_point(own), as_point(rng.uniform(-40, 40, size=3))
    )
    return Lake(shape, float(hu), float(rng.uniform(20, 65)), float(rng.uniform(0.8, 3.5)))


def small_frame(case: Case, rng: np.random.Generator) -> Case:
    """A smaller patient than the priors draw."""
    factor = float(rng.uniform(*FRAME))
    scale = as_point(np.array(case.habitus.scale) * factor)
    return replace(case, habitus=replace(case.habitus, scale=scale))


def inflamed(case: Case, rng: np.random.Generator) -> Case:
    """A thick wall hardly told from urine, in fat that is hazy, the nearer to the bladder the more."""
    thickest = 0.6 * min(case.bladder.radii)
    wall_mm = float(min(rng.uniform(*THICK_WALL_MM), thickest))
    contents = replace(case.contents, wall_hu=case.contents.urine_hu + float(rng.uniform(-2, 18)))
    bladder = replace(case.bladder, wall_mm=max(wall_mm, case.bladder.wall_mm), fat_plane_mm=0.0)
    haze = Haze(hu=float(rng.uniform(-20, 25)), share=float(rng.uniform(0.3, 0.95)), reach_mm=float(rng.uniform(3, 14)))
    return replace(case, bladder=bladder, contents=contents, findings=replace(case.findings, haze=haze))
