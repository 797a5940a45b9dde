"""The bladder: its outer wall surface, wall, and contents."""

from dataclasses import dataclass

import torch

from .bladder_prior import BladderShape
from .canvas import Block, Canvas
from .case import Case, Stream
from .findings import Haze
from .shapes import Ellipsoid, Grown, Point, Shape, Tube
from .waves import Waves

HAZE_REACHES = 3.0  # so many of its reaches from the bladder, haze is no longer painted


@dataclass(frozen=True)
class Bladder:
    """The outer wall surface: rippled ellipsoid, faces, lobes, minus shallow indentations of the neighbours."""

    shape: BladderShape
    ripples: Waves
    neighbours: tuple[Shape, ...]

    def bounds(self) -> tuple[Point, Point]:
        shape = self.shape
        reach, bulge = 1.3 * max(shape.radii) + 4, 0.35 * min(shape.radii) + 4  # ripples and smooth unions add to both
        boxes = [(tuple(c - reach for c in shape.centre), tuple(c + reach for c in shape.centre))]
        for lobe in shape.lobes:
            low, high = lobe.bounds()
            boxes.append((tuple(value - bulge for value in low), tuple(value + bulge for value in high)))
        return (
            tuple(min(low[k] for low, _ in boxes) for k in range(3)),
            tuple(max(high[k] for _, high in boxes) for k in range(3)),
        )

    def distance(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        shape = self.shape
        main = Ellipsoid(shape.centre, shape.radii, shape.tilt_degrees, shape.exponent)
        distance = main.distance(x, y, z)
        least = min(shape.radii)
        for normal, offset in shape.faces:
            plane = sum(n * (axis - c) for n, axis, c in zip(normal, (x, y, z), shape.centre, strict=True)) - offset
            distance = -_smooth_union(-distance, -plane, 0.35 * least)
        for lobe in shape.lobes:
            distance = _smooth_union(distance, lobe.distance(x, y, z), 0.2 * least)
        if shape.ripple:
            u, v, w = main.local(x, y, z)
            scale = 1.0 / (u**2 + v**2 + w**2).sqrt().clamp(min=1e-3)
            ripple = self.ripples.at(torch.stack((u * scale, v * scale, w * scale)))[0]
            distance = distance + shape.ripple * min(shape.radii) * ripple
        depth = shape.indentation_mm
        whole = distance
        for neighbour in self.neighbours:  # indented at most `depth`: never cut open
            distance = torch.maximum(distance, torch.minimum(-neighbour.distance(x, y, z), whole + depth))
        return distance


def _smooth_union(a: torch.Tensor, b: torch.Tensor, radius: float) -> torch.Tensor:
    h = (radius - (a - b).abs()).clamp(min=0) / radius
    return torch.minimum(a, b) - h * h * radius / 4


def make_bladder(case: Case, neighbours: list[Shape]) -> Bladder:
    """The case's bladder among the organs that may press on it."""
    rng = case.generator(Stream.BLADDER_SURFACE)
    pressing = tuple(shape for shape in neighbours if rng.random() < 0.6)
    return Bladder(case.bladder, Waves.draw(rng, 1, (1.6, 5.0)), pressing)


def paint_bladder(canvas: Canvas, case: Case, bladder: Bladder, fat_hu: float) -> torch.Tensor:
    """Paint the bladder last, over its neighbours; its soft label (Z, Y, X), each voxel's share inside."""
    label = torch.zeros_like(canvas.hu)
    if case.findings.haze is not None:
        _paint_haze(canvas, case, bladder, case.findings.haze)
    block = canvas.block(bladder)
    if block is None:
        return label
    x, y, z = canvas.at(block)
    distance = bladder.distance(x, y, z)
    plane = canvas.coverage(distance - case.bladder.fat_plane_mm)
    canvas.blend(block, plane * 0.85, fat_hu)
    label[block] = canvas.coverage(distance)
    canvas.blend(block, label[block], case.contents.wall_hu)
    lumen = canvas.coverage(distance + case.bladder.wall_mm)
    canvas.blend(block, lumen, _urine(case, y, z))
    _paint_guests(canvas, case, block, lumen)
    return label


def _paint_haze(canvas: Canvas, case: Case, bladder: Bladder, haze: Haze) -> None:
    """Thicker in some places than in others; what is no fat stays as it is."""
    block = canvas.block(Grown(bladder, HAZE_REACHES * haze.reach_mm))
    if block is None:
        return
    points = canvas.at(block)
    patches = Waves.draw(case.generator(Stream.HAZE), 1, (12, 60), waves=5).at(torch.stack(points))[0]
    uneven = (0.65 + 0.35 * patches).clamp(0, 1)
    fading = torch.exp(-bladder.distance(*points).clamp(min=0) / haze.reach_mm)
    fat = ((-10 - canvas.hu[block]) / 60).clamp(0, 1) * (canvas.hu[block] > -200)
    canvas.blend(block, haze.share * uneven * fading * fat, haze.hu)


def _urine(case: Case, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """HU of the lumen: urine, contrast that sinks, gas that rises."""
    contents = case.contents
    (_, middle, _), (_, depth, _) = case.bladder.centre, case.bladder.radii
    height = (y - (middle - depth)) / (2 * depth)  # 0 at the front wall, 1 at the back
    if case.habitus.prone:
        height = 1 - height
    hu = torch.full_like(y, contents.urine_hu)
    if contents.contrast_hu:
        if contents.layer >= 1:
            share = torch.ones_like(y)
        else:
            share = ((height - (1 - contents.layer)) / contents.layer_softness).clamp(0, 1)
        hu = hu + share * contents.contrast_hu
    if contents.gas:
        hu = torch.where(height < contents.gas, torch.full_like(hu, -920.0), hu)
    return hu


def _paint_guests(canvas: Canvas, case: Case, block: Block, lumen: torch.Tensor) -> None:
    """Catheter with its balloon, stones: inside the outer wall, so inside the label."""
    rng = case.generator(Stream.CATHETER_AND_STONES)
    (x, y, z), (_, _, c) = case.bladder.centre, case.bladder.radii
    neck: Point = (x, y + 4.0, z - c)
    radius = case.contents.balloon_radius
    if radius:
        seat = (x + rng.normal(0, 2), y + 2.0, z - c + case.bladder.wall_mm + radius)
        tube = Tube(((neck[0], neck[1], neck[2] - 60), neck, (seat[0], seat[1], seat[2] + radius + 6)), (3.2, 3.2, 3.0))
        balloon = Ellipsoid(seat, (radius,) * 3)
        share = canvas.coverage(balloon.distance(*canvas.at(block))) * lumen
        canvas.blend(block, share, rng.uniform(60, 110))
        inside = canvas.coverage(balloon.distance(*canvas.at(block)) + 1.2) * lumen
        canvas.blend(
            block, inside, float(rng.choice([rng.uniform(-5, 15), rng.uniform(100, 300), -900.0], p=[0.7, 0.15, 0.15]))
        )
        canvas.paint(tube, rng.uniform(80, 250))
        canvas.paint(tube, float(rng.choice([5.0, -850.0])), inset_mm=2.0)
    if case.contents.stone_radius:
        stone = Ellipsoid((x + rng.normal(0, 5), y + 4, z - 0.4 * c), (case.contents.stone_radius,) * 3)
        canvas.blend(block, canvas.coverage(stone.distance(*canvas.at(block))) * lumen, rng.uniform(300, 1200))
