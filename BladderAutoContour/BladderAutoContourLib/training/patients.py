"""Training samples from a hospital's own patients, alone or beside generated ones: one index, one sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.utils.data import Dataset

from ..networks.channels import AIR_HU, BODY_HU
from ..phantom.fields import WINDOW_REACH, draw_crop_error_mm
from .samples import GeneratedSamples, Recipe, replay
from .warp import PAPER, warp

BODY_ERROR_MM = 15.0  # how far the localiser's windows lie off the middle of the body
WARPED = 0.5


@dataclass(frozen=True)
class Patient:
    """A CT and its bladder on a stage's grid, arrays (z, y, x): hu, and label, the share of each voxel inside it."""

    hu: np.ndarray
    label: np.ndarray

    @cached_property
    def bladder_centre(self) -> np.ndarray | None:
        """Where the bladder lies, index (z, y, x); None where there is none."""
        inside = np.argwhere(self.label > 0)
        return inside.mean(axis=0) if len(inside) else None

    @cached_property
    def body_centre(self) -> np.ndarray:
        """The middle of what is no air, index (z, y, x)."""
        inside = np.argwhere(self.hu > BODY_HU)
        return inside.mean(axis=0) if len(inside) else (np.array(self.hu.shape) - 1) / 2


class MixedSamples(Dataset):
    """(HU, soft label) pairs, float32 (Z, Y, X): `share` of them of patients, the others of `generated`.

    Sample `i` depends on the recipe, the patients and their order, and `i` alone.
    """

    def __init__(self, generated: GeneratedSamples, patients: Sequence[Patient], share: float) -> None:
        self.generated = generated
        self.patients = tuple(patients)
        self.share = share

    def __len__(self) -> int:
        return len(self.generated)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        recipe = self.generated.recipe
        rng = np.random.default_rng([recipe.seed, index, 3])
        if rng.random() >= self.share:
            return self.generated[index]
        patient = self.patients[int(rng.integers(len(self.patients)))]
        hu, label = crop(patient, _draw_centre(patient, recipe, rng), recipe.plan.crop_voxels)
        if rng.random() < WARPED:
            hu, label = warp(hu, label, recipe.plan.spacing_mm, PAPER, rng)
        return replay(hu, label, recipe, rng)


def crop(patient: Patient, centre: np.ndarray, size: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """HU and label around an index (z, y, x), `size` voxels (x, y, z); air where the scan does not reach."""
    shape = size[::-1]
    start = [round(float(c) - (n - 1) / 2) for c, n in zip(centre, shape, strict=True)]
    inside = tuple(
        slice(min(max(a, 0), have), min(max(a + n, 0), have))
        for a, n, have in zip(start, shape, patient.hu.shape, strict=True)
    )
    within = tuple(slice(part.start - a, part.stop - a) for part, a in zip(inside, start, strict=True))
    hu, label = torch.full(shape, AIR_HU), torch.zeros(shape)
    if all(part.stop > part.start for part in inside):
        hu[within] = torch.from_numpy(patient.hu[inside].astype(np.float32))
        label[within] = torch.from_numpy(patient.label[inside].astype(np.float32))
    return hu, label


def _draw_centre(patient: Patient, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """Where a crop lies, index (z, y, x): as `phantom.fields` draws windows and crops, within this one scan."""
    spacing = np.array(recipe.plan.spacing_mm[::-1])
    shape = np.array(patient.hu.shape)
    bladder = None if rng.random() < recipe.without_bladder else patient.bladder_centre
    if recipe.stage == "localiser":
        centre = patient.body_centre + rng.normal(0, BODY_ERROR_MM, size=3) / spacing
        reach = recipe.plan.crop_voxels[2] / 2
        if bladder is None:
            centre[0] = rng.uniform(0, shape[0])
        else:
            centre[0] = bladder[0] + rng.uniform(-WINDOW_REACH, WINDOW_REACH) * reach
        return centre
    if bladder is None:
        return rng.uniform(0, shape)
    return bladder + draw_crop_error_mm(rng)[::-1] / spacing
