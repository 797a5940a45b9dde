"""CTs that are quickly made, and weights small enough to make in a second: a true run of the program for any room.

The weights are built, not trained: networks that call every voxel of water's density bladder. On the analytic scene
(fat, bone, one water-filled ellipsoid) they are right, so that a run goes through all steps to a true contour.
"""

from pathlib import Path

import numpy as np
import torch
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.imaging.files import write_volume
from BladderAutoContourLib.imaging.geometry import patient_grid
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.networks.plan import DecisionPlan, IntensityPlan, NetworkPlan, Plan, StagePlan
from BladderAutoContourLib.networks.vnet import VNet
from BladderAutoContourLib.networks.weights import build_networks, save_weights

WATER_HU = 10.0
CENTRE_MM = np.array([8.0, -12.0, -6.0])
RADII_MM = np.array([34.0, 28.0, 30.0])


def water_scene(slices: int = 40, bladder: bool = True) -> tuple[Volume, np.ndarray]:
    """The analytic CT in HU, a cylinder of fat with two bones and a water-filled ellipsoid; where the ellipsoid is."""
    geometry = patient_grid((0.0, 0.0, 0.0), (4.0, 4.0, 5.0), (64, 64, slices))
    z, y, x = np.indices(geometry.shape)
    points_mm = geometry.to_patient(np.stack([x, y, z], axis=-1))
    inside = (((points_mm - CENTRE_MM) / RADII_MM) ** 2).sum(axis=-1) <= 1.0
    hu = np.full(geometry.shape, -1000.0, dtype=np.float32)
    hu[np.hypot(points_mm[..., 0], points_mm[..., 1]) < 105] = -100.0
    for side in (-1, 1):
        hu[np.hypot(points_mm[..., 0] - 80 * side, points_mm[..., 1]) < 12] = 700.0
    if bladder:
        hu[inside] = WATER_HU
    return Volume(hu.astype(np.int16), geometry), inside


def write_water_series(folder: Path, slices: int = 40, seed: int = 0) -> Path:
    """The analytic CT as a DICOM series; returns its folder."""
    write_ct_series(water_scene(slices)[0], folder, seed=seed)
    return folder


def write_water_volume(path: Path) -> Path:
    """The analytic CT as a volume file; returns its path."""
    write_volume(water_scene()[0], path)
    return path


def save_water_weights(path: Path, crop: int, spacing_mm: float) -> Path:
    """Networks that call water bladder, on a grid of their own, saved as weights at `path`."""
    intensity = IntensityPlan(density_centre_hu=WATER_HU, density_width_hu=30.0)
    network = NetworkPlan(width=2, normalisation="none")
    plan = Plan(
        name=path.stem,
        localiser=StagePlan((8.0, 8.0, 8.0), (32, 32, 32), intensity, network),
        segmenter=StagePlan((spacing_mm,) * 3, (crop,) * 3, intensity, network),
        decision=DecisionPlan(minimum_confidence=0.3),
    )
    networks = build_networks(plan)
    for vnet in (networks.localiser, networks.segmenter):
        _see_water(vnet)
    save_weights(networks, path)
    return path


def _see_water(vnet: VNet) -> None:
    """Carry the density channel through the first skip, and score 20 (density - 1/2)."""
    with torch.no_grad():
        for parameter in vnet.parameters():
            parameter.zero_()
        vnet.entry.activation.weight.fill_(1.0)
        vnet.right[-1].activations[-1].weight.fill_(1.0)
        mix, _, score = vnet.head
        skip_of_density = vnet.right[-1].convolutions[-1][0].in_channels - 1
        mix[0].weight[1, skip_of_density, 1, 1, 1] = 1.0
        mix[1].weight.fill_(1.0)
        score.weight[1, 1] = 20.0
        score.bias[1] = -10.0
