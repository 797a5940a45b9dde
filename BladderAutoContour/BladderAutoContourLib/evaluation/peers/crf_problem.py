"""What the CRF-RNN and its peers are given to solve: a generated CT with a rough contour, and the kernels' widths."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...imaging.geometry import Triple, patient_grid
from ...networks.plan import CrfPlan
from ...phantom.case import draw_case
from ...phantom.render import bladder_centre_mm, render

SPACING_MM: Triple = (2.0, 2.0, 3.0)
SIZE = (128, 128, 64)
"""Voxels (x, y, z): the paper's crop."""
SEED = 4
CERTAINTY, NOISE, WAVE_MM, WAVELENGTH_MM = 2.5, 1.0, 0.7, 19.0


@dataclass(frozen=True)
class CrfProblem:
    """hu (Z, Y, X) and logits (2, Z, Y, X), both float32, with the CRF that shall refine them."""

    hu: np.ndarray
    logits: np.ndarray
    plan: CrfPlan

    def crop(self, start: tuple[int, int, int], edge: int) -> "CrfProblem":
        """A cube of it, from the index `start` (z, y, x) on."""
        part = tuple(slice(first, first + edge) for first in start)
        return dataclasses.replace(self, hu=self.hu[part].copy(), logits=self.logits[(slice(None), *part)].copy())

    def save(self, path: Path) -> None:
        """Write it to an .npz file."""
        plan = json.dumps(dataclasses.asdict(self.plan))
        np.savez(path, hu=self.hu, logits=self.logits, plan=np.asarray(plan), spacing_mm=np.asarray(SPACING_MM))


def generated_problem(plan: CrfPlan, size: tuple[int, int, int] = SIZE) -> CrfProblem:
    """A generated pelvis about its bladder, at SPACING_MM, `size` in (x, y, z).

    The logits know the bladder roughly: noise on every voxel, and a border that waves where the organ's does not.
    """
    case = draw_case(SEED)
    rendered = render(case, patient_grid(bladder_centre_mm(case), SPACING_MM, size))
    random = np.random.default_rng(SEED)
    z, y, x = (step * np.arange(n) for n, step in zip(size[::-1], SPACING_MM[::-1], strict=True))
    phase = 2 * np.pi / WAVELENGTH_MM
    wave = np.sin(phase * z)[:, None, None] * np.sin(phase * y)[:, None] * np.sin(phase * x)
    inside = 2 * rendered.bladder.numpy() - 1
    margin = CERTAINTY * np.tanh(inside + WAVE_MM * wave) + random.normal(0, NOISE, inside.shape)
    logits = np.stack((-margin / 2, margin / 2)).astype(np.float32)
    return CrfProblem(rendered.stored_hu().astype(np.float32), logits, plan)
