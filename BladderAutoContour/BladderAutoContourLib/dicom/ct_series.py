"""A CT series: folder or files in; volume in HU, the references that a structure set needs, and findings out."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import UID

from ..errors import InputError
from ..imaging.files import is_volume_file
from ..imaging.volume import Volume
from .belonging import belonging_findings, typical
from .damage import DamagedDicomError, making_sense
from .findings import Finding
from .image_header import ImageHeader, file_names
from .patient_and_study import TAKEN_OVER
from .pixels import read_hu, same_pixels
from .reading import NotDicomError, open_dataset
from .scan import CLOSED_FOLDER, Scan, scan
from .stack import MINIMUM_SLICES, OTHER_UNITS, Stack, build_stack

REPLACED = "\ufffd"  # what stands for bytes that are no letter of a character set
PLACE = ("FrameOfReferenceUID", "PositionReferenceIndicator")
HEADER_SHARE = 0.4
"""Share of the reading time that the headers take."""


@dataclass(frozen=True)
class SliceReference:
    """One image of the series: how a contour refers to it, and where its first voxel's centre lies (LPS mm).

    frame_number: from 1, where the image is one frame of a multi-frame file.
    """

    sop_class_uid: str
    sop_instance_uid: str
    position_mm: tuple[float, float, float]
    path: Path
    frame_number: int | None = None


@dataclass(frozen=True)
class CtSeries:
    """volume: HU (z, y, x), ascending along the slice normal. slices: one a z index. header: what a structure set
    takes over, of the first slice that says of the patient what most say.
    """

    volume: Volume
    slices: tuple[SliceReference, ...]
    header: pydicom.Dataset
    series_uid: str
    frame_of_reference_uid: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class SeriesSummary:
    """One CT series. spacing_mm (x, y, z) is None where it is no volume; a finding says why."""

    series_uid: str
    images: int
    rows: int
    columns: int
    spacing_mm: tuple[float, float, float] | None
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        size = f"{self.columns} x {self.rows} x {self.images}"
        spacing = " x ".join(f"{step:.3g}" for step in self.spacing_mm) + " mm" if self.spacing_mm else "no volume"
        # What stands in a damaged file in the place of a UID may be anything, the patient's name too.
        uid = self.series_uid if UID(self.series_uid).is_valid else "without a valid UID"
        return f"{uid}: {size}, {spacing}"


def read_ct(
    paths: Sequence[Path], series_uid: str | None = None, progress: Callable[[float], None] | None = None
) -> CtSeries:
    """Read one CT series from folders (recursively) and files.

    Raises InputError: nothing there, no CT among the files, several series and no `series_uid`, or images that form no
    regular volume; the sentence names the files.
    """
    tell = progress or (lambda share: None)
    found = scan(paths, lambda share: tell(HEADER_SHARE * share))
    images, findings = _choose(found, paths, series_uid)
    try:
        stack = _stack(images)
    except InputError as fault:
        damaged = [name for finding in found.findings if finding.severity == "warning" for name in finding.files]
        if damaged:
            raise InputError(f"{fault.message} Unreadable: {', '.join(damaged[:3])}.", damaged) from fault
        raise
    first = stack.images[0]
    if not (first.frame_uid and first.study_uid and first.series_uid):
        raise InputError(
            "The CT has no frame of reference or no identifier of its study or series, so that no structure set could "
            "refer to it. Export it from the archive again.",
            [str(first.path)],
        )
    header = _header(typical(stack.images))
    array = read_hu(stack.images, lambda share: tell(HEADER_SHARE + (1 - HEADER_SHARE) * share))
    return CtSeries(
        volume=Volume(array, stack.geometry),
        slices=tuple(_reference(image) for image in stack.images),
        header=header,
        series_uid=first.series_uid,
        frame_of_reference_uid=first.frame_uid,
        findings=(
            *found.findings,
            *findings,
            *stack.findings,
            *_blank_findings(stack.images, array),
            *_letter_findings(header),
        ),
    )


def survey(
    paths: Sequence[Path], progress: Callable[[float], None] | None = None
) -> tuple[list[SeriesSummary], tuple[Finding, ...]]:
    """Every CT series in folders and files, most images first, and findings on the files that are no CT image.

    Raises InputError where there are no files at all.
    """
    found = scan(paths, progress)
    summaries = [summarise(images) for images in _by_series(found).values()]
    return sorted(summaries, key=lambda summary: -summary.images), found.findings


def summarise(images: Sequence[ImageHeader]) -> SeriesSummary:
    """What a series is: its grid, or the problem that keeps it from being one."""
    first = images[0]
    if all(image.localizer for image in images):
        note = Finding("localizer", "note", f"{len(images)} localiser images only")
        return SeriesSummary(first.series_uid, len(images), first.rows, first.columns, None, (note,))
    try:
        stack = _stack(images)
    except InputError as fault:
        return SeriesSummary(
            first.series_uid, len(images), first.rows, first.columns, None,
            (Finding("no-volume", "error", fault.message, fault.files),),
        )  # fmt: skip
    columns, rows, slices = stack.geometry.size
    spacing = stack.geometry.spacing_mm
    return SeriesSummary(first.series_uid, slices, rows, columns, spacing, stack.findings)


def _stack(images: Sequence[ImageHeader]) -> Stack:
    stack = build_stack(images, same_pixels)
    judges = (belonging_findings, _rescale_findings, _loss, _frames_note)
    return replace(stack, findings=(*stack.findings, *(one for judge in judges for one in judge(stack.images))))


def _rescale_findings(images: Sequence[ImageHeader]) -> list[Finding]:
    bare = [image for image in images if not image.has_rescale]
    if not bare:
        return []
    sentence = (
        f"{len(bare)} images do not say how their values become Hounsfield units, and were taken as they are: where "
        "these look too bright or too dark, the contour is wrong. Export them again"
    )
    return [Finding("no-rescale", "warning", sentence, tuple(file_names(bare)))]


def _blank_findings(images: Sequence[ImageHeader], array: np.ndarray) -> list[Finding]:
    """A warning on slices of one single value among others; at an end they are padding, as resampling leaves it."""
    shown = [z for z, hu in enumerate(array) if (hu[::16, ::16] != hu[0, 0]).any() or (hu != hu[0, 0]).any()]
    blank = [images[z] for z in sorted(set(range(shown[0], shown[-1])).difference(shown))] if shown else []
    if not blank:
        return []
    sentence = f"{len(blank)} images among the others are blank: what lies there cannot be seen. Export them again"
    return [Finding("blank", "warning", sentence, tuple(file_names(blank)))]


def _loss(images: Sequence[ImageHeader]) -> list[Finding]:
    lossy = [image for image in images if image.lossy]
    if not lossy:
        return []
    sentence = (
        f"{len(lossy)} images were compressed with loss: their Hounsfield units are not quite the scanner's. Take the "
        "original from the archive where there is one"
    )
    return [Finding("lossy", "warning", sentence, tuple(file_names(lossy)))]


def _frames_note(images: Sequence[ImageHeader]) -> list[Finding]:
    if all(image.frame is None for image in images):
        return []
    sentence = "The CT is a multi-frame file; contours refer to its frames by number, which not every system reads"
    return [Finding("multi-frame", "note", sentence)]


def _by_series(found: Scan) -> dict[str, list[ImageHeader]]:
    series: dict[str, list[ImageHeader]] = defaultdict(list)
    for image in found.images:
        series[image.series_uid].append(image)
    return dict(series)


def _choose(
    found: Scan, paths: Sequence[Path], series_uid: str | None
) -> tuple[Sequence[ImageHeader], tuple[Finding, ...]]:
    series = _by_series(found)
    if not series:
        raise _no_ct(found, paths)
    if series_uid is not None:
        if series_uid not in series:
            raise InputError(f"There is no CT series {series_uid} here, but: {_listing(series.values())}.")
        return series[series_uid], ()
    if len(series) == 1:
        return next(iter(series.values())), ()
    # Scouts, single reformats and maps of other units stand beside CTs as series of their own: no rivals to a volume.
    volumes = {uid: images for uid, images in series.items() if sum(map(_may_be_ct, images)) >= MINIMUM_SLICES}
    if len(volumes) != 1:
        raise InputError(
            f"There are several CT series here; choose one by its UID (--series): {_listing(series.values())}.",
            sorted({str(images[0].path.parent) for images in series.values()}),
        )
    chosen = next(iter(volumes))
    others = [image for uid, images in series.items() if uid != chosen for image in images]
    what = "localisers, single images or maps of other units"
    sentence = f"{len(others)} images of {len(series) - 1} other series ({what}) left out"
    return volumes[chosen], (Finding("other-series", "note", sentence, tuple(str(image.path) for image in others)),)


def _may_be_ct(image: ImageHeader) -> bool:
    return not image.localizer and image.unit not in OTHER_UNITS


def _listing(series: Sequence[Sequence[ImageHeader]]) -> str:
    return "; ".join(str(summary) for summary in sorted(map(summarise, series), key=lambda one: -one.images))


def _no_ct(found: Scan, paths: Sequence[Path]) -> InputError:
    where = ", ".join(map(str, paths))
    files = [name for finding in found.findings for name in finding.files]
    volumes = [path.name for path in map(Path, files) if is_volume_file(path) and path not in paths]
    advice = "Give the folder of a CT series."
    if volumes:
        advice += f" To contour {volumes[0]}, give that file itself."
    if found.others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in found.others.items())
        closed = [finding.sentence for finding in found.findings if finding.code == CLOSED_FOLDER]
        return InputError(f"There is no CT image in {where}, only: {'; '.join([kinds, *closed])}. {advice}", files)
    reasons = "; ".join(finding.sentence for finding in found.findings)
    return InputError(f"There is no CT image in {where} ({reasons}). {advice}", files)


def _reference(image: ImageHeader) -> SliceReference:
    x, y, z = image.position_mm
    return SliceReference(image.sop_class_uid, image.sop_instance_uid, (x, y, z), image.path, image.frame)


def _letter_findings(header: pydicom.Dataset) -> tuple[Finding, ...]:
    """What a structure set takes over, and cannot be read by the character set that the CT declares."""
    names = [keyword for keyword in TAKEN_OVER if REPLACED in str(header.get(keyword, ""))]
    if not names:
        return ()
    sentence = (
        f"{', '.join(names)} cannot be read in the character set that the CT declares; a structure set would show "
        f"{REPLACED} in the place of letters. Compare the patient before it is used"
    )
    return (Finding("unknown-letters", "warning", sentence),)


def _header(image: ImageHeader) -> pydicom.Dataset:
    """What a structure set takes over. Nothing else is read: what nobody needs cannot be damaged."""
    try:
        header = open_dataset(image.path, only=(*TAKEN_OVER, "SpecificCharacterSet", *PLACE))
        with making_sense():
            # Text becomes text now, and numbers numbers, so that a damaged one is told now.
            header.decode()
            for _element in header.iterall():
                pass
        return header
    except (NotDicomError, DamagedDicomError, OSError) as fault:
        raise InputError(
            f"The header of {image.path.name} is damaged. Copy it from the archive again.", [str(image.path)]
        ) from fault
