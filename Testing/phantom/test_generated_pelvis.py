"""The generated pelvis: the same patient on every grid, a label to the outer wall, families that stay apart."""

import dataclasses
import hashlib
import math

import numpy as np
import pytest
import torch
from BladderAutoContourLib.imaging.geometry import Geometry, patient_grid
from BladderAutoContourLib.phantom import render as renderer
from BladderAutoContourLib.phantom.case import STRATA, Case, draw_case
from BladderAutoContourLib.phantom.fields import EXTENTS, WITHOUT_BLADDER, draw_scan
from BladderAutoContourLib.phantom.render import Rendered, bladder_centre_mm, canonical_to_patient, render
from BladderAutoContourLib.phantom.shapes import Blade, Ellipsoid, Sleeve, Tube
from BladderAutoContourLib.phantom.test_set import COUNT, COUNT_WITHOUT, OFF_CENTRE_MM, with_bladder, without_bladder
from BladderAutoContourLib.phantom.test_set import STRATA as TEST_STRATA

HELD_OUT_SHAPES = {"pear", "box", "twin"}


def grid_around(seed: int, spacing: tuple[float, float, float], size: tuple[int, int, int], **case) -> Geometry:
    return patient_grid(bladder_centre_mm(draw_case(seed, **case)), spacing, size)


def volume_ml(label: torch.Tensor, geometry: Geometry) -> float:
    return float(label.sum()) * geometry.voxel_ml


def test_a_seed_gives_the_same_voxels_every_time() -> None:
    grid = grid_around(3, (4, 4, 4), (48, 48, 32))
    first, second = (render(draw_case(3), grid) for _ in range(2))
    assert torch.equal(first.hu, second.hu)
    assert torch.equal(first.bladder, second.bladder)
    other = render(draw_case(4), grid)
    assert not torch.equal(first.hu, other.hu)


def test_volume_does_not_depend_on_the_grid() -> None:
    fine, coarse = grid_around(5, (2.5, 2.5, 2.5), (90, 90, 90)), grid_around(5, (3, 3, 5), (75, 75, 45))
    volumes = [volume_ml(render(draw_case(5), grid).bladder, grid) for grid in (fine, coarse)]
    assert volumes[0] > 15
    assert volumes[1] == pytest.approx(volumes[0], rel=0.02)


def test_an_oblique_grid_sees_the_same_patient() -> None:
    case = draw_case(5)
    upright = grid_around(5, (3, 3, 3), (75, 75, 75))
    c, s = math.cos(math.radians(12)), math.sin(math.radians(12))
    turned = Geometry((75, 75, 75), (3, 3, 3), (0, 0, 0), ((c, -s, 0), (s, c, 0), (0, 0, 1)))
    shift = upright.centre_mm - turned.centre_mm
    turned = Geometry(turned.size, turned.spacing_mm, tuple(map(float, shift)), turned.direction)
    centroids = []
    for grid in (upright, turned):
        label = render(case, grid).bladder.numpy()
        z, y, x = (np.average(np.indices(label.shape)[axis], weights=label) for axis in range(3))
        centroids.append(grid.to_patient(np.array([x, y, z])))
    assert np.linalg.norm(centroids[0] - centroids[1]) < 0.7


def test_the_label_holds_wall_and_lumen_and_nothing_of_the_fat_around() -> None:
    case = draw_case(11, stratum="large")
    grid = grid_around(11, (3, 3, 3), (64, 64, 64), stratum="large")
    rendered = render(case, grid)
    inside = rendered.hu[rendered.bladder > 0.99]
    assert case.contents.urine_hu - 12 < float(inside.median()) < case.contents.wall_hu + case.contents.contrast_hu + 12
    assert float((inside < -60).float().mean()) < 0.02 + case.contents.gas


def test_without_a_bladder_there_is_no_label_but_a_pelvis() -> None:
    grid = grid_around(8, (4, 4, 4), (64, 64, 48))
    rendered = render(draw_case(8), grid, with_bladder=False)
    assert float(rendered.bladder.max()) == 0
    assert float(rendered.hu.max()) > 300


@pytest.mark.parametrize("kind", WITHOUT_BLADDER)
def test_bladder_free_fields_hold_no_bladder(kind: str) -> None:
    for seed in (900, 901, 902):
        case = draw_case(seed, "held-out")
        scan = draw_scan(case, kind, (6, 6, 6), np.random.default_rng(seed))
        assert float(render(case, scan.geometry).bladder.max()) == 0, f"{kind}, seed {seed}"


def test_families_do_not_share_shapes_or_scanners() -> None:
    training = [draw_case(seed) for seed in range(300)]
    held_out = [draw_case(seed, "held-out") for seed in range(300)]
    assert {case.bladder.kind for case in held_out} == HELD_OUT_SHAPES
    assert not HELD_OUT_SHAPES & {case.bladder.kind for case in training}
    assert max(case.scanner.blur_mm for case in training) < min(case.scanner.blur_mm for case in held_out)
    assert max(case.scanner.noise_grain_mm for case in training) < min(c.scanner.noise_grain_mm for c in held_out)
    assert max(case.habitus.warp_mm for case in training) < min(case.habitus.warp_mm for case in held_out)
    for side in ("fat_front", "fat_side", "fat_back"):
        drawn, others = ([getattr(case.habitus, side) for case in family] for family in (training, held_out))
        assert not [thick for thick in others if min(drawn) <= thick <= max(drawn)]


@pytest.mark.parametrize("stratum", STRATA)
def test_a_stratum_has_its_property(stratum: str) -> None:
    case = draw_case(21, stratum=stratum)
    limits = {"small": (10, 75), "medium": (45, 190), "large": (110, 500), "very-large": (300, 1000)}
    if stratum in limits:
        # at the patient's own scale; lobes and indentations change the drawn volume somewhat
        grid = grid_around(21, (4, 4, 4), (72, 72, 72), stratum=stratum)
        low, high = limits[stratum]
        assert low < volume_ml(render(case, grid).bladder, grid) < high
    elif stratum == "contrast":
        assert case.contents.contrast_hu >= 60
    elif stratum == "catheter":
        assert case.contents.balloon_radius > 0
    elif stratum == "gas":
        assert case.contents.gas > 0
    elif stratum == "metal":
        grid = grid_around(21, (4, 4, 4), (64, 64, 48), stratum=stratum)
        assert float(render(case, grid).hu.max()) > 2000
    elif stratum == "rotated":
        assert abs(case.habitus.tilt_degrees[2]) >= 15
    else:
        assert case.fluid_bowel


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="stratum"):
        draw_case(1, stratum="enormous")
    with pytest.raises(ValueError, match="family"):
        draw_case(1, "validation")


@pytest.mark.parametrize("seed", range(2))
def test_large_grids_painted_in_slabs_show_the_same_patient(seed: int) -> None:
    case = draw_case(seed)
    quiet = dataclasses.replace(case.scanner, noise_hu=0.0, blur_mm=0.0, sharpening=0.0, streak_hu=15.0)
    case = dataclasses.replace(case, scanner=quiet)
    # from the thighs to the chest: slabs that hold nothing of the bladder, the cavity or a loop of bowel
    grid = patient_grid(canonical_to_patient(case, np.array([0.0, 0.0, 160.0])), (8, 8, 8), (48, 48, 88))
    whole, slabs = render(case, grid), render(case, grid, slab_voxels=48 * 48 * 24)
    assert float((whole.bladder - slabs.bladder).abs().max()) < 1e-3
    # a voxel at the edge of a strand or of a grain falls to one side or the other by rounding
    assert float(((whole.hu - slabs.hu).abs() > 0.5).float().mean()) < 1e-4


def test_what_is_rendered_lies_on_the_device_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # "meta" stands in for a graphics card: it holds no numbers, of which painting asks for some
    def paint(case: Case, part: Geometry, device: torch.device | str, *_: object) -> Rendered:
        return Rendered(*(torch.zeros(part.shape, device=device) for _ in range(2)))

    monkeypatch.setattr(renderer, "_render_slab", paint)
    grid = grid_around(6, (4, 4, 4), (48, 48, 48))
    for slab_voxels in (48**3, 48 * 48 * 12):
        rendered = render(draw_case(6), grid, "meta", slab_voxels=slab_voxels)
        assert [part.device.type for part in (rendered.hu, rendered.bladder)] == ["meta", "meta"]
        assert rendered.hu.shape == grid.shape


def test_a_cut_case_ends_within_the_bladder() -> None:
    tests = [test for test in with_bladder(40) if test.stratum == "cut"]
    assert len(tests) == 4
    for test in tests:
        area = render(test.case, test.scan.geometry).bladder.sum(dim=(1, 2))
        assert max(float(area[0]), float(area[-1])) > 0.2 * float(area.max())


def test_the_test_set_is_what_was_frozen() -> None:
    positives, negatives = with_bladder(), without_bladder()
    assert (len(positives), len(negatives)) == (COUNT, COUNT_WITHOUT)
    far = [
        test
        for test in positives
        if np.abs(bladder_centre_mm(test.case) - test.scan.geometry.centre_mm).max() >= OFF_CENTRE_MM
        and test.scan.kind != "pelvis"
    ]
    assert len(far) >= COUNT // 4
    assert {test.stratum for test in positives} == set(TEST_STRATA)
    assert {test.scan.kind for test in negatives} == set(WITHOUT_BLADDER)
    assert all(test.case.family == "held-out" for test in positives + negatives)
    text = repr([(test.name, test.case, test.scan) for test in positives + negatives])
    assert hashlib.sha256(text.encode()).hexdigest() == FROZEN, "a change of the priors needs a new generator version"


FROZEN = "35d1f1d6d591f81ad0e0cc356c82642c1262fffded5fed104e05eb54bf2943bb"


@pytest.mark.parametrize(
    "shape",
    [
        Ellipsoid((5, -3, 2), (20, 12, 9), (20, 30, 10)),
        Ellipsoid((0, 0, 0), (20, 12, 9), (20, 30, 10), exponent=4.0),
        Tube(((0, 0, 0), (20, 5, 10), (30, 30, 30)), (6, 4, 8)),
        Blade(((30, -10, 0), (20, 20, 5)), ((50, -20, 40), (25, 30, 45)), 5, 8, 1),
        Sleeve((-30, 0, 40), (20, 30, 25), (-15, -20, -10), (20, 25, 15)),
    ],
    ids=lambda shape: type(shape).__name__,
)
def test_bounds_hold_the_whole_shape(shape) -> None:
    axis = torch.arange(-90.0, 91.0, 3.0)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    inside = shape.distance(x, y, z) < 0
    assert inside.any()
    low, high = shape.bounds()
    for k, coordinate in enumerate((x, y, z)):
        assert float(coordinate[inside].min()) >= low[k] - 1e-3
        assert float(coordinate[inside].max()) <= high[k] + 1e-3


def test_every_field_reaches_where_it_says() -> None:
    case = draw_case(2)
    for kind, ((low, _), (_, high)) in EXTENTS.items():
        scan = draw_scan(case, kind, (4, 4, 5), np.random.default_rng(0))
        assert 0 < scan.geometry.size[2] * 5 <= (high - low) + 5
