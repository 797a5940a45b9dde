"""Generated bladders with spoiled predictions, and the ways of correcting them, for `refine.py`."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from BladderAutoContourLib.imaging.distance import signed_distance_mm
from BladderAutoContourLib.imaging.geometry import patient_grid
from BladderAutoContourLib.imaging.resample import resample_to
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.networks.channels import AIR_HU
from BladderAutoContourLib.phantom.case import draw_case
from BladderAutoContourLib.phantom.render import bladder_centre_mm, render

SPOILS = ("leak", "missing-dome", "shifted", "half", "empty")
SPACING_MM = (2.0, 2.0, 3.0)
SIZE = (92, 92, 64)
ROUGHNESS_MM = 1.5
SOFTNESS_MM = 2.0


@dataclass(frozen=True)
class SpoiledCase:
    """A CT, its bladder (boolean, (z, y, x)) and what a network might have said of it (float32 in [0, 1])."""

    name: str
    ct: Volume
    bladder: np.ndarray
    probability: Volume


def make_case(seed: int, spoil: str, family: str) -> SpoiledCase:
    """The case of a seed. A network's errors are put on in millimetres of the signed distance from the true surface."""
    case = draw_case(seed, family)
    grid = patient_grid(bladder_centre_mm(case), SPACING_MM, SIZE)
    rendered = render(case, grid)
    hu = rendered.stored_hu()
    bladder = rendered.bladder.numpy() >= 0.5
    return _spoiled_case(Volume(hu, grid), bladder, spoil, seed)


def known_case(ct: Volume, bladder: Volume, spoil: str, seed: int) -> SpoiledCase:
    """A CT whose bladder is known, on the generated cases' grid about it; the seed draws what is spoiled."""
    centre = bladder.geometry.to_patient(np.argwhere(bladder.array > 0)[:, ::-1]).mean(axis=0)
    grid = patient_grid(centre, SPACING_MM, SIZE)
    hu = resample_to(ct, grid, fill=AIR_HU)
    share = resample_to(Volume((bladder.array > 0).astype(np.float32), bladder.geometry), grid, fill=0)
    return _spoiled_case(Volume(np.rint(hu.array).astype(np.int16), grid), share.array >= 0.5, spoil, seed)


def _spoiled_case(ct: Volume, bladder: np.ndarray, spoil: str, seed: int) -> SpoiledCase:
    rng = np.random.default_rng([seed, SPOILS.index(spoil), 5])
    probability = Volume(spoiled(bladder, spoil, rng), ct.geometry)
    return SpoiledCase(f"{spoil}-{seed}", ct, bladder, probability)


def spoiled(bladder: np.ndarray, spoil: str, rng: np.random.Generator) -> np.ndarray:
    """A soft prediction with the error that is asked for, and the roughness of every prediction."""
    if spoil == "empty":
        return np.zeros(bladder.shape, dtype=np.float32)
    z, y, x = np.indices(bladder.shape).astype(np.float32)
    points = np.stack([x * SPACING_MM[0], y * SPACING_MM[1], z * SPACING_MM[2]])
    inside = points[:, bladder]
    low, high = inside.min(axis=1), inside.max(axis=1)
    distance = signed_distance_mm(bladder, SPACING_MM) + ROUGHNESS_MM * rough(bladder.shape, 7.0, rng)
    if spoil == "leak":
        surface = points[:, bladder & (signed_distance_mm(bladder, SPACING_MM) > -2.5)]
        upper = surface[:, surface[2] > (low[2] + high[2]) / 2]
        at = upper[:, rng.integers(upper.shape[1])]
        outward = at - inside.mean(axis=1)
        outward /= max(np.linalg.norm(outward), 1e-3)
        radii = rng.uniform((10, 10, 8), (22, 22, 16))
        centre = at + outward * radii.mean() * 0.7
        blob = np.sqrt((((points - centre[:, None, None, None]) / radii[:, None, None, None]) ** 2).sum(axis=0)) - 1
        distance = np.minimum(distance, blob * radii.min())
    elif spoil == "missing-dome":
        share = rng.uniform(0.6, 0.8)
        tilt = rng.normal(0, 0.15, size=2)
        middle = inside.mean(axis=1)
        plane = points[2] - (low[2] + share * (high[2] - low[2]))
        plane = plane + tilt[0] * (points[0] - middle[0]) + tilt[1] * (points[1] - middle[1])
        distance = np.maximum(distance, plane)
    elif spoil == "shifted":
        direction = rng.normal(size=3)
        shift = 6.0 * direction / np.linalg.norm(direction)
        distance = moved(distance, shift)
    elif spoil == "half":
        direction = rng.normal(size=3) * (1, 1, 1)
        direction /= np.linalg.norm(direction)
        middle = inside.mean(axis=1)
        distance = np.maximum(distance, np.tensordot(direction, points - middle[:, None, None, None], 1))
    return (1 / (1 + np.exp((distance / SOFTNESS_MM).clip(-30, 30)))).astype(np.float32)


def rough(shape: tuple[int, ...], sigma_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit deviation and a grain of `sigma_mm`."""
    image = sitk.GetImageFromArray(rng.normal(size=shape).astype(np.float32))
    image.SetSpacing(SPACING_MM)
    field = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, [sigma_mm] * 3))
    return field / field.std()


def moved(field: np.ndarray, shift_mm: np.ndarray) -> np.ndarray:
    """A field moved by (x, y, z) mm."""
    image = sitk.GetImageFromArray(field.astype(np.float32))
    image.SetSpacing(SPACING_MM)
    back = sitk.TranslationTransform(3, [-float(v) for v in shift_mm])
    return sitk.GetArrayFromImage(sitk.Resample(image, image, back, sitk.sitkLinear, 60.0))
