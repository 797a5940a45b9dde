"""Skin, fat, muscle and the cavities: everything that lies between the skin and the organs."""

import numpy as np
import torch

from .canvas import Canvas
from .case import Case, Stream
from .shapes import Ellipsoid, Sleeve, Tube
from .waves import Waves

# Outer surface of the muscles by height: half-width, front and back y. Legs are added as tubes.
CORE_Z = (-110.0, -60.0, 0.0, 60.0, 110.0, 200.0, 300.0, 400.0, 520.0, 575.0, 610.0, 650.0, 720.0, 780.0)
CORE_WIDTH = (150.0, 162.0, 160.0, 146.0, 138.0, 128.0, 135.0, 150.0, 158.0, 120.0, 52.0, 66.0, 74.0, 40.0)
CORE_FRONT = (-62.0, -68.0, -74.0, -80.0, -82.0, -86.0, -98.0, -105.0, -85.0, -60.0, -40.0, -75.0, -85.0, -30.0)
CORE_BACK = (88.0, 104.0, 104.0, 98.0, 94.0, 86.0, 96.0, 108.0, 108.0, 95.0, 60.0, 70.0, 90.0, 40.0)

# The cavity that holds the organs; it closes at the pelvic floor and at the diaphragm.
CAVITY_Z = (-52.0, -30.0, 0.0, 40.0, 80.0, 120.0, 200.0, 300.0, 345.0)
CAVITY_WIDTH = (10.0, 32.0, 55.0, 66.0, 96.0, 112.0, 112.0, 118.0, 120.0)
CAVITY_FRONT = (-20.0, -38.0, -48.0, -66.0, -72.0, -73.0, -76.0, -86.0, -88.0)
CAVITY_BACK = (28.0, 46.0, 72.0, 78.0, 62.0, 42.0, 46.0, 60.0, 66.0)

MUSCLE_HU = 55.0


def _grown(values: tuple[float, ...], by: float) -> tuple[float, ...]:
    return tuple(value + by for value in values)


def paint_torso(canvas: Canvas, case: Case) -> None:
    """Body fat, muscle with fatty septa, the cavity and its fat, the lungs, the deep muscles."""
    rng = case.generator(Stream.TORSO)
    habitus = case.habitus
    fat = rng.uniform(-115, -88)
    muscle = MUSCLE_HU + rng.uniform(-10, 8) + (8 if case.enhanced else 0)
    front_flat = 0.35 if habitus.prone else 1.0
    skin = Sleeve(
        CORE_Z,
        _grown(CORE_WIDTH, habitus.fat_side),
        _grown(CORE_FRONT, -habitus.fat_front * front_flat),
        _grown(CORE_BACK, habitus.fat_back),
    )
    canvas.paint(skin, rng.uniform(-20, 30))
    canvas.paint(skin, fat, inset_mm=2.0)
    _paint_legs(canvas, habitus.fat_side, fat, muscle)
    core = Sleeve(CORE_Z, CORE_WIDTH, CORE_FRONT, CORE_BACK)
    septa = Waves.draw(rng, 2, (18, 60), waves=5)
    planes = Waves.draw(rng, 1, (60, 170), waves=5)  # of fat between the large muscles
    # drawn whether the muscles lie on this grid or not: what follows is the same on every grid
    septum_width, septum_share = rng.uniform((0.03, 0.3), (0.22, 0.9))
    plane_width, plane_share = rng.uniform((0.0, 0.6), (0.22, 1.0))
    block = canvas.block(core)
    if block is not None:
        coordinates = canvas.coordinates[(slice(None), *block)]
        fields = septa.at(coordinates)
        streaks = ((fields[0].abs() < septum_width) & (fields[1] > -0.6)).float() * septum_share
        gaps = (planes.at(coordinates)[0].abs() < plane_width).float() * plane_share
        flesh = muscle + (fat - muscle) * torch.maximum(streaks, gaps) + 4 * fields[1]
        canvas.blend(block, canvas.coverage(core.distance(*coordinates)), flesh)
    _paint_groins(canvas, rng, fat, muscle)
    room = rng.uniform(0.72, 1.06)  # how far the pelvic side walls stand apart
    width = tuple(value * room for value in CAVITY_WIDTH)
    cavity = Sleeve(CAVITY_Z, width, CAVITY_FRONT, CAVITY_BACK)
    inner_fat = fat + (rng.uniform(10, 75) if rng.random() < 0.15 else rng.uniform(0, 10))  # oedema, now and then
    canvas.paint(cavity, _stranded(canvas, cavity, rng, inner_fat))
    pads = [Ellipsoid((0, -74, -18), (55, 22, 38))]  # in front of and above the symphysis
    pads += [Ellipsoid((s * 36, 48, -48), (19, 26, 24)) for s in (-1, 1)]  # ischiorectal fossae
    for pad in pads:
        canvas.paint(pad, fat)
    for s in (-1, 1):
        for bundle in (
            Tube(((42 * s, 22, 230), (50 * s, 8, 125), (84 * s, -30, 40), (96 * s, -26, -40)), (17, 24, 19, 15)),
            Tube(((28 * s, 70, 62), (92 * s, 52, 28)), (12, 8)),  # piriformis
        ):
            canvas.paint(bundle, muscle * rng.uniform(0.9, 1.08))
        canvas.paint(Ellipsoid((63 * s, 4, -10), (10, 40, 34)), muscle * rng.uniform(0.9, 1.08))  # obturator
        canvas.paint(Tube(((6 * s, -38, -34), (22 * s, 10, -34), (8 * s, 52, -34)), (4, 4, 4)), muscle)  # levator
        canvas.paint(Tube(((33 * s, -66, -4), (34 * s, -74, 60), (36 * s, -78, 200)), (7, 8, 8)), muscle)  # rectus
    for s in (-1, 1):  # lungs close the field above
        canvas.paint(Ellipsoid((66 * s, 12, 420), (52, 66, 118)), rng.uniform(-890, -780))


def _stranded(canvas: Canvas, cavity: Sleeve, rng: np.random.Generator, fat: float) -> float | torch.Tensor:
    fine, coarse = Waves.draw(rng, 1, (10, 45), waves=5), Waves.draw(rng, 1, (40, 120), waves=4)
    strand, grain, cloud = rng.uniform(0, (70, 10, 30))
    cloudy = float(rng.random() < 0.4)
    block = canvas.block(cavity)
    if block is None:
        return fat
    coordinates = canvas.coordinates[(slice(None), *block)]
    field, clouds = fine.at(coordinates)[0], coarse.at(coordinates)[0].clamp(min=0)
    return fat + strand * (field.abs() < 0.12).float() + grain * field + cloud * clouds * cloudy


def _paint_groins(canvas: Canvas, rng: np.random.Generator, fat: float, muscle: float) -> None:
    """Before the hips: fat with sartorius, rectus femoris, pectineus and iliopsoas in it, more or less of it."""
    amount = rng.uniform(0, 1.15)
    if amount < 0.25:
        return
    for s in (-1, 1):
        canvas.paint(Ellipsoid((80 * s, -62, -12), (40 * amount, 26 * amount, 70)), fat)
        for bundle, radii in (
            (((112 * s, -52, 70), (104 * s, -70, 0), (92 * s, -72, -90)), (11, 10, 10)),
            (((118 * s, -36, 40), (108 * s, -52, -10), (100 * s, -58, -90)), (12, 13, 16)),
            (((28 * s, -58, -6), (66 * s, -34, -50)), (11, 15)),
            (((78 * s, -40, 40), (88 * s, -38, -20), (94 * s, -20, -60)), (20, 19, 14)),
        ):
            canvas.paint(Tube(bundle, tuple(radius * rng.uniform(0.75, 1.1) for radius in radii)), muscle)


def _paint_legs(canvas: Canvas, fat_side: float, fat: float, muscle: float) -> None:
    below = Ellipsoid((0, 10, -900), (400, 300, 790), exponent=8.0)  # clears the sleeve's lower end: legs only below
    canvas.paint(below, -1000.0)
    for s in (-1, 1):
        way = ((92 * s, 8, -90), (88 * s, 8, -250), (80 * s, 8, -450))
        canvas.paint(Tube(way, (84 + 0.6 * fat_side, 74 + 0.5 * fat_side, 60 + 0.4 * fat_side)), fat)
        canvas.paint(Tube(way, (76, 66, 52)), muscle)
