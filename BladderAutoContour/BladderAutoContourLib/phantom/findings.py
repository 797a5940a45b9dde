"""What few patients have beside the bladder: fluid that is not urine, clips, hazy fat, and a prostate that is gone.

No family of patients is drawn with them (`case.draw_case`); a training adds them (`training.findings`).
"""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas
from .shapes import Ellipsoid, Point, Tube, as_point

RAY_SHARE = 0.4  # how much of a voxel beside a clip its dark rays take


@dataclass(frozen=True)
class Lake:
    """Fluid that is not urine: a cyst or a lymphocele in its wall, or free between the organs (wall_mm 0)."""

    shape: Ellipsoid
    hu: float
    wall_hu: float = 0.0
    wall_mm: float = 0.0


@dataclass(frozen=True)
class Clip:
    """A surgical clip, and the direction in the slice (degrees) in which it throws its rays."""

    at: Point
    radius_mm: float
    hu: float
    ray_degrees: float
    ray_mm: float


@dataclass(frozen=True)
class Haze:
    """Fat about the bladder that is no longer dark, as after radiation: densest at the wall, fading outwards.

    share: how much of the fat at the wall is replaced by `hu`; reach_mm: where a third of that is left.
    """

    hu: float
    share: float
    reach_mm: float


@dataclass(frozen=True)
class Findings:
    """What one patient has. free_fluid: between the organs. prostate: False after it was taken out."""

    free_fluid: tuple[Lake, ...] = ()
    lakes: tuple[Lake, ...] = ()
    clips: tuple[Clip, ...] = ()
    prostate: bool = True
    haze: Haze | None = None


def paint_lakes(canvas: Canvas, lakes: tuple[Lake, ...]) -> None:
    """Each with its wall."""
    for lake in lakes:
        canvas.paint(lake.shape, lake.wall_hu if lake.wall_mm else lake.hu)
        if lake.wall_mm:
            canvas.paint(lake.shape, lake.hu, inset_mm=lake.wall_mm)


def paint_clips(canvas: Canvas, clips: tuple[Clip, ...]) -> None:
    """Bright dots, each in the middle of a dark ray."""
    for clip in clips:
        angle = np.radians(clip.ray_degrees)
        reach = np.array([np.cos(angle), np.sin(angle), 0.0]) * clip.ray_mm
        ends = tuple(as_point(np.array(clip.at) + sign * reach) for sign in (-1, 1))
        ray = Tube(ends, (1.5, 1.5))
        if (block := canvas.block(ray)) is not None:
            canvas.blend(block, RAY_SHARE * canvas.coverage(ray.distance(*canvas.at(block))), -200.0)
        canvas.paint(Ellipsoid(clip.at, (clip.radius_mm,) * 3), clip.hu)
