"""`contours --rtstruct --roi --output FILE`: a structure's contours as text, slice by slice, outer and inner."""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..events import Events
from ..output_files import write_text
from .rtstruct import expect_no_input

if TYPE_CHECKING:
    from ..dicom.structure_reader import Roi

HELP = "Write the contours of a structure as text: coordinates in mm, slice by slice, outer and inner rings."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--rtstruct", required=True, type=Path, metavar="RS", help="the structure set")
    parser.add_argument("--roi", required=True, metavar="NAME", help="the structure")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the text file to write")


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Write the text file. Raises InputError, OutputError."""
    from ..dicom.check import expect_own_number, same_name_findings
    from ..dicom.structure_reader import read_structure_set

    expect_no_input(arguments.output, [arguments.rtstruct])
    structures = read_structure_set(arguments.rtstruct)
    roi = structures.roi(arguments.roi)
    expect_own_number(structures, [roi])
    if not roi.outlined:
        raise InputError(f"{roi.name!r} in {arguments.rtstruct.name} has no closed contour.", [arguments.rtstruct])
    if left_out := sum(one.geometric_type != "POINT" for one in roi.contours) - len(roi.closed):
        events.note(f"WARNING: {left_out} contours of {roi.name!r} left out: not closed, or not readable.")
    for finding in same_name_findings(structures, roi):
        events.note(f"WARNING: {finding.sentence}.")
    if miscounted := sum(one.declared_points not in (None, len(one.points_mm)) for one in roi.closed):
        events.note(f"WARNING: {miscounted} contours of {roi.name!r} declare another number of points than they have.")
    text = "\n".join(lines(roi)) + "\n"
    write_text(arguments.output, text)
    events.result(arguments.output.parent)
    return 0


def image_name(image: tuple[str, int | None]) -> str:
    """An image's identifier, and its frame where it is one of several in a file."""
    uid, frame = image
    return uid if frame is None else f"{uid} frame {frame}"


def lines(roi: "Roi") -> Iterator[str]:
    """The text: a line a slice, below it a line a ring (outer or inner, number of points), below it x y z a point."""
    from ..dicom.rings import planes, rings

    yield f"# {roi.name}: closed contours, x y z in patient coordinates (LPS), mm"
    slices = defaultdict(list)
    for contour, plane in zip(roi.closed, planes([contour.points_mm for contour in roi.closed]), strict=True):
        slices[contour.images, plane].append(contour)  # some writers refer to one image, or to none, from every plane
    for number, contours in enumerate(slices.values(), start=1):
        images = " ".join(map(image_name, contours[0].images)) or "not referenced"
        yield f"slice {number} image {images}"
        for ring in rings([contour.points_mm for contour in contours]):
            yield f"{'inner' if ring.inner else 'outer'} {len(ring.points_mm)}"
            yield from (f"{x:.4f} {y:.4f} {z:.4f}" for x, y, z in ring.points_mm)
