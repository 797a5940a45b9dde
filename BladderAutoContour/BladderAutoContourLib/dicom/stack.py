"""CT images of one series, put in order: a regular grid in patient space, or a sentence saying why they are none.

Sources: PS3.3 C.7.6.2 (image plane), 10.7.1.3 (pixel spacing). Tolerances are named below.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..imaging.geometry import Geometry
from .belonging import refuse_several_patients
from .findings import Finding, name_files
from .image_header import MATERIAL_MAPS, ImageHeader, file_names
from .slice_grid import plane_axes, regular_grid

MINIMUM_SLICES = 4
"""Fewer images do not make a volume that a bladder could be found in."""
SAME_COSINE = 1e-3
"""Direction cosines that differ by less are one orientation (0.06 degrees)."""
SAME_SPACING_MM = 1e-3
"""Pixel spacings that differ by less are equal (0.5 mm over 512 pixels)."""
SAME_POSITION_MM = 0.01
"""Images nearer to each other than this along the normal lie at one position."""
FARTHEST_MM, WIDEST_MM = 1e5, 100.0
"""No position is farther from the origin, no pixel wider."""


HOUNSFIELD = ("HU", "HU_MOD", "US")
"""RescaleType of CT values; US, unspecified, is what some scanners write for them (PS3.3 C.11.1.1.2)."""
OTHER_UNITS = ("OD", "MGML", "Z_EFF", "ED", "EDW", "PCT", *MATERIAL_MAPS)
INTERLEAVED_SHARE = 0.25
"""Two acquisitions between each other change at every slice; one that was taken up again, once."""


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
    Raises InputError: too few slices, missing or contradictory geometry, gap, mixed spacing, gantry tilt, values that
    are no HU, several patients or studies, slices that alternate between two acquisitions.
    """
    findings: list[Finding] = []
    images = _main_group(images, findings)
    _judge_units(images, findings)
    _refuse_mixed(images)
    refuse_several_patients(images)  # before copies are left out, so that no other patient's is taken for one
    axes = plane_axes(images, findings)
    normal = axes[:, 2]
    images = sorted(images, key=lambda image: (float(normal @ image.position_mm), image.instance_number))
    images = _without_duplicates(images, normal, identical, findings)
    _refuse_interleaved(images)
    if len(images) < MINIMUM_SLICES:
        raise InputError(
            f"The CT series has too few slices ({len(images)}): at least {MINIMUM_SLICES} are needed. "
            "Check that the whole series was copied.",
            file_names(images),
        )
    geometry = regular_grid(images, axes, findings)
    if abs(images[0].tilt_degrees) > 0.1:
        findings.append(
            Finding(
                "gantry-tilt", "warning",
                f"The images declare a gantry tilt of {images[0].tilt_degrees:g} degrees, but their positions form a "
                "rectangular volume; the positions are believed",
            )
        )  # fmt: skip
    return Stack(tuple(images), geometry, tuple(findings))


def _short(images: Sequence[ImageHeader]) -> str:
    return name_files([image.name for image in images])


def _main_group(images: Sequence[ImageHeader], findings: list[Finding]) -> list[ImageHeader]:
    """The largest set of images of one orientation and size."""
    lost = [image for image in images if not (image.position_mm and image.orientation and image.pixel_spacing_mm)]
    slices = [image for image in images if not image.localizer]
    if any(not image.localizer for image in lost):
        raise InputError(
            f"The position, orientation or pixel spacing is missing in {_short(lost)}: where these images lie in the "
            "patient is unknown. Export the series from the archive again.",
            file_names(lost),
        )
    localizers = [image for image in images if image.localizer]
    if localizers:
        findings.append(
            Finding("localizer", "note", f"{len(localizers)} localiser images left out", tuple(file_names(localizers)))
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
            file_names(groups[1]),
        )
    what = "of another orientation, size or frame of reference left out"
    findings.extend(
        Finding("other-plane", "warning", f"{len(group)} images {what}", tuple(file_names(group)))
        for group in groups[1:]
    )
    return groups[0]


def _same_kind(image: ImageHeader, other: ImageHeader) -> bool:
    return (image.rows, image.columns, image.frame_uid) == (other.rows, other.columns, other.frame_uid) and bool(
        np.abs(np.subtract(image.orientation, other.orientation)).max() < SAME_COSINE
    )


def _refuse_bad_plane(image: ImageHeader) -> None:
    axes = np.array(image.orientation).reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1)
    if (
        np.abs(lengths - 1).max() > 0.01
        or abs(axes[0] @ axes[1]) > 0.01
        or not 0 < min(image.pixel_spacing_mm) <= max(image.pixel_spacing_mm) <= WIDEST_MM
        or max(map(abs, image.position_mm)) > FARTHEST_MM
        or min(image.rows, image.columns) < 1
    ):
        raise InputError(
            f"The position, orientation, size or pixel spacing in {image.name} is impossible. Export the series again.",
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
            file_names(odd),
        )


def _judge_units(images: Sequence[ImageHeader], findings: list[Finding]) -> None:
    odd = [image for image in images if image.unit not in HOUNSFIELD]
    if not odd:
        return
    # No other unit is named: it may be any text, a damaged file's even the patient's name.
    if units := " and ".join(sorted({image.unit for image in odd}.intersection(OTHER_UNITS))):
        raise InputError(
            f"The images show no Hounsfield units, but {units} ({_short(odd)}). Choose the series of the CT itself.",
            file_names(odd),
        )
    sentence = f"{len(odd)} images declare an unknown unit; their values are taken as Hounsfield units"
    findings.append(Finding("unknown-unit", "warning", sentence, tuple(file_names(odd))))


def _refuse_interleaved(images: Sequence[ImageHeader]) -> None:
    """Slices of two acquisitions between each other are no image of one moment; one after the other they are."""
    ended: set[int] = set()
    returns = 0
    for before, image in itertools.pairwise(images):
        if image.acquisition != before.acquisition:
            ended.add(before.acquisition)
            returns += image.acquisition in ended
    if returns > INTERLEAVED_SHARE * len(images):
        numbers = ", ".join(map(str, sorted(ended)[:4]))
        raise InputError(
            f"The slices of the series alternate between several acquisitions (numbers {numbers}), which may show the "
            "organ at different times. Give the files of one acquisition.",
            file_names(images),
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
        last = kept[-1] if kept else None
        step_mm = np.subtract(image.position_mm, last.position_mm) if last else np.zeros(3)
        if last is None or float(normal @ step_mm) >= SAME_POSITION_MM:
            kept.append(image)
        elif float(np.linalg.norm(step_mm)) >= SAME_POSITION_MM:
            raise InputError(
                f"Two images of one height lie beside each other ({last.name} and {image.name}), as where a series "
                "was exported again at another place. Give the files of one export.",
                file_names([last, image]),
            )
        elif not identical(image, last):
            raise InputError(
                f"Two different images lie at one position ({last.name} and {image.name}), as in a series of several "
                "phases. Give the files of one phase.",
                file_names([last, image]),
            )
        else:
            dropped.append(image)
    if dropped:
        sentence = f"{len(dropped)} images are copies of others at the same position and were left out"
        findings.append(Finding("duplicate", "note", sentence, tuple(file_names(dropped))))
    return kept
