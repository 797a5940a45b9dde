"""Bones of the pelvis, the lumbar spine and the thighs: cortex and marrow."""

import numpy as np

from .canvas import Canvas
from .case import Case, Stream
from .shapes import Blade, Ellipsoid, Shape, Tube

CORTEX_MM = (1.5, 4.5)


def bones() -> list[Shape]:
    """Every bone of the canonical pelvis and its neighbours."""
    result: list[Shape] = []
    for s in (-1, 1):
        result += [
            Tube(((88 * s, 0, 0), (108 * s, 4, -10), (132 * s, 10, -14)), (24, 16, 19)),  # head, neck, trochanter
            Tube(((132 * s, 10, -14), (118 * s, 6, -70), (92 * s, 0, -420)), (18, 15, 15)),  # shaft
            Ellipsoid((82 * s, 6, 8), (31, 33, 36)),  # acetabulum
            Blade(((90 * s, -18, 22), (70 * s, 48, 30)), ((126 * s, -52, 118), (52 * s, 72, 105)), 6.5, 9, s),
            Tube(((72 * s, -18, 2), (42 * s, -46, -4), (9 * s, -54, -22)), (12, 8, 10)),  # superior ramus
            Tube(((9 * s, -50, -34), (30 * s, -16, -58), (52 * s, 30, -62)), (8, 6.5, 13)),  # inferior ramus
            Tube(((76 * s, 26, -6), (56 * s, 36, -58)), (17, 16)),  # ischium
        ]
    result.append(Tube(((0, 26, 112), (0, 52, 84), (0, 76, 50)), (26, 20, 15)))  # sacrum
    result.append(Tube(((0, 76, 50), (0, 84, 22), (0, 72, -4)), (15, 9, 5)))  # its end and the coccyx
    result += [Ellipsoid((s * 32, 48, 92), (26, 18, 30), (0, 0, 0)) for s in (-1, 1)]  # sacral wings
    for number in range(13):  # L5 upwards to the chest
        z = 138 + 36 * number
        y = 24 - 10 * np.sin(min(number, 8) / 8 * np.pi) + 1.5 * number
        result.append(Ellipsoid((0, y, z), (25, 19, 15), exponent=3.0))
        result.append(Tube(((0, y + 30, z), (0, y + 52, z - 8)), (9, 5)))
        result.append(Tube(((-38, y + 24, z), (0, y + 26, z), (38, y + 24, z)), (4, 7, 4)))
    return result


def paint_skeleton(canvas: Canvas, case: Case) -> None:
    """Cortex first, marrow inside it; the symphysis stays soft."""
    rng = case.generator(Stream.SKELETON)
    marrow = rng.uniform(40, 320)
    cortex = rng.uniform(350, 1100)
    thickness = rng.uniform(*CORTEX_MM)
    for bone in bones():
        canvas.paint(bone, cortex * rng.uniform(0.85, 1.15))
        canvas.paint(bone, marrow * rng.uniform(0.8, 1.2), inset_mm=thickness)
    for s in (-1, 1):  # joint space around the femoral head, then the head itself on top
        canvas.paint(Ellipsoid((90 * s, -1, -2), (26.5, 26.5, 26.5)), rng.uniform(60, 200))
        head = Ellipsoid((90 * s, -1, -2), (23.5, 23.5, 23.5))
        canvas.paint(head, cortex)
        canvas.paint(head, marrow * 1.3, inset_mm=thickness * 0.7)
    canvas.paint(Ellipsoid((0, -53, -26), (3.5, 10, 19), (35, 0, 0)), rng.uniform(60, 140))
