"""The CRF-RNN's finer grid covers the CNN's field, and logits keep their place on it."""

import pytest
import torch
from BladderAutoContourLib.networks.finer import finer_grid, on_grid


@pytest.mark.parametrize(
    ("size", "spacing_mm", "finer_mm"),
    [((80, 80, 64), (3.0, 3.0, 3.0), (2.0, 2.0, 3.0)), ((48, 32, 16), (4.0, 4.0, 5.0), (1.7, 3.0, 3.0))],
)
def test_the_finer_grid_has_the_same_outer_faces(size, spacing_mm, finer_mm) -> None:
    finer, steps_mm = finer_grid(size, spacing_mm, finer_mm)
    for axis in range(3):
        assert finer[axis] * steps_mm[axis] == pytest.approx(size[axis] * spacing_mm[axis])
        assert steps_mm[axis] == pytest.approx(finer_mm[axis], rel=0.05)
    assert finer_grid(size, spacing_mm, None) == (size, spacing_mm)


def test_a_linear_field_keeps_its_place() -> None:
    z, y, x = torch.meshgrid(*(torch.arange(n) + 0.5 for n in (6, 8, 10)), indexing="ij")
    field = (2 * x * 3.0 - y * 3.0 + z * 3.0)[None, None]  # at 3 mm; positions from the outer face
    shape = (6, 12, 15)  # 3 x 2 x 2 mm
    z, y, x = torch.meshgrid(*(torch.arange(n) + 0.5 for n in shape), indexing="ij")
    expected = 2 * x * 2.0 - y * 2.0 + z * 3.0
    inner = (0, 0, slice(None), slice(1, -1), slice(1, -1))  # the outermost half voxel has nothing beyond it
    assert torch.allclose(on_grid(field, shape)[inner], expected[inner[2:]], atol=1e-4)
    assert on_grid(field, (6, 8, 10)) is field
