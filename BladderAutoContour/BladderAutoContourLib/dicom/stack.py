"""CT images of one series, put in order: a regular grid in patient space, or a sentence saying why they are none.

Sources: PS3.3 C.7.6.2 (image plane), 10.7.1.3 (pixel spacing). Tolerances are named below.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..imaging.geometry import Geometry
from .findings import Finding, name_files
from .scan import ImageHeader

MINIMUM_SLICES = 4
"""Fewer images do not make a volume that a bladder could be found in."""
SAME_COSINE = 1e-3
"""Direction cosines that differ by less are one orientation (0.06 degrees)."""
SAME_SPACING_MM = 1e-3
"""Pixel spacings that differ by less are equal (0.5 mm over 512 pixels)."""
SAME_POSITION_MM = 0.01
"""Images nearer to each other than this along the normal lie at one position."""
OFF_GRID_SHARE, OFF_GRID_MM = 0.1, (0.05, 0.3)
"""How far a slice may lie off the regular grid: a tenth of the spacing, within these bounds. Scanners round."""
SHEAR_MM = 0.3
"""How far slices may drift sideways over the whole series before it counts as a tilted gantry."""


@dataclass(frozen=True)
class Stack:
    """Images sorted along the slice normal, and the grid on which they lie."""

    images: tuple[ImageHeader, ...]
    geometry: Geometry
    findings: tuple[Finding, ...]


def build_stack(images: Sequence[ImageHeader], identical: Callable[[ImageHeader, ImageHeader], bool]) -> Stack:
    """Order the images of one series.

    `identical` tells whether two images at one position hold the same pixels: then one is dropped, else they are
    refused. Images of another orientation or size than most (localisers among them) are left out with a finding.
    Raises InputError: too few slices, missing or contradictory geometry, gap, mixed spacing, gantry tilt.
    """
    findings: list[Finding] = []
    images = _main_group(images, findings)
    _refuse_mixed(images)
    normal = _normal(images[0])
    images = sorted(images, key=lambda image: (float(normal @ image.position_mm), image.instance_number))
    images = _without_duplicates(images, normal, identical, findings)
    if len(images) < MINIMUM_SLICES:
        raise InputError(
            f"The CT series has too few slices ({len(images)}): at least {MINIMUM_SLICES} are needed. "
            "Check that the whole series was copied.",
            _names(images),
        )
    positions = np.array([image.position_mm for image in images])
    along = positions @ normal
    _refuse_shear(images, positions, along, normal)
    _refuse_uneven(images, along)
    if abs(images[0].tilt_degrees) > 0.1:
        findings.append(
            Finding(
                "gantry-tilt", "warning",
                f"The images declare a gantry tilt of {images[0].tilt_degrees:g} degrees, but their positions form a "
                "rectangular volume; the positions are believed.",
            )
        )  # fmt: skip
    return Stack(tuple(images), _geometry(images, along, normal), tuple(findings))


def in_plane_axes(image: ImageHeader) -> tuple[np.ndarray, np.ndarray]:
    """LPS unit vectors along the columns' index (x) and the rows' index (y)."""
    axes = np.array(image.orientation).reshape(2, 3)
    return axes[0] / np.linalg.norm(axes[0]), axes[1] / np.linalg.norm(axes[1])


def _normal(image: ImageHeader) -> np.ndarray:
    normal = np.cross(*in_plane_axes(image))
    return normal / np.linalg.norm(normal)


def _names(images: Sequence[ImageHeader]) -> list[str]:
    return [str(image.path) for image in images]


def _short(images: Sequence[ImageHeader]) -> str:
    return name_files([image.path.name for image in images])


def _main_group(images: Sequence[ImageHeader], findings: list[Finding]) -> list[ImageHeader]:
    """The largest set of images of one orientation and size."""
    lost = [image for image in images if not (image.position_mm and image.orientation and image.pixel_spacing_mm)]
    slices = [image for image in images if not image.localizer]
    if any(not image.localizer for image in lost):
        raise InputError(
            f"The position, orientation or pixel spacing is missing in {_short(lost)}: where these images lie in the "
            "patient is unknown. Export the series from the archive again.",
            _names(lost),
        )
    localizers = [image for image in images if image.localizer]
    if localizers:
        findings.append(
            Finding("localizer", "note", f"{len(localizers)} localiser images left out", tuple(_names(localizers)))
        )
    for image in slices:
        _refuse_bad_plane(image)
    groups: list[list[ImageHeader]] = []
    for image in slices:
        for group in groups:
            if _same_kind(image, group[0]):
                group.append(image)
                break
        else:
            groups.append([image])
    groups.sort(key=len, reverse=True)
    if not groups:
        raise InputError("The CT series holds localiser images only. Choose the series of the axial slices.")
    if len(groups) > 1 and len(groups[1]) * 2 > len(groups[0]):
        raise InputError(
            f"The series mixes images of different orientation, size or frame of reference ({len(groups[0])} and "
            f"{len(groups[1])} of them). Give the files of one of these sets.",
            _names(groups[1]),
        )
    what = "of another orientation, size or frame of reference left out"
    findings.extend(
        Finding("other-plane", "warning", f"{len(group)} images {what}", tuple(_names(group))) for group in groups[1:]
    )
    return groups[0]


def _same_kind(image: ImageHeader, other: ImageHeader) -> bool:
    return (image.rows, image.columns, image.frame_uid) == (other.rows, other.columns, other.frame_uid) and bool(
        np.abs(np.subtract(image.orientation, other.orientation)).max() < SAME_COSINE
    )


def _refuse_bad_plane(image: ImageHeader) -> None:
    axes = np.array(image.orientation).reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(axes[0] @ axes[1]) > 0.01 or min(image.pixel_spacing_mm) <= 0:
        raise InputError(
            f"The orientation or pixel spacing in {image.path.name} is impossible. Export the series again.",
            [str(image.path)],
        )


def _refuse_mixed(images: Sequence[ImageHeader]) -> None:
    sets: dict[tuple[float, float], list[ImageHeader]] = defaultdict(list)
    for image in images:
        known = (key for key in sets if np.abs(np.subtract(key, image.pixel_spacing_mm)).max() < SAME_SPACING_MM)
        sets[next(known, image.pixel_spacing_mm)].append(image)
    if len(sets) > 1:
        odd = min(sets.values(), key=len)
        spacings = " and ".join(f"{rows:g} x {columns:g} mm" for rows, columns in sets)
        raise InputError(
            f"The images of the series have different pixel spacings ({spacings}; see {_short(odd)}). "
            "Give the files of one reconstruction only.",
            _names(odd),
        )


def _without_duplicates(
    images: Sequence[ImageHeader],
    normal: np.ndarray,
    identical: Callable[[ImageHeader, ImageHeader], bool],
    findings: list[Finding],
) -> list[ImageHeader]:
    kept: list[ImageHeader] = []
    dropped: list[ImageHeader] = []
    for image in images:
        if kept and float(normal @ np.subtract(image.position_mm, kept[-1].position_mm)) < SAME_POSITION_MM:
            if not identical(image, kept[-1]):
                raise InputError(
                    f"Two different images lie at one position ({kept[-1].path.name} and {image.path.name}), as in a "
                    "series of several phases. Give the files of one phase.",
                    _names([kept[-1], image]),
                )
            dropped.append(image)
        else:
            kept.append(image)
    if dropped:
        sentence = f"{len(dropped)} images are copies of others at the same position and were left out"
        findings.append(Finding("duplicate", "note", sentence, tuple(_names(dropped))))
    return kept


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
            _names(images[:1]),
        )
    raise InputError(
        f"The slices are shifted sideways against each other (by {sideways[worst]:.1f} mm at "
        f"{images[worst].path.name}). Give the files of one reconstruction only.",
        _names([images[0], images[worst]]),
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
    where = f"between {pair[0].path.name} and {pair[1].path.name} ({steps[at]:.2f} mm, elsewhere {usual:.2f} mm)"
    whole = abs(missing - round(missing)) < 0.15 and round(missing) >= 1
    if whole and odd.size <= max(1, len(steps) // 10):
        places = f", and at {odd.size - 1} more places" if odd.size > 1 else ""
        lost = "1 slice is" if round(missing) == 1 else f"{round(missing)} slices are"
        raise InputError(
            f"The series has a gap: {lost} missing {where}{places}. Copy the whole series again.",
            _names(pair),
        )
    raise InputError(
        f"The slices are not evenly spaced: the step changes {where}. Give a reconstruction of one slice spacing.",
        _names(pair),
    )


def _geometry(images: Sequence[ImageHeader], along: np.ndarray, normal: np.ndarray) -> Geometry:
    first = images[0]
    x_axis, y_axis = in_plane_axes(first)
    direction = np.column_stack([x_axis, y_axis, normal])
    return Geometry(
        size=(first.columns, first.rows, len(images)),
        spacing_mm=(
            first.pixel_spacing_mm[1],
            first.pixel_spacing_mm[0],
            round(float(along[-1] - along[0]) / (len(images) - 1), 6),
        ),
        origin_mm=tuple(float(value) for value in first.position_mm),
        direction=tuple(tuple(float(value) for value in row) for row in direction),
    )
