"""The sheet shows the worst cases, worst first, on the slice where the masks differ most."""

import numpy as np
import pytest
from BladderAutoContourLib.evaluation.worst_cases import REFERENCE, TITLE_PX, WorstCases
from BladderAutoContourLib.pipeline.preview import AXIAL_PX, CONTOUR, GAP_PX
from small_engine import water_scene

STRIP_PX = TITLE_PX + AXIAL_PX + GAP_PX


def tile(sheet: np.ndarray, strip: int, place: int) -> np.ndarray:
    """A picture of the sheet, below its lettering."""
    part = sheet[strip * STRIP_PX + TITLE_PX :, place * (AXIAL_PX + GAP_PX) :]
    return part[40 : AXIAL_PX - 40, 20 : AXIAL_PX - 20]


def drawn(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(picture.astype(int) - np.array(colour)).max(axis=-1) < 60


@pytest.fixture(scope="module")
def scene():
    return water_scene()


def test_only_the_worst_are_kept_and_the_worst_is_first(scene):
    ct, bladder = scene
    worst = WorstCases(shown=2)
    half, nothing = bladder.copy(), np.zeros_like(bladder)
    half[:, :, : half.shape[2] // 2] = False
    for name, dice, result in (("good", 1.0, bladder), ("missed", 0.0, nothing), ("half", 0.6, half)):
        worst.see(name, dice, ct, bladder, result)
    sheet = worst.sheet()
    assert sheet.shape == (2 * STRIP_PX, 3 * (AXIAL_PX + GAP_PX) - GAP_PX, 3)
    whole = drawn(tile(sheet, 0, 1), REFERENCE)
    assert whole.any()
    assert not drawn(tile(sheet, 0, 2), CONTOUR).any()  # missed: nothing to show
    ours = drawn(tile(sheet, 1, 2), CONTOUR)
    assert np.ptp(np.nonzero(ours)[1]) < 0.75 * np.ptp(np.nonzero(whole)[1])
    for strip in (0, 1):
        assert not (drawn(tile(sheet, strip, 0), CONTOUR) | drawn(tile(sheet, strip, 0), REFERENCE)).any()


def test_the_contours_lie_on_the_organ(scene):
    ct, bladder = scene
    worst = WorstCases()
    worst.see("one", 1.0, ct, bladder, bladder)
    reference, result = (tile(worst.sheet(), 0, place) for place in (1, 2))
    for picture, colour in ((reference, REFERENCE), (result, CONTOUR)):
        rows, columns = np.nonzero(drawn(picture, colour))
        assert (rows.min() + rows.max()) / 2 == pytest.approx(picture.shape[0] / 2, abs=4)
        assert (columns.min() + columns.max()) / 2 == pytest.approx(picture.shape[1] / 2, abs=4)


def test_the_slice_that_differs_is_shown(scene):
    ct, bladder = scene
    number = int(np.flatnonzero(bladder.any(axis=(1, 2)))[3])
    without = bladder.copy()
    without[number] = False
    worst = WorstCases()
    worst.see("gap", 0.95, ct, bladder, without)
    assert drawn(tile(worst.sheet(), 0, 1), REFERENCE).any()
    assert not drawn(tile(worst.sheet(), 0, 2), CONTOUR).any()


def test_no_case_is_no_sheet():
    assert WorstCases().sheet() is None
