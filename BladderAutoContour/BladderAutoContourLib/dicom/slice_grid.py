"""The regular grid on which the slices of a series lie, or a sentence saying why they lie on none.

Sources: PS3.3 C.7.6.2 (image plane), 10.7.1.3 (pixel spacing). Tolerances are named below. What one slice says alone
is not believed against the others: it is refused, or told.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..imaging.geometry import Geometry
from .findings import Finding
from .image_header import ImageHeader, file_names

OFF_GRID_SHARE, OFF_GRID_MM = 0.1, (0.05, 0.3)
"""How far a slice may lie off the regular grid: a tenth of the spacing, within these bounds. Scanners round."""
SHEAR_MM = 0.3
"""How far slices may drift sideways over the whole series before it counts as a tilted gantry."""
ROUNDING_MM, EXACT_MM = 0.1, 0.01
"""Positions written to a tenth of a millimetre are off by up to the first; less than the second counts as exact."""
EXACT_COSINE, EXACT_SPACING_MM = 1e-5, 1e-5
"""Orientations and pixel spacings that differ by less are one value, written with fewer digits."""


def regular_grid(images: Sequence[ImageHeader], axes: np.ndarray, findings: list[Finding]) -> Geometry:
    """The grid through images sorted along the normal; `axes` as from `plane_axes`. Adds what is uneven to `findings`.

    Raises InputError: tilted gantry, slices shifted sideways, gap, mixed spacing.
    """
    normal = axes[:, 2]
    positions = np.array([image.position_mm for image in images])
    along = positions @ normal
    _refuse_shear(images, positions, along, normal)
    _refuse_uneven(images, along)
    _tell_deviation(images, positions, along, normal, findings)
    return _geometry(images, along, axes, _pixel_spacing(images, findings))


def plane_axes(images: Sequence[ImageHeader], findings: list[Finding]) -> np.ndarray:
    """3x3: LPS unit vectors of the x, y (those of most images, made right-angled) and z index axes as columns."""
    most = Counter(image.orientation for image in images).most_common(1)[0][0]
    odd = [image for image in images if np.abs(np.subtract(image.orientation, most)).max() > EXACT_COSINE]
    if odd:
        sentence = f"The orientation of {len(odd)} images differs slightly from that of the others, which is believed"
        findings.append(Finding("uneven-orientation", "warning", sentence, tuple(file_names(odd))))
    x_axis, y_axis = np.array(most).reshape(2, 3)
    x_axis = x_axis / np.linalg.norm(x_axis)
    y_axis = y_axis - (x_axis @ y_axis) * x_axis
    y_axis = y_axis / np.linalg.norm(y_axis)
    return np.column_stack([x_axis, y_axis, np.cross(x_axis, y_axis)])


def _refuse_shear(images: Sequence[ImageHeader], positions: np.ndarray, along: np.ndarray, normal: np.ndarray) -> None:
    drift = positions - positions[0] - np.outer(along - along[0], normal)
    sideways = np.linalg.norm(drift, axis=1)
    worst = int(sideways.argmax())
    if sideways[worst] <= SHEAR_MM:
        return
    degrees = np.degrees(np.arctan2(sideways[-1], along[-1] - along[0]))
    if np.allclose(drift, np.outer((along - along[0]) / (along[-1] - along[0]), drift[-1]), atol=SHEAR_MM):
        raise InputError(
            f"The series was taken with a tilted gantry ({degrees:.1f} degrees): its slices do not form a rectangular "
            "volume. Reconstruct it without tilt.",
            file_names(images[:1]),
        )
    raise InputError(
        f"The slices are shifted sideways against each other (by {sideways[worst]:.1f} mm at "
        f"{images[worst].name}). Give the files of one reconstruction only.",
        file_names([images[0], images[worst]]),
    )


def _refuse_uneven(images: Sequence[ImageHeader], along: np.ndarray) -> None:
    steps = np.diff(along)
    usual = float(np.median(steps))
    tolerance = float(np.clip(OFF_GRID_SHARE * usual, *OFF_GRID_MM))
    regular = np.linspace(along[0], along[-1], len(along))
    if np.abs(along - regular).max() <= tolerance and np.abs(steps - usual).max() <= 2 * tolerance:
        return
    odd = np.flatnonzero(np.abs(steps - usual) > tolerance)
    if odd.size == 0:
        odd = np.array([int(np.abs(along - regular).argmax()) - 1])
    at = int(odd[0])
    pair = [images[at], images[at + 1]]
    missing = steps[at] / usual - 1
    where = f"between {pair[0].name} and {pair[1].name} ({steps[at]:.2f} mm, elsewhere {usual:.2f} mm)"
    whole = abs(missing - round(missing)) < 0.15 and round(missing) >= 1
    if whole and odd.size <= max(1, len(steps) // 10):
        places = f", and at {odd.size - 1} more places" if odd.size > 1 else ""
        lost = "1 slice is" if round(missing) == 1 else f"{round(missing)} slices are"
        raise InputError(
            f"The series has a gap: {lost} missing {where}{places}. Copy the whole series again.",
            file_names(pair),
        )
    raise InputError(
        f"The slices are not evenly spaced: the step changes {where}. Give a reconstruction of one slice spacing.",
        file_names(pair),
    )


def _tell_deviation(
    images: Sequence[ImageHeader],
    positions: np.ndarray,
    along: np.ndarray,
    normal: np.ndarray,
    findings: list[Finding],
) -> None:
    """A finding where slices lie off the grid that is believed, though not far enough to refuse them."""
    steps = np.linspace(along[0], along[-1], len(along)) - along[0]
    off = np.linalg.norm(positions - positions[0] - np.outer(steps, normal), axis=1)
    if off.max() > EXACT_MM:
        # Against the line through all slices, it is the slice that is off which stands out, the first and last too.
        index = np.arange(len(images)) - (len(images) - 1) / 2
        centred = positions - positions.mean(axis=0)
        residual = np.linalg.norm(centred - np.outer(index, index @ centred / (index @ index)), axis=1)
        severity = "note" if off.max() <= ROUNDING_MM else "warning"
        sentence = f"Slice positions are uneven by up to {off.max():.2f} mm; a regular grid through them is believed"
        findings.append(Finding("uneven-positions", severity, sentence, (str(images[int(residual.argmax())].path),)))


def _pixel_spacing(images: Sequence[ImageHeader], findings: list[Finding]) -> tuple[float, ...]:
    """Row and column spacing of most images, in mm."""
    most = Counter(image.pixel_spacing_mm for image in images).most_common(1)[0][0]
    odd = [image for image in images if np.abs(np.subtract(image.pixel_spacing_mm, most)).max() > EXACT_SPACING_MM]
    if odd:
        sentence = f"The pixel spacing of {len(odd)} images differs slightly from that of the others, which is believed"
        findings.append(Finding("uneven-pixels", "warning", sentence, tuple(file_names(odd))))
    return most


def _geometry(
    images: Sequence[ImageHeader], along: np.ndarray, direction: np.ndarray, spacing_mm: tuple[float, ...]
) -> Geometry:
    first = images[0]
    return Geometry(
        size=(first.columns, first.rows, len(images)),
        spacing_mm=(spacing_mm[1], spacing_mm[0], round(float(along[-1] - along[0]) / (len(images) - 1), 6)),
        origin_mm=tuple(float(value) for value in first.position_mm),
        direction=tuple(tuple(float(value) for value in row) for row in direction),
    )
