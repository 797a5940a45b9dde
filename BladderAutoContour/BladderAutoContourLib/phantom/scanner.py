"""What the scanner makes of the patient: couch, metal streaks, point spread, noise, calibration."""

import numpy as np
import torch

from .canvas import Canvas
from .case import Case, Stream
from .shapes import Ellipsoid, Tube
from .torso import CORE_BACK, CORE_FRONT
from .waves import Waves

REFERENCE_VOXEL_MM3 = 3.0  # noise is stated for a 1 x 1 x 3 mm voxel


def paint_couch(canvas: Canvas, case: Case) -> None:
    """A table behind the back, or before the belly of a prone patient; it replaces nothing but air."""
    if not case.scanner.couch:
        return
    rng = case.generator(Stream.COUCH)
    habitus = case.habitus
    if habitus.prone:
        top, away = min(CORE_FRONT) - 0.35 * habitus.fat_front - 4, -1
    else:
        top, away = max(CORE_BACK) + habitus.fat_back + 4, 1
    shell, foam = rng.uniform(-250, 250), rng.uniform(-950, -850)
    half = rng.uniform(12, 30)
    board = Ellipsoid((0, top + away * half, 150), (rng.uniform(210, 270), half, 1200), exponent=6.0)
    air = canvas.hu < -900
    before = canvas.hu.clone()
    canvas.paint(board, shell)
    canvas.paint(board, foam, inset_mm=rng.uniform(1.5, 3))
    canvas.hu = torch.where(air, canvas.hu, before)


def paint_metal(canvas: Canvas, case: Case) -> None:
    """Hip prostheses, and the dark and bright rays that they throw across the pelvis."""
    rng = case.generator(Stream.METAL)
    for side in case.scanner.metal:
        s = 1 if side == "left" else -1
        head = (90.0 * s, -1.0, -2.0)
        for shape in (
            Ellipsoid(head, (24, 24, 24)),
            Tube((head, (120 * s, 6, -14), (118 * s, 6, -140)), (13, 9, 7)),
        ):
            canvas.paint(shape, rng.uniform(2500, 6000))
        x, y, z = canvas.coordinates
        dx, dy = x - head[0], y - head[1]
        radius = (dx**2 + dy**2).sqrt().clamp(min=18)
        angle = torch.atan2(dy, dx)
        rays = sum(
            rng.uniform(0.4, 1.0) * torch.cos(k * angle + rng.uniform(0, 6.28)) for k in rng.choice(np.arange(2, 26), 6)
        )
        reach = torch.exp(-(((z - head[2] + 10) / 32) ** 2)) * torch.exp(-radius / rng.uniform(50, 130))
        body = (canvas.hu > -400).float()
        canvas.hu = canvas.hu + body * rng.uniform(15, 90) * rays * reach


def expose(canvas: Canvas, case: Case, spacing_mm: tuple[float, float, float], field_seed: int) -> torch.Tensor:
    """HU (Z, Y, X) as scanned: blurred, starved between the hips, noisy, off calibration.

    spacing_mm: (x, y, z). field_seed: one for each part of a scan; noise follows it, nothing else does.
    """
    scanner = case.scanner
    rng = np.random.default_rng([case.seed, field_seed, Stream.EXPOSURE])
    hu = canvas.hu
    x, y, z = canvas.coordinates
    if scanner.streak_hu > 0.5:
        bands = Waves.draw(case.generator(Stream.STARVATION), 1, (14, 50)).at(torch.stack((0.12 * x, y, 0.6 * z)))[0]
        hips = torch.exp(-((z / 40) ** 2)) * (x.abs() < 95).float() * (hu > -400).float()
        hu = hu + hips * scanner.streak_hu * (bands - 0.8)
    hu = _blur(hu, tuple(scanner.blur_mm / step for step in (spacing_mm[2], spacing_mm[1], spacing_mm[0])))
    if scanner.sharpening:
        soft = _blur(hu, tuple(1.6 / step for step in (spacing_mm[2] * 2, spacing_mm[1], spacing_mm[0])))
        hu = hu + scanner.sharpening * (hu - soft)
    noise = torch.from_numpy(rng.standard_normal(hu.shape, dtype=np.float32)).to(hu.device)
    grain = scanner.noise_grain_mm
    noise = _blur(noise, (0.25, grain / spacing_mm[1], grain / spacing_mm[0]))
    # grains of noise average out in larger voxels, more slowly than white noise would
    level = scanner.noise_hu * (REFERENCE_VOXEL_MM3 / float(np.prod(spacing_mm))) ** 0.35
    noise = noise * (level / noise.std().clamp(min=1e-3))
    # scanners are calibrated on water: the gain turns about 0 HU
    hu = (hu + noise) * scanner.gain + scanner.offset_hu
    return hu.clamp(-1024, 3071)


def _blur(field: torch.Tensor, sigma: tuple[float, float, float]) -> torch.Tensor:
    """Gaussian blur (Z, Y, X) by `sigma` voxels (z, y, x); widths under a fifth of a voxel do nothing."""
    out = field[None, None]
    for axis, width in enumerate(sigma):
        if width < 0.2:
            continue
        radius = max(1, int(np.ceil(2.5 * width)))
        offsets = torch.arange(-radius, radius + 1, device=field.device, dtype=field.dtype)
        kernel = torch.exp(-0.5 * (offsets / width) ** 2)
        kernel = kernel / kernel.sum()
        shape = [1, 1, 1, 1, 1]
        shape[axis + 2] = len(offsets)
        pad = [0] * 6
        pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = radius
        out = torch.nn.functional.pad(out, pad, mode="replicate")
        out = torch.nn.functional.conv3d(out, kernel.view(shape))
    return out[0, 0]
