"""Structure sets of plastimatch and rt-utils: judged as dciodvfy judges them, filled as plastimatch fills them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from BladderAutoContourLib.dicom.check import check_rtstruct
from BladderAutoContourLib.dicom.ct_series import CtSeries, read_ct
from BladderAutoContourLib.dicom.decimal_string import decimal_strings
from BladderAutoContourLib.imaging.files import read_volume
from other_programs import on_grid_of, plastimatch_masks, plastimatch_structure_set, rt_utils_structure_set
from scenes import ellipsoid, grid, offsets_mm, write_series

GEOMETRY = grid((128, 112, 18), (0.9, 0.9, 3.0))
KEYWORD = re.compile(r"Element=<(\w+)>")


def _ball(centre_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    return np.linalg.norm(offsets_mm(GEOMETRY) - centre_mm, axis=-1) <= radius_mm


def _structures() -> dict[str, np.ndarray]:
    """What a pelvis holds: organs within the body, a hollow one, a pair, one of several parts."""
    hollow = _ball((-12, 14, 2), 17) & ~_ball((-12, 14, 2), 8)
    return {
        "External": ellipsoid(GEOMETRY, (54, 47, 60)),
        "Bladder": ellipsoid(GEOMETRY, (22, 17, 20)),
        "Rectum": hollow,
        "Femurs": _ball((-38, 0, 0), 9) | _ball((38, 3, 2), 10),
        "Nodes": _ball((20, -24, 9), 6) | _ball((27, -20, -6), 7) | _ball((12, 30, -9), 7),
    }


@dataclass(frozen=True)
class Made:
    """A structure set of another maker, and the CT it belongs to."""

    ct_folder: Path
    files: list[Path]
    ct: CtSeries
    path: Path
    masks: dict[str, np.ndarray]

    @property
    def image(self) -> SimpleITK.Image:
        """The CT as SimpleITK reads it."""
        return SimpleITK.ReadImage([str(file) for file in self.files])


@pytest.fixture(scope="module")
def ct_files(tmp_path_factory) -> list[Path]:
    return write_series(tmp_path_factory.mktemp("pelvis") / "ct", GEOMETRY, seed=3)


USUAL = ("FrameOfReferenceUID", "PositionReferenceIndicator")
"""dciodvfy asks for them; the standard leaves their module to the writer (PS3.3 A.19.3), and the checker notes it."""


@pytest.fixture
def by_plastimatch(judge, ct_files, tmp_path) -> Made:
    """Five structures as plastimatch writes them."""
    folder, masks = ct_files[0].parent, _structures()
    like = SimpleITK.ReadImage([str(file) for file in ct_files])
    path = plastimatch_structure_set(judge("plastimatch"), masks, like, folder, tmp_path / "by plastimatch")
    return Made(folder, ct_files, read_ct([folder]), path, masks)


@pytest.fixture
def by_rt_utils(readers, ct_files, tmp_path) -> Made:
    """The same as rt-utils writes them."""
    folder, masks = ct_files[0].parent, _structures()
    path = rt_utils_structure_set(readers, masks, folder, tmp_path / "by rt-utils.dcm")
    return Made(folder, ct_files, read_ct([folder]), path, masks)


def _errors(made: Made) -> list[str]:
    """The checker's errors. Anything else that it says must be a mere note."""
    findings = check_rtstruct(made.path, made.ct)
    assert not [finding for finding in findings if finding.severity == "warning"]
    return sorted(f"{finding.code}: {finding.sentence}" for finding in findings if finding.severity == "error")


def _keywords(said: list[str]) -> set[str]:
    """The attributes that dciodvfy's errors are about; its closing summary is about none."""
    named = [line for line in said if "invalid data values for Value Representations" not in line]
    return {"ContourData" if "Contour Data" in line else KEYWORD.search(line).group(1) for line in named}


def _repair(path: Path, ct: CtSeries, change: Callable[[pydicom.Dataset], None] = lambda _: None) -> None:
    """Add the attributes that are missing."""
    dataset = pydicom.dcmread(path)
    dataset.FrameOfReferenceUID = ct.frame_of_reference_uid
    for keyword in ("PositionReferenceIndicator", "OperatorsName", "ReferringPhysicianName", "AccessionNumber"):
        if keyword not in dataset:
            setattr(dataset, keyword, "")
    change(dataset)
    dataset.save_as(path)


def _shorten(dataset: pydicom.Dataset) -> None:
    for drawn in dataset.ROIContourSequence:
        for contour in drawn.ContourSequence:
            contour.ContourData = decimal_strings(map(float, contour.ContourData))


def test_of_plastimatch_the_checker_says_what_dciodvfy_says(by_plastimatch, dciodvfy_errors):
    made = by_plastimatch
    missing = sorted(_keywords(dciodvfy_errors(made.path)) - set(USUAL))
    assert _errors(made) == [f"missing-attribute: {keyword} is missing" for keyword in missing]
    _repair(made.path, made.ct)
    assert dciodvfy_errors(made.path) == []
    assert _errors(made) == []


def test_of_rt_utils_the_checker_says_what_dciodvfy_says(by_rt_utils, dciodvfy_errors):
    made = by_rt_utils
    keywords = _keywords(dciodvfy_errors(made.path))
    errors = _errors(made)
    missing = [f"missing-attribute: {keyword} is missing" for keyword in sorted(keywords - {"ContourData", *USUAL})]
    assert [error for error in errors if error.startswith("missing-attribute")] == missing
    others = [error for error in errors if not error.startswith("missing-attribute")]
    assert len(others) == len(made.masks)
    assert all("coordinates of more than 16 bytes" in error for error in others)
    _repair(made.path, made.ct, _shorten)
    assert dciodvfy_errors(made.path) == []
    assert _errors(made) == []


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def test_masks_and_contours_agree_with_plastimatch(program, judge, by_plastimatch, tmp_path):
    made, image = by_plastimatch, by_plastimatch.image
    theirs = plastimatch_masks(judge("plastimatch"), made.path, made.ct_folder, tmp_path / "theirs")
    done = program("masks", "--ct", made.ct_folder, "--rtstruct", made.path, "--output", tmp_path / "ours")
    assert done.code == 0, done.stderr
    assert sorted(file.stem for file in (tmp_path / "ours").iterdir()) == sorted(theirs) == sorted(made.masks)
    for name, mask in theirs.items():
        ours = read_volume(tmp_path / "ours" / f"{name}.nrrd").array > 0
        assert dice(ours, on_grid_of(mask, image)) >= 0.99, name
        assert dice(ours, made.masks[name]) >= 0.99, name
    for name in ("Rectum", "Nodes"):
        path = tmp_path / f"{name}.txt"
        assert program("contours", "--rtstruct", made.path, "--roi", name, "--output", path).code == 0
        assert dice(_filled(path), on_grid_of(theirs[name], image)) >= 0.99, name


def _filled(path: Path) -> np.ndarray:
    """The text of `contours` as a mask: outer rings filled, inner ones emptied, edge by edge at pixel centres."""
    mask = np.zeros(GEOMETRY.shape, bool)
    y, x = np.indices(GEOMETRY.shape[1:])
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if not line.startswith(("outer", "inner")):
            continue
        kind, count = line.split()
        ring = GEOMETRY.to_index(np.array([next(lines).split() for _ in range(int(count))], float))
        inside = np.zeros(GEOMETRY.shape[1:], bool)
        for (x1, y1), (x2, y2) in zip(ring[:, :2], np.roll(ring[:, :2], -1, axis=0), strict=True):
            if y1 != y2:
                inside ^= ((y1 <= y) != (y2 <= y)) & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
        z = round(ring[:, 2].mean())
        mask[z] = mask[z] & ~inside if kind == "inner" else mask[z] | inside
    return mask
