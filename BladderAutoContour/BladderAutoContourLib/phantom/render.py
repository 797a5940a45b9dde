"""From a case to a CT on any grid: coordinates, anatomy, scanner."""

from dataclasses import dataclass

import numpy as np
import torch

from ..imaging.geometry import Geometry
from .bladder import make_bladder, paint_bladder
from .bowel import dome_loops, paint_bowel, paint_gut
from .canvas import Canvas
from .case import Case, Stream
from .findings import paint_clips, paint_lakes
from .organs import genital_organs, paint_abdomen, paint_clutter, paint_vessels
from .scanner import expose, paint_couch, paint_metal
from .shapes import rotation_matrix
from .skeleton import paint_skeleton
from .torso import paint_torso
from .waves import Waves

COARSE_MM = 16.0


@dataclass(frozen=True)
class Rendered:
    """A generated CT, float32 (Z, Y, X). hu: CT numbers. bladder: the share of each voxel inside the outer wall."""

    hu: torch.Tensor
    bladder: torch.Tensor

    def stored_hu(self) -> np.ndarray:
        """The CT numbers as a scanner stores them: whole HU, int16 (Z, Y, X)."""
        return np.rint(self.hu.cpu().numpy().clip(-1024, 3071)).astype(np.int16)


def bladder_centre_mm(case: Case) -> np.ndarray:
    """About where the bladder lies in the patient, LPS mm (the warp, a few millimetres, left out)."""
    return canonical_to_patient(case, np.asarray(case.bladder.centre))


def canonical_to_patient(case: Case, point: np.ndarray) -> np.ndarray:
    """LPS mm of canonical points (..., 3), the warp left out."""
    rotation = np.array(rotation_matrix(case.habitus.tilt_degrees))
    return np.asarray(point) * np.asarray(case.habitus.scale) @ rotation.T + np.asarray(case.habitus.origin_mm)


def canonical_coordinates(case: Case, geometry: Geometry, device: torch.device | str) -> torch.Tensor:
    """Canonical coordinates (3, Z, Y, X) of a grid's voxels: posture and scale undone, elastic warp applied."""
    nz, ny, nx = geometry.shape
    habitus = case.habitus
    to_canonical = np.diag(1 / np.asarray(habitus.scale)) @ np.array(rotation_matrix(habitus.tilt_degrees)).T
    matrix = to_canonical @ geometry.matrix[:3, :3]
    offset = to_canonical @ (geometry.matrix[:3, 3] - np.asarray(habitus.origin_mm))
    axes = [torch.arange(n, device=device, dtype=torch.float32) for n in (nx, ny, nz)]
    parts = [torch.as_tensor(matrix[:, k], dtype=torch.float32, device=device) for k in range(3)]
    points = (
        parts[0][:, None, None, None] * axes[0]
        + parts[1][:, None, None, None] * axes[1][:, None]
        + parts[2][:, None, None, None] * axes[2][:, None, None]
        + torch.as_tensor(offset, dtype=torch.float32, device=device)[:, None, None, None]
    )
    steps = _coarse_steps(geometry)
    coarse_shape = [int(np.ceil((n - 1) / step)) + 1 for n, step in zip(geometry.shape, steps, strict=True)]
    waves = Waves.draw(case.generator(Stream.WARP), 3, habitus.warp_wavelength_mm)
    nodes = torch.stack(
        torch.meshgrid(
            *[
                torch.arange(n, device=device, dtype=torch.float32) * step
                for n, step in zip(coarse_shape, steps, strict=True)
            ],
            indexing="ij",
        )
    )
    at = torch.einsum(
        "kc,czyx->kzyx", torch.as_tensor(matrix[:, ::-1].copy(), dtype=torch.float32, device=device), nodes
    )
    at = at + torch.as_tensor(offset, dtype=torch.float32, device=device)[:, None, None, None]
    warp = habitus.warp_mm * waves.at(at)
    fine = [(n - 1) * step + 1 for n, step in zip(coarse_shape, steps, strict=True)]
    warp = torch.nn.functional.interpolate(warp[None], size=fine, mode="trilinear", align_corners=True)[0]
    return points + warp[:, :nz, :ny, :nx]


def render(
    case: Case,
    geometry: Geometry,
    device: torch.device | str = "cpu",
    with_bladder: bool = True,
    slab_voxels: int = 8_000_000,
) -> Rendered:
    """The case's CT and label on a grid of any size, spacing and direction, both on `device`.

    `with_bladder` False leaves the organ out (after cystectomy). Large grids are painted in slabs of at most
    `slab_voxels` to bound memory; noise then differs from slab to slab, nothing else.
    """
    nz, ny, nx = geometry.shape
    step = _coarse_steps(geometry)[0]  # slabs begin where the warp has a node: it is the same in every slab
    rows = max(1, slab_voxels // max(1, ny * nx) // step) * step
    if nz <= rows:
        return _render_slab(case, geometry, device, with_bladder, 0)
    hu, label = (torch.empty(nz, ny, nx, device=device) for _ in range(2))
    for number, start in enumerate(range(0, nz, rows)):
        stop = min(nz, start + rows)
        low, high = max(0, start - step), min(nz, stop + 2)  # a margin for the blur along z
        part = geometry.region((0, 0, low), (nx, ny, high - low))
        slab = _render_slab(case, part, device, with_bladder, 1000 * (number + 1))
        hu[start:stop] = slab.hu[start - low : stop - low]
        label[start:stop] = slab.bladder[start - low : stop - low]
    return Rendered(hu, label)


def _coarse_steps(geometry: Geometry) -> tuple[int, int, int]:
    """Voxels (z, y, x) between the nodes of the warp."""
    return tuple(max(1, int(COARSE_MM / spacing)) for spacing in geometry.spacing_mm[::-1])


def _render_slab(
    case: Case, geometry: Geometry, device: torch.device | str, with_bladder: bool, field_seed: int
) -> Rendered:
    spacing = geometry.spacing_mm
    voxel_mm = float(np.prod(spacing)) ** (1 / 3) / float(np.mean(case.habitus.scale))
    canvas = Canvas(canonical_coordinates(case, geometry, device), voxel_mm)
    paint_torso(canvas, case)
    paint_abdomen(canvas, case)
    paint_vessels(canvas, case)
    paint_skeleton(canvas, case)
    paint_lakes(canvas, case.findings.free_fluid)
    paint_bowel(canvas, case)
    paint_clutter(canvas, case)
    organs = genital_organs(case)
    for shape, hu in organs:
        canvas.paint(shape, hu)
    paint_lakes(canvas, case.findings.lakes)
    loops = dome_loops(case)
    wall = case.contents.wall_hu
    rng = case.generator(Stream.DOME_LOOP_STOOL)
    for loop, filling in loops:
        paint_gut(canvas, case, rng, loop, wall, 2.0, filling)
    if with_bladder:
        neighbours = [shape for shape, _ in organs] + [loop for loop, _ in loops]
        bladder = make_bladder(case, neighbours + [lake.shape for lake in case.findings.lakes])
        label = paint_bladder(canvas, case, bladder, fat_hu=-100.0)
    else:
        label = torch.zeros_like(canvas.hu)
    paint_clips(canvas, case.findings.clips)
    paint_couch(canvas, case)
    paint_metal(canvas, case)
    return Rendered(expose(canvas, case, spacing, field_seed), label)
