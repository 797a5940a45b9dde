"""Contours of a structure set, one by one: their numbers, their plane, their place on the CT."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from .ct_series import CtSeries
from .findings import Finding, Severity, name_files
from .rasterise import OFF_PLANE_MM, outline, roi_mask
from .structure_reader import CLOSED, Contour, Roi, StructureSet

MARGIN_PIXELS = np.array([1.5, 1.5, 0.5])
"""How far beyond the outermost pixel centres (x, y, z) a contour may lie: half a pixel is the image's edge, and drawing
goes a pixel beyond it."""
SMALLEST_AREA_MM2 = 1e-6
LONGEST_DS = 16
BLOCK = 8
OF_SLICES = ("slices-without-contours", "empty-slices", "crossing-contours")
"""What filling the contours shows of a structure as a whole; the rest is said of each contour here."""

SEVERITY: dict[str, tuple[Severity, str]] = {
    "contour-data": ("error", "{}"),
    "long-value": ("error", "have coordinates of more than 16 bytes"),
    "point-count": ("error", "declare another number of points than they have"),
    "few-points": ("error", "have fewer than 3 points"),
    "no-reference": ("warning", "do not say on which image they lie"),
    "no-frame": ("warning", "refer to a multi-frame file without naming the frame"),
    "non-planar": ("error", "do not lie in one plane"),
    "oblique": ("warning", "are not parallel to the slices"),
    "off-plane": ("error", "do not lie in the plane of the image they refer to"),
    "between-slices": ("warning", "lie between the slices of the CT"),
    "outside-image": ("error", "lie outside the CT"),
    "zero-area": ("warning", "enclose no area"),
    "repeated-point": ("note", "repeat a point (the first at the end, or one after the other)"),
    "self-intersection": ("warning", "cross themselves"),
    "duplicate-contour": ("error", "are copies of another: some readers would see neither"),
    "xor-type": ("warning", "are of type CLOSEDPLANAR_XOR, which several readers drop"),
}


def contour_findings(structures: StructureSet, ct: CtSeries | None) -> list[Finding]:
    """One finding a structure and kind of fault, with the number of contours concerned and the first of them; with a
    CT, also what the contours of a slice are together."""
    findings = []
    ct_grid = None if ct is None else _Grid(ct)
    for roi in structures.rois:
        # Coordinates in another frame of reference say nothing of the place on this CT.
        grid = None if ct_grid is None or roi.lies_elsewhere(ct_grid.frame_uid) else ct_grid
        count: Counter[tuple[str, str]] = Counter()
        first: dict[tuple[str, str], int] = {}
        for nth, faults in enumerate(_roi_faults(roi, grid), start=1):
            for fault in faults:
                count[fault] += 1
                first.setdefault(fault, nth)
        for (code, detail), number in count.items():
            severity, sentence = SEVERITY[code]
            said = f"{sentence.format(detail)} (the first is contour {first[code, detail]})"
            findings.append(Finding(code, severity, f"{number} contours of {roi.name!r} {said}"))
        if grid is not None:
            findings += [one for one in roi_mask(roi, grid.geometry)[1] if one.code in OF_SLICES]
    # Lawful, and what is left where the element that holds the contours was lost.
    empty = [roi.name for roi in structures.rois if not roi.contours and not roi.empty_sequence]
    if empty:
        findings.append(
            Finding("no-contours", "note", f"{len(empty)} structures have no contours: {name_files(empty)}")
        )
    return findings


class _Grid:
    """The CT as far as contours are compared with it: its grid, and the height of each image along the slice normal."""

    def __init__(self, ct: CtSeries) -> None:
        self.geometry = ct.volume.geometry
        self.frame_uid = ct.frame_of_reference_uid
        self.normal = np.asarray(self.geometry.direction)[:, 2]
        self.heights = np.array([image.position_mm for image in ct.slices]) @ self.normal
        self._heights_of: dict[tuple[str, int | None], list[float]] = defaultdict(list)
        for image, height in zip(ct.slices, self.heights.tolist(), strict=True):
            # The one image of a file is also its frame 1.
            for frame in (None, image.frame_number or 1):
                self._heights_of[image.sop_instance_uid, frame].append(height)

    def heights_of(self, contour: Contour) -> list[float]:
        """Heights of the images that a contour refers to; of all frames, where it names a file without a frame."""
        return [height for image in contour.images for height in self._heights_of.get(image, ())]

    def lacks_frame(self, contour: Contour) -> bool:
        """Whether a contour refers to a file of several frames as a whole."""
        return any(frame is None and len(self._heights_of.get((uid, None), ())) > 1 for uid, frame in contour.images)


def _roi_faults(roi: Roi, grid: _Grid | None) -> Iterator[list[tuple[str, str]]]:
    seen: set[frozenset[frozenset[bytes]]] = set()
    for contour in roi.contours:
        faults = [(code, "") for code in _faults(contour, grid)]
        if contour.problem:
            faults.append(("contour-data", contour.problem.replace("has ", "have ", 1)))
        edges = outline(contour.points_mm)
        if edges and contour.geometric_type in CLOSED:
            if edges in seen:
                faults.append(("duplicate-contour", ""))
            seen.add(edges)
        yield faults


def _faults(contour: Contour, grid: _Grid | None) -> Iterator[str]:
    points = contour.points_mm
    if contour.longest_value > LONGEST_DS:
        yield "long-value"
    if contour.geometric_type == "CLOSEDPLANAR_XOR":
        yield "xor-type"
    if not len(points):
        return
    if contour.declared_points is not None and contour.declared_points != len(points):
        yield "point-count"
    if grid is not None and _is_outside(points, grid):
        yield "outside-image"
    if contour.geometric_type not in CLOSED:
        return
    if not contour.image_uids:
        yield "no-reference"
    if not has_three_places(points):
        yield "few-points"
        return
    flat, thickness_mm = _flattened(points)
    if thickness_mm > OFF_PLANE_MM:
        yield "non-planar"
    elif grid is not None:
        yield from _plane_faults(contour, grid)
    if (points == np.roll(points, -1, axis=0)).all(axis=1).any():
        yield "repeated-point"
    if abs(_area(flat)) < SMALLEST_AREA_MM2:
        yield "zero-area"
    elif crosses_itself(flat):
        yield "self-intersection"


def _is_outside(points: np.ndarray, grid: _Grid) -> bool:
    index = grid.geometry.to_index(points)
    return bool((index < -MARGIN_PIXELS).any() or (index > np.array(grid.geometry.size) - 1 + MARGIN_PIXELS).any())


def _plane_faults(contour: Contour, grid: _Grid) -> Iterator[str]:
    if grid.lacks_frame(contour):
        yield "no-frame"
    depth = contour.points_mm @ grid.normal
    if np.ptp(depth) > OFF_PLANE_MM:
        yield "oblique"
        return
    own = grid.heights_of(contour)
    if own:
        if min(np.abs(depth - height).max() for height in own) > OFF_PLANE_MM:
            yield "off-plane"
    elif np.abs(grid.heights - depth.mean()).min() > OFF_PLANE_MM:
        yield "between-slices"


def has_three_places(points: np.ndarray) -> bool:
    """Whether at least three of the points (n, 3) differ."""
    for _ in range(2):
        points = points[(points != points[0]).any(axis=1)]
        if not len(points):
            return False
    return True


def _flattened(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Points (n, 3) in the coordinates (n, 2) of their best plane, and their greatest distance from it, in mm."""
    centred = points - points.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1]
    return centred @ axes[:, 1:], float(np.abs(centred @ axes[:, 0]).max())


def _area(flat: np.ndarray) -> float:
    x, y = flat.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def crosses_itself(points: np.ndarray) -> bool:
    """Whether two edges of a closed polygon (n, 2) cross. Touching, and running along each other (keyholes), is none.

    Edges are compared block by block, and only blocks whose bounding boxes overlap.
    """
    blocks = -(-len(points) // BLOCK)
    # Filled up with edges of no length, which cross nothing.
    fill = np.broadcast_to(points[0], (blocks * BLOCK - len(points), 2))
    start = np.vstack([points, fill]).reshape(blocks, BLOCK, 2)
    end = np.vstack([np.roll(points, -1, axis=0), fill]).reshape(blocks, BLOCK, 2)
    low = np.minimum(start, end).min(axis=1)
    high = np.maximum(start, end).max(axis=1)
    overlap = ((low[:, None] <= high[None]) & (low[None] <= high[:, None])).all(axis=2)
    one, other = np.nonzero(np.triu(overlap))
    a, b = start[one][:, :, None], end[one][:, :, None]
    c, d = start[other][:, None], end[other][:, None]
    return bool(((_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)).any())


def _side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Sign of the turn a, b, c: 0 where they lie on a line, up to rounding of the written coordinates."""
    turn = (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])
    length = np.abs(b - a).max(axis=-1)
    return np.where(np.abs(turn) <= 1e-3 * length, 0.0, np.sign(turn))
