"""Where voxels lie in the patient. The one room in which geometry is computed; numpy alone.

Coordinates are DICOM's: LPS, millimetres. Index order is (x, y, z) in every function here; arrays are (z, y, x).
"""

from dataclasses import dataclass

import numpy as np

Triple = tuple[float, float, float]
Matrix = tuple[Triple, Triple, Triple]
IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
HALF_VOXEL_TOLERANCE = 1e-6  # voxels; a point on the outer face of the source counts as covered


@dataclass(frozen=True)
class Geometry:
    """A regular voxel grid in patient space.

    size: voxels along (x, y, z). spacing_mm: (x, y, z). origin_mm: LPS centre of voxel (0, 0, 0).
    direction: 3x3 rows; its columns are the unit vectors of the x, y and z index axes in LPS (SimpleITK's convention).
    """

    size: tuple[int, int, int]
    spacing_mm: Triple
    origin_mm: Triple = (0.0, 0.0, 0.0)
    direction: Matrix = IDENTITY

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape (z, y, x)."""
        return self.size[2], self.size[1], self.size[0]

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    @property
    def pixel_mm2(self) -> float:
        """Area of one voxel within its slice in square millimetres."""
        return self.spacing_mm[0] * self.spacing_mm[1]

    @property
    def matrix(self) -> np.ndarray:
        """4x4 matrix from index (x, y, z, 1) to LPS millimetres."""
        affine = np.eye(4)
        affine[:3, :3] = np.asarray(self.direction) * np.asarray(self.spacing_mm)
        affine[:3, 3] = self.origin_mm
        return affine

    @property
    def longitudinal_axis(self) -> int:
        """The index axis (0 to 2 of x, y, z) that runs most along the patient; in an array (z, y, x), 2 minus it."""
        return int(np.abs(self.matrix[2, :3]).argmax())

    def to_patient(self, index: np.ndarray) -> np.ndarray:
        """LPS millimetres (..., 3) of continuous indices (..., 3) in (x, y, z) order."""
        index = np.asarray(index, dtype=float)
        return index @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def to_index(self, point_mm: np.ndarray) -> np.ndarray:
        """Continuous indices (..., 3) in (x, y, z) order of LPS millimetres (..., 3)."""
        point_mm = np.asarray(point_mm, dtype=float)
        return (point_mm - self.matrix[:3, 3]) @ np.linalg.inv(self.matrix[:3, :3]).T

    @property
    def centre_mm(self) -> np.ndarray:
        """LPS centre of the whole grid."""
        return self.to_patient((np.asarray(self.size) - 1) / 2)

    def corners_mm(self) -> np.ndarray:
        """(8, 3) LPS positions of the outer corners (voxel edges, not centres)."""
        ends = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in self.size], indexing="ij")).reshape(3, -1).T
        return self.to_patient(ends)

    def bounds_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper LPS corner of the axis-aligned box around the grid."""
        corners = self.corners_mm()
        return corners.min(axis=0), corners.max(axis=0)

    def region(self, start: tuple[int, int, int], size: tuple[int, int, int]) -> "Geometry":
        """The sub-grid of `size` voxels that begins at index `start`, both (x, y, z)."""
        origin = self.to_patient(np.asarray(start, dtype=float))
        return Geometry(tuple(int(n) for n in size), self.spacing_mm, tuple(map(float, origin)), self.direction)

    def same_as(self, other: "Geometry", tolerance_mm: float = 1e-2) -> bool:
        """Whether both grids have equal size and put every voxel within `tolerance_mm` of the same place."""
        if self.size != other.size:
            return False
        return bool(np.abs(self.corners_mm() - other.corners_mm()).max() <= tolerance_mm)


def patient_grid(centre_mm: np.ndarray, spacing_mm: Triple, size: tuple[int, int, int]) -> Geometry:
    """An axis-aligned LPS grid of `size` voxels (x, y, z) around `centre_mm`: what the networks see."""
    spacing = np.asarray(spacing_mm, dtype=float)
    origin = np.asarray(centre_mm, dtype=float) - spacing * (np.asarray(size) - 1) / 2
    return Geometry(tuple(int(n) for n in size), tuple(map(float, spacing)), tuple(map(float, origin)))


def coverage(source: Geometry, target: Geometry) -> np.ndarray:
    """Boolean (z, y, x) array on `target`: whether each voxel's centre lies inside the source's voxels."""
    to_source = np.linalg.inv(source.matrix) @ target.matrix
    x, y, z = (np.arange(n) for n in target.size)
    inside = np.ones(target.shape, dtype=bool)
    for axis in range(3):
        along_x, along_y, along_z, offset = to_source[axis]
        index = (along_z * z)[:, None, None] + (along_y * y)[None, :, None] + (along_x * x + offset)[None, None, :]
        inside &= index >= -0.5 - HALF_VOXEL_TOLERANCE
        inside &= index <= source.size[axis] - 0.5 + HALF_VOXEL_TOLERANCE
    return inside
