"""The gut: small bowel, colon, sigmoid and rectum, and the loops that lie on the bladder."""

from dataclasses import dataclass

import numpy as np
import torch

from .canvas import Canvas
from .case import Case, Stream
from .shapes import Ellipsoid, Point, Shape, Tube
from .torso import CAVITY_BACK, CAVITY_FRONT, CAVITY_WIDTH, CAVITY_Z
from .waves import Waves

GAS_HU = (-980.0, -700.0)
KINDS = ("fluid", "chyme", "contrast", "stool", "gas", "level")


@dataclass(frozen=True)
class Filling:
    """What a piece of gut holds. mottle_hu: amplitude of stool's grain; level: share of the height that is gas."""

    hu: float
    mottle_hu: float = 0.0
    level: float = 0.0


def draw_filling(rng: np.random.Generator, case: Case, stool: float = 0.15) -> Filling:
    """Fluid, chyme, oral contrast, stool with its gas, gas, or fluid under gas."""
    rest = 1 - stool - 0.9 * case.opacified_bowel * (1 - stool)
    shares = np.array(
        [0.30 * rest, 0.32 * rest, 0.9 * case.opacified_bowel * (1 - stool), stool, 0.23 * rest, 0.15 * rest]
    )
    kind = str(rng.choice(KINDS, p=shares / shares.sum()))
    if kind == "stool":
        return Filling(float(rng.uniform(-60, 60)), mottle_hu=float(rng.uniform(20, 260)))
    if kind == "level":
        return Filling(float(rng.uniform(-5, 40)), level=float(rng.uniform(0.2, 0.8)))
    ranges = {"fluid": (-5, 28), "chyme": (25, 60), "contrast": (80, 450), "gas": GAS_HU}
    return Filling(float(rng.uniform(*ranges[kind])))


def paint_gut(
    canvas: Canvas, case: Case, rng: np.random.Generator, shape: Shape, wall_hu: float, wall_mm: float, filling: Filling
) -> None:
    """A piece of gut: its wall, and what it holds; gas lies where the patient's front, or back when prone, is."""
    # drawn whether the piece lies on this grid or not: the next piece is the same on every grid
    waves = Waves.draw(rng, 1, (5, 18), waves=5) if filling.mottle_hu else None
    canvas.paint(shape, wall_hu)
    block = canvas.block(shape)
    if block is None:
        return
    x, y, z = canvas.at(block)
    hu: float | torch.Tensor = filling.hu
    if waves is not None:
        grain = waves.at(torch.stack((x, y, z)))[0]
        stool = filling.hu + filling.mottle_hu * 0.25 * grain
        hu = torch.where(grain > 1.3, stool - 2.5 * filling.mottle_hu, stool)
    elif filling.level:
        low, high = (corner[1] for corner in shape.bounds())
        share = filling.level if not case.habitus.prone else 1 - filling.level
        surface = low + share * (high - low)
        gas = y < surface if not case.habitus.prone else y > surface
        hu = torch.where(gas, torch.full_like(y, -900.0), torch.full_like(y, filling.hu))
    canvas.blend(block, canvas.coverage(shape.distance(x, y, z) + wall_mm), hu)


def paint_bowel(canvas: Canvas, case: Case) -> None:
    """Small bowel as balls and winding tubes, the colon, the sigmoid and the rectum."""
    rng = case.generator(Stream.BOWEL)
    wall = rng.uniform(28, 50) + (20 if case.enhanced else 0)
    if rng.random() < 0.05:  # ascites
        canvas.paint(Ellipsoid((0, -15, 110), (95, 52, 90)), rng.uniform(0, 16))
    for _ in range(int(rng.integers(20, 70))):
        middle = _in_cavity(rng, rng.uniform(20, 290))
        if rng.random() < 0.55:
            radii = tuple(rng.uniform(6, 19, size=3) * np.array([1.4, 1.0, 1.0]))
            loop: Shape = Ellipsoid(middle, radii, tuple(rng.uniform(-60, 60, size=3)))
        else:
            loop = _winding(rng, middle)
        thickness = rng.uniform(1.2, 3.5)
        paint_gut(canvas, case, rng, loop, wall * rng.uniform(0.85, 1.15), thickness, draw_filling(rng, case, 0.05))
    for s in (-1, 1):  # ascending and descending colon
        sway = rng.normal(0, 10, size=(5, 2))
        way = tuple((s * 88 + dx, 10 + dy, z) for (dx, dy), z in zip(sway, (70, 120, 170, 220, 270), strict=True))
        colon = Tube(way, tuple(rng.uniform(12, 27, size=5)))
        paint_gut(canvas, case, rng, colon, wall, rng.uniform(1.5, 3), draw_filling(rng, case, 0.5))
    way = _wander(rng, (rng.normal(0, 8), 58.0, 70.0), (62.0, 20.0, 100.0))
    sigmoid = Tube(way, tuple(rng.uniform(8, 20, size=len(way))))
    paint_gut(canvas, case, rng, sigmoid, wall, rng.uniform(2, 4), draw_filling(rng, case, 0.45))
    ampulla = rng.uniform(12, 30)
    rectum = Tube(
        ((0, 36, -62), (0, 40, -34), (0, 52 - ampulla * 0.3, 0), (rng.normal(0, 5), 60, 38), way[0]),
        (9, 11, ampulla, ampulla * rng.uniform(0.6, 1.0), 14),
    )
    paint_gut(canvas, case, rng, rectum, wall, rng.uniform(3, 5), draw_filling(rng, case, 0.45))


def dome_loops(case: Case) -> list[tuple[Shape, Filling]]:
    """Gut lying on the bladder's dome, and now and then beside or before it; water-dense in fluid-bowel cases."""
    rng = case.generator(Stream.DOME_LOOPS)
    (x, y, z), (a, b, c) = case.bladder.centre, case.bladder.radii
    loops: list[tuple[Shape, Filling]] = []
    for number in range(int(rng.integers(1, 6))):
        radii = tuple(rng.uniform(9, 26, size=3))
        if number < 2 or rng.random() < 0.6:
            where = (
                x + rng.uniform(-0.9, 0.9) * a,
                y + rng.uniform(-0.6, 1.0) * b,
                z + c + radii[2] * rng.uniform(0.5, 0.95),
            )
        else:
            turn = rng.uniform(-np.pi, 0)  # from one side over the front to the other
            where = (
                x + np.cos(turn) * (a + radii[0] * rng.uniform(0.6, 1.0)),
                y + np.sin(turn) * (b + radii[1] * rng.uniform(0.6, 1.0)),
                z + rng.uniform(0.1, 1.0) * c,
            )
        fluid = case.fluid_bowel and number < 2
        filling = Filling(float(rng.uniform(-4, 26))) if fluid else draw_filling(rng, case, 0.25)
        where = tuple(map(float, where))
        if rng.random() < 0.7:
            loops.append((Ellipsoid(where, radii, tuple(rng.uniform(-40, 40, size=3))), filling))
        else:
            loops.append((_winding(rng, where), filling))
    return loops


def _in_cavity(rng: np.random.Generator, z: float) -> Point:
    width, front, back = (np.interp(z, CAVITY_Z, column) for column in (CAVITY_WIDTH, CAVITY_FRONT, CAVITY_BACK))
    y = rng.uniform(front + 10, front + 0.75 * (back - front))
    return float(rng.uniform(-0.85, 0.85) * width), float(y), float(z)


def _winding(rng: np.random.Generator, middle: Point) -> Tube:
    """A bent piece of gut through `middle`."""
    radius = rng.uniform(6, 15)
    turn = rng.normal(size=3) * np.array([1.0, 0.7, 0.6])
    turn *= rng.uniform(15, 40) / np.linalg.norm(turn)
    bend = rng.normal(0, 9, size=3)
    points = (np.array(middle) - turn + bend, np.array(middle), np.array(middle) + turn + bend)
    return Tube(tuple(tuple(map(float, point)) for point in points), tuple(radius * rng.uniform(0.8, 1.2, size=3)))


def _wander(rng: np.random.Generator, start: Point, end: Point) -> tuple[Point, ...]:
    """A winding path through the lower abdomen, now and then right over the bladder."""
    steps = np.linspace(0, 1, 6)[:, None]
    way = np.array(start) * (1 - steps) + np.array(end) * steps
    way[1:-1] += rng.normal(0, 1, size=(4, 3)) * np.array([28, 22, 18])
    way[:, 2] = np.maximum(way[:, 2], 28)
    return tuple(tuple(map(float, point)) for point in way)
