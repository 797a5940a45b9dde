"""When there is a contour, which part it keeps, and that probability and mask never disagree."""

import numpy as np
import pytest
from BladderAutoContourLib.errors import NoBladderError
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.networks.plan import DecisionPlan, DoubtPlan, Plan, StagePlan
from BladderAutoContourLib.pipeline.decide import agree, calibrated, decide, single_solid_part
from BladderAutoContourLib.pipeline.doubt import FEATURES, SliceFeatures, doubts, slice_features
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

GRID = Geometry((40, 40, 20), (2.0, 2.0, 3.0))
fields = hnp.arrays(
    np.float32,
    st.tuples(*[st.integers(2, 6) for _ in range(3)]),
    elements=st.sampled_from([np.float32(v) for v in (0, 0.2, 0.49999997, 0.5, 0.7, 1)]),
)


def block(*parts: tuple[slice, slice, slice, float]) -> Volume:
    array = np.full(GRID.shape, 0.02, np.float32)
    for z, y, x, value in parts:
        array[z, y, x] = value
    return Volume(array, GRID)


LARGE = (slice(4, 14), slice(5, 25), slice(5, 25), 0.9)


@given(fields)
def test_after_agreeing_probability_is_the_mask_exactly(field: np.ndarray) -> None:
    mask = single_solid_part(field)
    before = field.copy()
    agree(field, mask)
    np.testing.assert_array_equal(field >= np.float32(0.5), mask)
    untouched = (before >= np.float32(0.5)) == mask
    np.testing.assert_array_equal(field[untouched], before[untouched])
    assert field.min() >= 0
    assert field.max() <= 1


def test_one_part_is_kept_and_its_holes_are_closed() -> None:
    field = block(
        LARGE, (slice(8, 10), slice(12, 15), slice(12, 15), 0.1), (slice(2, 5), slice(32, 38), slice(32, 38), 1.0)
    )
    decision = decide(field, 0.95, DecisionPlan())
    assert decision.mask.array.sum() == 10 * 20 * 20
    assert decision.volume_ml == pytest.approx(10 * 20 * 20 * 12 / 1000)
    assert decision.mask.array[9, 13, 13] == 1
    assert decision.mask.array[3, 34, 34] == 0
    assert decision.probability.array[9, 13, 13] == pytest.approx(0.9)
    np.testing.assert_array_equal(decision.probability.array >= 0.5, decision.mask.array == 1)


def test_hole_open_only_along_the_slice_axis_is_closed() -> None:
    field = block(LARGE, (slice(4, 14), slice(12, 15), slice(12, 15), 0.0))
    assert decide(field, 0.95, DecisionPlan()).mask.array.sum() == 10 * 20 * 20


def test_specks_at_the_ends_are_not_drawn() -> None:
    # of pixels of 4 mm2, six are a speck and seven a slice
    speck, slight = (slice(12, 14), slice(10, 13), 0.8), (slice(12, 13), slice(10, 17), 0.8)
    waist, above = (slice(14, 15), *speck), (slice(15, 17), slice(5, 25), slice(5, 25), 0.9)
    field = block((slice(2, 4), *speck), LARGE, waist, above, (slice(17, 18), *slight), (slice(18, 19), *speck))
    decision = decide(field, 0.95, DecisionPlan())
    assert np.flatnonzero(decision.mask.array.any(axis=(1, 2))).tolist() == list(range(4, 18))
    assert [np.count_nonzero(decision.mask.array[z]) for z in (14, 17)] == [6, 7]
    np.testing.assert_array_equal(decision.probability.array >= 0.5, decision.mask.array == 1)


@pytest.mark.parametrize(
    ("field", "evidence", "words"),
    [
        (block(), 0.0, "No bladder was found in this CT"),
        (block((slice(4, 7), slice(4, 8), slice(4, 8), 0.9)), 0.99, "mL"),
        (block(LARGE), 0.45, "enough certainty"),
    ],
)
def test_no_contour_rather_than_a_wrong_one(field: Volume, evidence: float, words: str) -> None:
    with pytest.raises(NoBladderError, match=words) as caught:
        decide(field, evidence, DecisionPlan(minimum_confidence=0.5, minimum_volume_ml=8.0))
    assert caught.value.code == 4
    assert caught.value.confidence == pytest.approx(evidence if field.array.any() else 0.0)  # uncalibrated plan


@pytest.mark.parametrize(
    ("slices", "voxels", "evidence", "words"),
    [
        (10, 23, 0.99, r"holds only 2\.7 mL \(less than 3 mL\)"),  # 2.76 mL
        (13, 19, 0.99, r"holds only 2\.9 mL \(less than 3 mL\)"),  # 2.964 mL
        (10, 40, 0.498, r"confidence 0\.49, at least 0\.50 is needed"),
    ],
)
def test_what_is_too_little_is_not_rounded_to_enough(slices: int, voxels: int, evidence: float, words: str) -> None:
    field = block((slice(2, 2 + slices), slice(0, 1), slice(0, voxels), 0.9))
    with pytest.raises(NoBladderError, match=words):
        decide(field, evidence, DecisionPlan(minimum_confidence=0.5, minimum_volume_ml=3.0))


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.1, 5), st.floats(-4, 4))
def test_calibration_keeps_the_order_and_stays_a_probability(first, second, slope, offset) -> None:
    plan = DecisionPlan(calibration_slope=slope, calibration_offset=offset)
    low, high = sorted((calibrated(first, plan), calibrated(second, plan)))
    assert 0 < low <= high < 1
    assert (calibrated(first, plan) <= calibrated(second, plan)) == (first <= second) or low == pytest.approx(high)


def test_calibration_of_ones_and_zeros() -> None:
    assert calibrated(0.5, DecisionPlan()) == pytest.approx(0.5)
    assert calibrated(0.7, DecisionPlan()) == pytest.approx(0.7)
    assert calibrated(0.0, DecisionPlan()) == 0.0
    assert 0.99 < calibrated(1.0, DecisionPlan()) < 1.0


def features_of(probability: Volume, hu: np.ndarray | None = None) -> SliceFeatures:
    """Of the contour at 0.5, in a CT of `hu` (0 everywhere unless given)."""
    grid = probability.geometry
    ct = Volume(np.zeros(grid.shape, np.int16) if hu is None else hu.astype(np.int16), grid)
    return slice_features(ct, probability, Volume((probability.array >= 0.5).astype(np.uint8), grid), evidence=0.9)


@pytest.mark.parametrize("ramp_mm", [4.0, 10.0, 20.0])
def test_isoline_distance_is_measured_in_millimetres(ramp_mm: float) -> None:
    # a cylinder whose probability falls from 1 to 0 over ramp_mm: 0.3 and 0.7 lie 0.4 of that apart
    grid = Geometry((200, 160, 4), (0.6, 0.75, 3.0))
    y, x = np.indices((160, 200))
    radius = np.hypot((x - 100) * 0.6, (y - 80) * 0.75)
    field = np.clip((30 - radius) / ramp_mm + 0.5, 0, 1).astype(np.float32)
    array = np.zeros(grid.shape, np.float32)
    array[1:3] = field
    volume = Volume(array, grid)
    features = features_of(volume)
    assert features.first_slice == 1
    assert features.column("isoline_mm") == pytest.approx([0.4 * ramp_mm] * 2, rel=0.08)
    for name in ("outward_mm", "inward_mm"):
        assert features.column(name) == pytest.approx([0.2 * ramp_mm] * 2, abs=0.8)
    for name in ("weak_outward_mm", "strong_inward_mm"):
        assert features.column(name) == pytest.approx([0.4 * ramp_mm] * 2, abs=0.8)
    assert features.column("area_mm2") == pytest.approx([np.pi * 30**2] * 2, rel=0.01)
    assert features.column("crf_shift_mm") == features.column("neighbour_shift_mm") == (0.0, 0.0)


def test_a_weak_horn_that_the_contour_leaves_out_makes_its_slice_the_most_doubtful() -> None:
    grid = Geometry((100, 100, 3), (1.0, 1.0, 3.0))
    y, x = np.indices((100, 100))
    array = np.tile((np.hypot(x - 50, y - 50) < 20) * np.float32(0.97), (3, 1, 1))
    array[1, 46:54, 70:84] = 0.25  # 14 mm beyond the contour, and far below 0.5
    features = features_of(Volume(array, grid))
    assert features.column("weak_outward_mm") == pytest.approx([0, 14, 0], abs=1.1)
    plan = DoubtPlan(weights={"weak_outward_mm": 2.0}, offset=-3.0)
    first, horn, last = doubts(features, plan)
    assert horn > 0.8 > 0.1 > first == last


def test_the_ct_tells_where_there_is_no_edge_under_the_contour() -> None:
    # water in fat, but where x > 55 it goes on in water: 40 of 160 mm of a square's outline, in the middle slice alone
    grid = Geometry((100, 100, 3), (1.0, 1.0, 3.0))
    array, hu = np.zeros(grid.shape, np.float32), np.full(grid.shape, -100.0)
    array[:, 30:70, 30:70] = 1.0
    hu[array > 0] = 10.0
    hu[1, :, 55:] = 10.0
    hu[1, :30, 55:] = hu[1, 70:, 55:] = -100.0
    hu += np.random.default_rng(0).normal(0, 5, hu.shape)
    assert features_of(Volume(array, grid), hu).column("faint_share") == pytest.approx([0, 0.25, 0], abs=0.03)


@pytest.mark.parametrize("width_mm", [6, 30])
def test_a_dent_is_what_a_small_disc_cannot_enter(width_mm: int) -> None:
    # a notch into a square: a narrow one counts whole, of a wide one its corners alone
    grid = Geometry((100, 100, 3), (1.0, 1.0, 3.0))
    array = np.zeros(grid.shape, np.float32)
    array[:, 25:75, 25:75] = 1.0
    array[1, 25:45, 50 - width_mm // 2 : 50 + width_mm // 2] = 0.0
    plain, dented, _ = features_of(Volume(array, grid)).column("dent_mm")
    length_mm = (4 * 50 + 2 * 20) * np.pi / 4
    corners_mm2 = 2 * (1 - np.pi / 4) * 8**2
    assert plain == pytest.approx(0, abs=0.02)
    assert dented == pytest.approx((6 * 20 if width_mm == 6 else corners_mm2) / length_mm, abs=0.12)


def test_weights_of_older_and_newer_files_load_and_count_by_name() -> None:
    weights = {"isoline_mm": 2.0, "a feature of tomorrow": 5.0}
    plan = Plan(
        "older", StagePlan((3.0,) * 3, (16,) * 3), StagePlan((3.0,) * 3, (16,) * 3), doubt=DoubtPlan(weights, 1.0)
    )
    read = Plan.from_json(plan.to_json()).doubt
    assert read.weights == weights
    values = np.full((1, len(FEATURES)), 7.0)
    assert doubts(SliceFeatures(0, values), read) == pytest.approx([1 / (1 + np.exp(-1.0 - 2 * np.log(8)))])


def test_doubt_is_the_plans_logistic_curve() -> None:
    values = np.zeros((2, len(FEATURES)))
    values[1, FEATURES.index("isoline_mm")] = np.e - 1
    found = doubts(SliceFeatures(4, values), DoubtPlan(weights={"isoline_mm": 2.0}, offset=-1.0))
    assert found == pytest.approx([1 / (1 + np.e), 1 / (1 + 1 / np.e)])
