"""One patient, stored in many ways, is contoured at one place."""

from dataclasses import dataclass

import numpy as np
import pytest
from analytic import Body, ct_of, density_networks, points_of, scan_grid
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.phantom.case import draw_case
from BladderAutoContourLib.phantom.fields import draw_scan
from BladderAutoContourLib.phantom.render import render
from BladderAutoContourLib.pipeline.engine import Engine
from storages import STORAGES, mask_on_grid

SEED = 8


@dataclass(frozen=True)
class Patient:
    """A CT, its true bladder, the contour of the original, and who made it."""

    ct: Volume
    truth: Volume
    contour: Volume
    engine: Engine


def silent(step: str, fraction: float) -> None:
    pass


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero((one > 0) & (other > 0)) / (np.count_nonzero(one) + np.count_nonzero(other))


def patient(ct: Volume, truth: Volume, engine: Engine) -> Patient:
    contour = engine.contour(ct, silent).mask
    assert overlap(contour.array, truth.array) > 0.8, "the original itself is not contoured well"
    return Patient(ct, truth, contour, engine)


@pytest.fixture(scope="module")
def body() -> Patient:
    """The analytic body, seen by networks that were set by hand."""
    body = Body()
    grid = scan_grid(size=(128, 96, 60), spacing_mm=(3.0, 3.0, 3.0))
    truth = Volume((body.bladder(points_of(grid)) >= 0.5).astype(np.uint8), grid)
    return patient(ct_of(body, grid), truth, Engine(density_networks(), "cpu"))


@pytest.fixture(scope="module")
def generated() -> Patient:
    """A generated pelvis, seen by the weights that we ship."""
    case = draw_case(SEED, stratum="large")
    scan = draw_scan(case, "pelvis", (2.0, 2.0, 3.0), np.random.default_rng([SEED, 1]))
    rendered = render(case, scan.geometry)
    truth = Volume((rendered.bladder.numpy() >= 0.5).astype(np.uint8), scan.geometry)
    assert truth.array.sum() * scan.geometry.voxel_ml >= 150
    ct = Volume(rendered.stored_hu(), scan.geometry)
    return patient(ct, truth, Engine.load(None, "cpu"))


AT_WORK = ("feet first", "oblique by 12 degrees", "cropped around", "1.2 x 1.2 x 5 mm")
"""The shipped weights take longer; Benchmarks/same_patient.py judges them by all ways."""


@pytest.mark.parametrize(("who", "name"), [("body", name) for name in STORAGES] + [("generated", n) for n in AT_WORK])
def test_contours_agree_in_patient_space(who, name, request, tmp_path):
    patient: Patient = request.getfixturevalue(who)
    stored = STORAGES[name](patient.ct, patient.truth, tmp_path / "stored")
    found = patient.engine.contour(stored, silent).mask
    back = mask_on_grid(found, patient.ct.geometry)
    assert overlap(back.array, patient.contour.array) >= 0.93
