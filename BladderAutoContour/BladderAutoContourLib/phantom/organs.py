"""Neighbours of the bladder, and what else in the trunk looks like one: gut, genital organs, vessels, kidneys."""

import numpy as np

from .canvas import Canvas
from .case import Case
from .shapes import Ellipsoid, Point, Shape, Tube
from .torso import CAVITY_BACK, CAVITY_FRONT, CAVITY_WIDTH, CAVITY_Z


def paint_vessels(canvas: Canvas, case: Case) -> None:
    """Aorta, cava, iliac and femoral vessels."""
    rng = case.generator(3)
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
    rng = case.generator(4)
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


def _filling(rng: np.random.Generator) -> float:
    """HU of gut contents: fluid, chyme, oral contrast, stool, gas."""
    kind = rng.choice(5, p=[0.27, 0.28, 0.10, 0.15, 0.20])
    ranges = ((-5, 28), (25, 60), (80, 450), (-80, 60), (-950, -500))
    return float(rng.uniform(*ranges[kind]))


def paint_bowel(canvas: Canvas, case: Case) -> None:
    """Small bowel and colon as many loops, the sigmoid and the rectum as tubes."""
    rng = case.generator(5)
    wall = rng.uniform(28, 50) + (20 if case.enhanced else 0)
    ascites = rng.uniform(0, 16) if rng.random() < 0.05 else None
    if ascites is not None:
        canvas.paint(Ellipsoid((0, -15, 110), (95, 52, 90)), ascites)
    loops: list[Shape] = []
    for _ in range(int(rng.integers(25, 95))):
        z = rng.uniform(25, 290)
        width, front, back = (np.interp(z, CAVITY_Z, c) for c in (CAVITY_WIDTH, CAVITY_FRONT, CAVITY_BACK))
        x = rng.uniform(-0.85, 0.85) * width
        y = rng.uniform(front + 10, front + 0.75 * (back - front))
        radii = tuple(rng.uniform(6, 19, size=3) * np.array([1.4, 1.0, 1.0]))
        loops.append(Ellipsoid((x, y, z), radii, tuple(rng.uniform(-60, 60, size=3))))
    for s in (-1, 1):  # ascending and descending colon
        sway = rng.normal(0, 10, size=(5, 2))
        way = tuple((s * 88 + dx, 10 + dy, z) for (dx, dy), z in zip(sway, (70, 120, 170, 220, 270), strict=True))
        loops.append(Tube(way, tuple(rng.uniform(14, 27, size=5))))
    for loop in loops:
        canvas.paint(loop, wall * rng.uniform(0.85, 1.15))
        canvas.paint(loop, _filling(rng), inset_mm=rng.uniform(1.5, 3.5))
    sigmoid = _wander(rng, (rng.normal(0, 8), 58.0, 70.0), (62.0, 20.0, 100.0))
    radii = tuple(rng.uniform(9, 19, size=len(sigmoid)))
    canvas.paint(Tube(sigmoid, radii), wall)
    canvas.paint(Tube(sigmoid, radii), _filling(rng), inset_mm=3.0)
    ampulla = rng.uniform(12, 30)
    way = ((0, 36, -62), (0, 40, -34), (0, 52 - ampulla * 0.3, 0), (rng.normal(0, 5), 60, 38), sigmoid[0])
    tube = Tube(way, (9, 11, ampulla, ampulla * rng.uniform(0.6, 1.0), 14))
    canvas.paint(tube, wall)
    canvas.paint(tube, _filling(rng), inset_mm=rng.uniform(3, 5))


def _wander(rng: np.random.Generator, start: Point, end: Point) -> tuple[Point, ...]:
    """A winding path through the lower abdomen, now and then right over the bladder."""
    steps = np.linspace(0, 1, 6)[:, None]
    way = np.array(start) * (1 - steps) + np.array(end) * steps
    way[1:-1] += rng.normal(0, 1, size=(4, 3)) * np.array([28, 22, 18])
    way[:, 2] = np.maximum(way[:, 2], 35)
    return tuple(tuple(map(float, point)) for point in way)


def genital_organs(case: Case) -> list[tuple[Shape, float]]:
    """(shape, HU) of prostate and seminal vesicles, or uterus, vagina and ovaries with their cysts."""
    rng = case.generator(6)
    bladder = case.bladder
    x, y, _ = bladder.centre
    neck_z = bladder.centre[2] - bladder.radii[2]
    if case.sex == "male":
        k = case.prostate_scale
        size = (24 * k, 17 * k, 18 * k)
        gland = (x * 0.3, y * 0.3 - 8, neck_z - size[2] * rng.uniform(0.35, 0.95))
        flesh = rng.uniform(32, 55) + (20 if case.enhanced else 0)
        organs: list[tuple[Shape, float]] = [(Ellipsoid(gland, size, (rng.uniform(-20, 5), 0, 0)), flesh)]
        for s in (-1, 1):
            start = (s * 4, gland[1] + size[1] * 0.8, gland[2] + size[2] * 0.7)
            end = (s * rng.uniform(22, 34), start[1] + rng.uniform(2, 12), start[2] + rng.uniform(6, 20))
            organs.append((Tube((start, end), (rng.uniform(4, 6), rng.uniform(5, 9))), rng.uniform(15, 45)))
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


def paint_clutter(canvas: Canvas, case: Case) -> None:
    """Nameless soft tissue between bladder and side walls: nodes, plexus, adnexa, scars."""
    rng = case.generator(14)
    centre, radii = np.asarray(case.bladder.centre), np.asarray(case.bladder.radii)
    for _ in range(int(rng.integers(0, 14))):
        where = rng.normal(size=3)
        where = centre + where / np.linalg.norm(where) * (radii + rng.uniform(0, 25))
        size = tuple(rng.uniform(3, 15, size=3))
        canvas.paint(Ellipsoid(tuple(map(float, where)), size, tuple(rng.uniform(-60, 60, 3))), rng.uniform(10, 65))


def dome_loops(case: Case) -> list[tuple[Ellipsoid, float]]:
    """(loop, HU) of gut lying on the bladder's dome; water-dense where the case asks for fluid bowel."""
    rng = case.generator(7)
    (x, y, z), (a, b, c) = case.bladder.centre, case.bladder.radii
    loops = []
    for number in range(int(rng.integers(1, 5))):
        radii = tuple(rng.uniform(10, 26, size=3))
        where = (
            x + rng.uniform(-0.9, 0.9) * a,
            y + rng.uniform(-0.6, 1.0) * b,
            z + c + radii[2] * rng.uniform(0.5, 0.95),
        )
        filling = rng.uniform(-4, 26) if case.fluid_bowel and number < 2 else _filling(rng)
        loops.append((Ellipsoid(where, radii, tuple(rng.uniform(-40, 40, size=3))), float(filling)))
    return loops
