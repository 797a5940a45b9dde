"""A body of ellipsoids that can be sampled on any grid, and networks that see it without having learned anything."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from BladderAutoContourLib.imaging.geometry import IDENTITY, Geometry
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.networks.plan import CrfPlan, NetworkPlan, Plan, StagePlan
from BladderAutoContourLib.networks.vnet import VNet
from BladderAutoContourLib.networks.weights import Networks, build_networks

SLOPE = 12.0  # logits per unit of the density map
NETWORK = NetworkPlan(width=2, normalisation="none")
PLAN = Plan(
    name="density",
    localiser=StagePlan((8.0, 8.0, 8.0), (48, 48, 32), network=NETWORK),
    segmenter=StagePlan((3.0, 3.0, 3.0), (48, 48, 32), network=NETWORK),
    crf=CrfPlan(theta_alpha_mm=(6.0, 6.0, 6.0), theta_beta_hu=30.0, bilateral_weight=1.0),
)


@dataclass(frozen=True)
class Body:
    """An elliptic cylinder of muscle around fat, two femoral heads, a bladder. LPS millimetres, HU."""

    bladder_mm: tuple[float, float, float] = (4.0, -10.0, 20.0)
    radii_mm: tuple[float, float, float] = (40.0, 32.0, 28.0)
    bladder_hu: float = 10.0
    has_bladder: bool = True

    @property
    def volume_ml(self) -> float:
        """The bladder's true volume."""
        return 4 / 3 * np.pi * float(np.prod(self.radii_mm)) / 1000

    def hu(self, points: np.ndarray) -> np.ndarray:
        """HU at LPS points (..., 3)."""
        x, y = points[..., 0], points[..., 1]
        hu = np.full(points.shape[:-1], -1000.0, dtype=np.float32)
        outer = (x / 170) ** 2 + (y / 110) ** 2
        hu[outer < 1] = 50.0
        hu[outer < 0.75] = -95.0
        for side in (-1, 1):
            head = np.linalg.norm(points - np.array([side * 100.0, 10.0, 10.0]), axis=-1)
            hu[head < 24] = 500.0
        inside = self.bladder(points)
        return hu * (1 - inside) + self.bladder_hu * inside

    def bladder(self, points: np.ndarray) -> np.ndarray:
        """How much of the bladder is at LPS points (..., 3): 1 inside, 0 outside, a ramp of 2 mm between."""
        if not self.has_bladder:
            return np.zeros(points.shape[:-1], dtype=np.float32)
        radius = np.linalg.norm((points - np.asarray(self.bladder_mm)) / np.asarray(self.radii_mm), axis=-1)
        depth_mm = (1 - radius) * min(self.radii_mm)
        return np.clip(depth_mm / 2 + 0.5, 0, 1).astype(np.float32)


def points_of(geometry: Geometry) -> np.ndarray:
    """LPS positions (z, y, x, 3) of all voxels."""
    z, y, x = np.meshgrid(*[np.arange(n) for n in geometry.shape], indexing="ij")
    return geometry.to_patient(np.stack((x, y, z), axis=-1))


def ct_of(body: Body, geometry: Geometry, seed: int = 0) -> Volume:
    """A noisy int16 CT of `body`."""
    hu = body.hu(points_of(geometry)) + np.random.default_rng(seed).normal(0, 12, geometry.shape)
    return Volume(np.round(hu).astype(np.int16), geometry)


def scan_grid(
    direction=IDENTITY, centre_mm=(0.0, 0.0, 20.0), size=(96, 72, 56), spacing_mm=(4.0, 4.0, 4.0)
) -> Geometry:
    """A scan grid around `centre_mm` whose axes run along `direction`."""
    plain = Geometry(size, spacing_mm, (0.0, 0.0, 0.0), direction)
    return replace(plain, origin_mm=tuple(map(float, np.asarray(centre_mm) - plain.centre_mm)))


def density_networks() -> Networks:
    """Networks whose weights are set by hand: what has the bladder's density all around is bladder.

    They need no training, see no orientation, and take every body of this file for what it is.
    """
    networks = build_networks(PLAN)
    for network in (networks.localiser, networks.segmenter):
        _set_by_hand(network)
    return networks


@torch.no_grad()
def _set_by_hand(network: VNet) -> None:
    # All convolutions silent: the input's two channels pass the entry, the last skip and the last block unchanged.
    for module in network.modules():
        if isinstance(module, torch.nn.Conv3d | torch.nn.ConvTranspose3d):
            module.weight.zero_()
            module.bias.zero_()
    average, _, score = network.head
    average[0].weight[1, -1] = 1 / average[0].weight[1, -1].numel()  # mean density map of the neighbours
    score.weight[1, 1] = SLOPE
    score.bias[1] = -SLOPE / 2
