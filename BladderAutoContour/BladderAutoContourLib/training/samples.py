"""Training samples from generated pelves: one index, one sample, the same on every machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import Dataset

from ..imaging.geometry import Geometry
from ..networks.channels import AIR_HU
from ..networks.plan import StagePlan
from ..phantom.case import draw_case
from ..phantom.fields import draw_crop, draw_window
from ..phantom.render import render
from .anatomy import ellipsoid_ml, fill, wander
from .augmentation import shaded, vary
from .findings import with_findings
from .warp import draw_mesh, warp

CLOSER_BELOW_ML = 80.0  # the ellipsoid, before neighbours dent it
THROUGH = 0.4  # of the scans that end within a crop that shows a bladder: how many end within the bladder itself
STRONGLY_SHADED = 0.15  # of the crops of a stage that shows findings
STRONG_SHADING_HU = (6.0, 16.0)  # standard deviation, as where hips and arms scatter
CUT_OFF = 0.33  # of a crop whose field is smaller: at most so much at each end
CUT_OFF_WINDOW = 0.42  # of the localiser's window, from side to side: somebody cropped the CT about the bladder
CLOSER = (0.6, 1.0)  # spacing of a crop seen from closer, as a share of the plan's


@dataclass(frozen=True)
class Recipe:
    """What one stage sees; see `training.plan.StageSchedule`.

    `replays` crops in a row share their anatomy, not their noise, mirror or scan's end, nor the warp that bends a share
    `warped` of them.
    """

    stage: str
    plan: StagePlan
    seed: int
    batch: int
    replays: int
    without_bladder: float
    strata: Mapping[str, float] = field(default_factory=dict)
    narrow: float = 0.0
    warped: float = 0.0
    closer: float = 0.0
    findings: float = 0.0


class GeneratedSamples(Dataset):
    """(HU, soft label) pairs, float32 (Z, Y, X). Sample `i` depends on the recipe and on `i` alone."""

    def __init__(self, recipe: Recipe, length: int) -> None:
        self.recipe = recipe
        self.length = length
        self._cache: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        recipe = self.recipe
        round_number, place = divmod(index, recipe.batch * recipe.replays)
        number = round_number * recipe.batch + place % recipe.batch
        hu, label = self._anatomy(number)
        rng = np.random.default_rng([recipe.seed, number, place // recipe.batch, 2])
        if recipe.warped and rng.random() < recipe.warped:
            hu, label = warp(hu, label, recipe.plan.spacing_mm, draw_mesh(rng), rng)
        return replay(hu, label, recipe, rng)

    def _anatomy(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        if number not in self._cache:
            while len(self._cache) >= 2 * self.recipe.batch:
                self._cache.pop(next(iter(self._cache)))
            self._cache[number] = self._render(number)
        return self._cache[number]

    def _render(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, number, 1])
        seed = int(rng.integers(2**31))
        case = fill(wander(draw_case(seed, stratum=_draw_stratum(rng, recipe.strata)), rng), rng)
        if recipe.findings and rng.random() < recipe.findings:
            case = with_findings(case, rng)
        absent = rng.random() < recipe.without_bladder
        removed = absent and rng.random() < 0.12  # no bladder where one is expected: after cystectomy
        draw = draw_window if recipe.stage == "localiser" else draw_crop
        spacing_mm = recipe.plan.spacing_mm
        small = ellipsoid_ml(case.bladder.radii) < CLOSER_BELOW_ML
        if recipe.closer and (absent or small) and rng.random() < recipe.closer:
            finer = rng.uniform(*CLOSER)
            spacing_mm = tuple(finer * step for step in spacing_mm)
        grid: Geometry = draw(case, spacing_mm, recipe.plan.crop_voxels, rng, not absent or removed)
        rendered = render(case, grid, with_bladder=not removed)
        return rendered.hu, rendered.bladder


def _draw_stratum(rng: np.random.Generator, strata: Mapping[str, float]) -> str | None:
    total = sum(strata.values())
    if total == 0 or rng.random() >= total:
        return None
    return str(rng.choice(list(strata), p=np.array(list(strata.values())) / total))


def replay(
    hu: torch.Tensor, label: torch.Tensor, recipe: Recipe, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """A crop as it is shown once: varied as its stage needs it. The tensors given stay as they are."""
    if recipe.findings and rng.random() < STRONGLY_SHADED:
        hu = shaded(hu, rng, float(rng.uniform(*STRONG_SHADING_HU)))
    if recipe.stage == "localiser":  # a pelvic scan is shorter than its window: both ends lie within
        return _replay(hu, label, rng, Ends(0.65, both=0.6), recipe.narrow, CUT_OFF_WINDOW)
    return _replay(hu, label, rng, Ends(0.35, both=0.3), recipe.narrow, CUT_OFF)


@dataclass(frozen=True)
class Ends:
    """How often a scan ends within the crop, and which share of those does so above and below; the rest at one end."""

    share: float
    both: float


def _replay(
    hu: torch.Tensor, label: torch.Tensor, rng: np.random.Generator, ends: Ends, narrow: float, most: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mirror left and right, vary what patient and scanner show, end the scan somewhere.

    narrow: how often its field is smaller on all sides, by `most` of the crop at most where that is left or right,
    front or back.
    """
    if rng.random() < 0.5:
        hu, label = hu.flip(2), label.flip(2)
    hu = vary(hu, rng)
    if rng.random() < ends.share:
        hu, label = hu.clone(), label.clone()
        first, stop = _scanned(label, rng, ends.both)
        for outside in (slice(0, first), slice(stop, None)):
            hu[outside], label[outside] = AIR_HU, 0.0
    if narrow and rng.random() < narrow:
        cuts = rng.uniform(0, ((CUT_OFF,), (most,), (most,)), size=(3, 2)) * np.array(hu.shape)[:, None]
        seen = tuple(slice(int(low), n - int(high)) for (low, high), n in zip(cuts, hu.shape, strict=True))
        outside = torch.ones_like(hu, dtype=torch.bool)
        outside[seen] = False
        hu, label = hu.masked_fill(outside, AIR_HU), label.masked_fill(outside, 0.0)
    return hu.contiguous(), label.contiguous()


def _scanned(label: torch.Tensor, rng: np.random.Generator, both: float) -> tuple[int, int]:
    """First slice, and the one after the last, of a scan that ends within a crop: below, above or at both ends."""
    depth = label.shape[0]
    which = rng.choice(["below", "above", "both"], p=[(1 - both) / 2, (1 - both) / 2, both])
    first, stop = int(rng.uniform(0, 0.5) * depth), depth - int(rng.uniform(0, 0.5) * depth)
    bladder = (label.amax(dim=(1, 2)) >= 0.5).nonzero().flatten()
    if len(bladder) and rng.random() < THROUGH:
        within = int(rng.integers(int(bladder[0]), int(bladder[-1]) + 1))
        # a slice of it is left, however short the scan is
        if which == "above" or (which == "both" and rng.random() < 0.5):
            first, stop = min(first, within), within + 1
        else:
            first, stop = within, max(stop, within + 1)
    return (first if which != "above" else 0), (stop if which != "below" else depth)
