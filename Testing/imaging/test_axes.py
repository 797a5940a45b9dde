"""The same voxels counted in another order: every value stays at its place in the patient."""

import itertools

import numpy as np
from BladderAutoContourLib.imaging.axes import along_axes_of
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

sizes = st.tuples(*[st.integers(1, 5) for _ in range(3)])
spacings = st.tuples(*[st.floats(0.5, 5.0) for _ in range(3)])
turns = st.tuples(*[st.floats(-180, 180) for _ in range(3)])
orders = st.sampled_from(list(itertools.permutations(range(3))))
senses = st.tuples(*[st.sampled_from((1, -1)) for _ in range(3)])


def numbered(geometry: Geometry) -> Volume:
    """A different value in every voxel."""
    return Volume(np.arange(np.prod(geometry.size), dtype=np.float32).reshape(geometry.shape), geometry)


def rows(matrix: np.ndarray):
    return tuple(tuple(map(float, row)) for row in matrix)


def recounted(volume: Volume, order: tuple[int, int, int], sense: tuple[int, int, int]) -> Volume:
    """The volume written down voxel by voxel along its axes in another order and sense."""
    old = volume.geometry
    size = tuple(old.size[axis] for axis in order)
    array = np.empty(size[::-1], volume.array.dtype)
    for index in np.ndindex(*size):
        source = [0, 0, 0]
        for new, axis in enumerate(order):
            source[axis] = index[new] if sense[new] > 0 else size[new] - 1 - index[new]
        array[index[::-1]] = volume.array[tuple(source[::-1])]
        if index == (0, 0, 0):
            origin = tuple(map(float, old.to_patient(np.array(source))))
    spacing = tuple(old.spacing_mm[axis] for axis in order)
    return Volume(array, Geometry(size, spacing, origin, rows(np.asarray(old.direction)[:, order] * sense)))


def places(volume: Volume) -> dict[float, list[int]]:
    """Of every value its place in the patient, in hundredths of a millimetre."""
    return {
        float(value): (100 * volume.geometry.to_patient(np.array(index[::-1]))).round().astype(int).tolist()
        for index, value in np.ndenumerate(volume.array)
    }


@given(sizes, spacings, turns, orders, senses)
def test_the_voxels_come_back_in_the_order_of_the_grid(size, spacing, turn, order, sense):
    direction = rows(Rotation.from_euler("xyz", turn, degrees=True).as_matrix())
    volume = numbered(Geometry(size, spacing, (-13.0, 41.0, -803.0), direction))
    turned = recounted(volume, order, sense)
    back = along_axes_of(turned, volume.geometry)
    assert back.geometry.same_as(volume.geometry, tolerance_mm=1e-6)
    assert np.array_equal(back.array, volume.array)
    assert back.array.flags.c_contiguous


@given(sizes, turns, st.floats(0.7, 1.4))
def test_another_grid_stays_another(size, turn, factor):
    grid = Geometry(size, (1.0, 1.2, 3.0), (0.0, 0.0, 0.0))
    direction = rows(Rotation.from_euler("xyz", turn, degrees=True).as_matrix())
    other = numbered(Geometry(size, (factor, 1.2, 3.0), (7.0, 0.0, 0.0), direction))
    turned = along_axes_of(other, grid)
    assert not turned.geometry.same_as(grid)
    assert places(turned) == places(other)
