"""Neighbours of the bladder, and what else in the trunk looks like one: genital organs, vessels, kidneys, stomach."""

import numpy as np

from .canvas import Canvas
from .case import Case, Stream
from .shapes import Ellipsoid, Shape, Tube


def paint_vessels(canvas: Canvas, case: Case) -> None:
    """Aorta, cava, iliac and femoral vessels."""
    rng = case.generator(Stream.VESSELS)
    blood = rng.uniform(110, 260) if case.enhanced and rng.random() < 0.7 else rng.uniform(30, 60)
    canvas.paint(Tube(((-10, 0, 150), (-14, 0, 520)), (11, 11)), blood)
    canvas.paint(Tube(((12, -2, 150), (10, -2, 520)), (9, 11)), blood * rng.uniform(0.85, 1.15))
    for s in (-1, 1):
        way = ((s * 6, 2, 150), (s * 42, 16, 90), (s * 58, -20, 40), (s * 62, -58, 0), (s * 66, -60, -90))
        canvas.paint(Tube(way, (7, 6, 6, 5.5, 5)), blood)
        vein = tuple((x - 9 * s, y + 8, z) for x, y, z in way)
        canvas.paint(Tube(vein, (8, 7, 7, 6, 5)), blood * rng.uniform(0.7, 1.0))
        canvas.paint(Tube(((s * 42, 16, 90), (s * 52, 42, 40), (s * 50, 36, 0)), (5, 4, 3)), blood)


def paint_abdomen(canvas: Canvas, case: Case) -> None:
    """Liver, spleen, kidneys, gallbladder, stomach, heart: coarse, for fields that reach beyond the pelvis."""
    rng = case.generator(Stream.ABDOMEN)
    extra = 45.0 if case.enhanced else 0.0
    canvas.paint(Ellipsoid((-62, -12, 300), (66, 66, 72), (0, 18, 0)), rng.uniform(45, 65) + extra)
    canvas.paint(Ellipsoid((88, 40, 320), (26, 38, 52)), rng.uniform(40, 55) + extra)
    for s in (-1, 1):
        kidney = Ellipsoid((s * 58, 42, 235 + rng.uniform(-15, 25)), (25, 24, 54), (8, -14 * s, 0))
        canvas.paint(kidney, rng.uniform(28, 42) + 2.5 * extra * rng.random())
        canvas.paint(Ellipsoid(kidney.centre, (10, 10, 24)), rng.uniform(-30, 20))  # pelvis of the kidney
        if rng.random() < 0.3:  # cyst
            offset = rng.normal(size=3) * np.array([14, 12, 30])
            canvas.paint(_ball(np.array(kidney.centre) + offset, rng.uniform(6, 26)), rng.uniform(-5, 18))
    gallbladder = (-48 + rng.uniform(-12, 12), -32 + rng.uniform(-15, 10), 245 + rng.uniform(-25, 20))
    canvas.paint(
        Ellipsoid(gallbladder, tuple(rng.uniform(11, 24, 3)), tuple(rng.uniform(-40, 40, 3))), rng.uniform(0, 22)
    )
    stomach = Ellipsoid((48, -36, 290), (48, 34, 52), (0, 25, 0))
    canvas.paint(stomach, rng.uniform(30, 50))
    canvas.paint(stomach, float(rng.choice([rng.uniform(0, 40), rng.uniform(80, 300), -700])), inset_mm=4)
    canvas.paint(Ellipsoid((14, -30, 405), (56, 46, 52)), rng.uniform(35, 50) + 2 * extra)


def _ball(centre: np.ndarray, radius: float) -> Ellipsoid:
    return Ellipsoid(tuple(map(float, centre)), (float(radius),) * 3)


def genital_organs(case: Case) -> list[tuple[Shape, float]]:
    """(shape, HU) of prostate and seminal vesicles, or uterus, vagina and ovaries with their cysts."""
    rng = case.generator(Stream.GENITAL_ORGANS)
    bladder = case.bladder
    x, y, _ = bladder.centre
    neck_z = bladder.centre[2] - bladder.radii[2]
    if case.sex == "male":
        if not case.findings.prostate:
            return []
        k = case.prostate_scale
        size = (24 * k, 17 * k, 18 * k)
        (dx, dy, dz), drop = case.gland_shift_mm, size[2] * rng.uniform(0.35, 0.95)
        gland = (x * 0.3 + dx, y * 0.3 - 8 + dy, neck_z - drop + dz)
        flesh = rng.uniform(28, 55) + (20 if case.enhanced else 0)
        organs: list[tuple[Shape, float]] = [(Ellipsoid(gland, size, (rng.uniform(-20, 5), 0, 0)), flesh)]
        if rng.random() < 0.35:  # a middle lobe that rises into the bladder's floor
            where = (gland[0] + rng.normal(0, 4), gland[1], gland[2] + size[2] * 0.9)
            organs.append((_ball(np.array(where), rng.uniform(0.3, 0.6) * size[0]), flesh + rng.normal(0, 6)))
        organs += _seminal_vesicles(rng, case, neck_z)
        return organs
    flesh = rng.uniform(38, 60) + (45 * rng.random() if case.enhanced else 0)
    vagina_y = y + bladder.radii[1] * 0.8 + 6
    organs = [(Ellipsoid((0, min(vagina_y, 24), neck_z - 8), (18, 7, 32)), rng.uniform(35, 55))]
    if rng.random() < 0.85:  # else: hysterectomy
        radii = tuple(rng.uniform((20, 16, 26), (36, 30, 48)))
        reach = bladder.radii[2] + radii[1] * 0.7
        uterus = (x + rng.normal(0, 12), y + bladder.radii[1] * rng.uniform(0.2, 1.0), bladder.centre[2] + reach)
        organs.append((Ellipsoid(uterus, radii, (rng.uniform(30, 110), 0, rng.normal(0, 15))), flesh))
    for s in (-1, 1):
        ovary = (s * rng.uniform(34, 58), rng.uniform(0, 30), bladder.centre[2] + rng.uniform(-5, 40))
        cyst = rng.random() < 0.25
        radius = rng.uniform(12, 30) if cyst else rng.uniform(8, 14)
        organs.append((_ball(np.array(ovary), radius), rng.uniform(0, 20) if cyst else rng.uniform(25, 45)))
    return organs


def _seminal_vesicles(rng: np.random.Generator, case: Case, neck_z: float) -> list[tuple[Shape, float]]:
    """A bow tie behind the bladder's base, mostly in touch with it, as dense as urine or as muscle."""
    x, y, _ = case.bladder.centre
    hu = rng.uniform(8, 48)
    behind = y + case.bladder.radii[1] * rng.uniform(0.55, 1.0) + rng.uniform(0, 7)
    height = neck_z + rng.uniform(-2, 24)
    organs: list[tuple[Shape, float]] = []
    for s in (-1, 1):
        if rng.random() < 0.5:
            half = rng.uniform(11, 24)
            centre = (x * 0.5 + s * half * 0.85, behind + rng.uniform(0, 6), height + rng.uniform(0, 6))
            size = (half, rng.uniform(4, 9), rng.uniform(5, 13))
            organs.append((Ellipsoid(centre, size, (rng.uniform(-30, 30), s * rng.uniform(-25, 5), s * 12)), hu))
        else:
            start = (x * 0.5 + s * 3, behind, height - 4)
            end = (x * 0.5 + s * rng.uniform(20, 36), behind + rng.uniform(0, 12), height + rng.uniform(2, 18))
            organs.append((Tube((start, end), (rng.uniform(4, 6), rng.uniform(5, 9))), hu))
    return organs


def paint_clutter(canvas: Canvas, case: Case) -> None:
    """Nameless soft tissue between bladder and side walls: nodes, plexus, adnexa, scars."""
    rng = case.generator(Stream.CLUTTER)
    centre, radii = np.asarray(case.bladder.centre), np.asarray(case.bladder.radii)
    for _ in range(int(rng.integers(0, 18))):
        where = rng.normal(size=3)
        where = centre + where / np.linalg.norm(where) * (radii + rng.uniform(0, 25))
        hu = rng.uniform(-50, 65)
        if rng.random() < 0.6:
            size = tuple(rng.uniform(3, 15, size=3))
            canvas.paint(Ellipsoid(tuple(map(float, where)), size, tuple(rng.uniform(-60, 60, 3))), hu)
        else:  # vessels of the plexus, ureter, vas, folds of the peritoneum
            way = rng.normal(0, 1, size=3)
            way *= rng.uniform(12, 40) / np.linalg.norm(way)
            ends = (tuple(map(float, where - way)), tuple(map(float, where + way)))
            canvas.paint(Tube(ends, tuple(rng.uniform(1.5, 5, size=2))), hu)
