"""`rtstruct --ct --mask --output FILE`: a mask of a CT series as a DICOM structure set, read back and compared."""

import argparse
import contextlib
from collections.abc import Iterable
from pathlib import Path

from .. import host
from ..errors import Cancelled, OutputError, UsageError
from ..events import Events

HELP = "Turn a mask into a DICOM RT Structure Set of its CT series, verified before it is put in place."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--ct", nargs="+", required=True, type=Path, metavar="CT", help="folder or files of the CT")
    parser.add_argument("--mask", required=True, type=Path, metavar="FILE", help="the mask, on the grid of the CT")
    parser.add_argument(
        "--probability", type=Path, metavar="FILE", help="the probability that gave the mask: its contour is smoother"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the structure set to write")
    parser.add_argument("--name", default="Bladder", help="structure name (default: Bladder)")
    parser.add_argument("--label", default="BladderAuto", help="label of the structure set, at most 16 characters")
    parser.add_argument(
        "--generation",
        choices=("AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"),
        default="AUTOMATIC",
        help="how the contour came about (default: AUTOMATIC; SEMIAUTOMATIC once it was edited)",
    )
    parser.add_argument("--description", default="", metavar="TEXT", help="what made it, such as the model's name")
    parser.add_argument("--series", metavar="UID", help="the CT series to take where the folder holds several")
    parser.add_argument("--decimate", action="store_true", help="fewer points, the volume kept within 0.1 %%")
    parser.add_argument("--merge", type=Path, metavar="FILE", help="take over the structures of this structure set")
    parser.add_argument("--replace", action="store_true", help="with --merge: replace a structure of the same name")


def expect_no_input(output: Path, inputs: Iterable[Path | None]) -> None:
    """Raise OutputError where the file to write is one of those that it is made from."""
    there = [path for path in inputs if path is not None and host.is_there(path)] if host.is_there(output) else []
    if any(output.samefile(path) for path in there):
        raise OutputError(
            f"{output} is what the new file is made from, and would be replaced. Name another file.", [output]
        )


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Write the structure set. Raises InputError, UsageError, OutputError, VerificationError."""
    from ..dicom.ct_series import read_ct
    from ..dicom.structure_dataset import StructureRequest
    from ..dicom.structure_merge import MergeRequest, merge_rtstruct
    from ..dicom.structure_set import on_grid_of, restrict, write_rtstruct
    from ..imaging.files import read_mask, read_volume
    from ..imaging.volume import Volume

    if arguments.replace and not arguments.merge:
        raise UsageError("--replace needs --merge: it says which structure set holds the structure to replace.")
    request = StructureRequest(
        roi_name=arguments.name.strip(),
        label=arguments.label.strip(),
        generation=arguments.generation,
        description=arguments.description,
    )
    events.expect({"read": 3, "write": 2})
    ct = read_ct(arguments.ct, arguments.series, lambda share: events.progress("read", share))
    images = [image.path for image in ct.slices]
    expect_no_input(arguments.output, [arguments.mask, arguments.probability, arguments.merge, *images])
    mask = read_mask(arguments.mask)
    field = Volume((mask.array > 0).astype("uint8"), mask.geometry)
    if arguments.probability is not None:
        field = restrict(read_volume(arguments.probability), on_grid_of(ct, mask))
    events.progress("write", 0.0)
    if arguments.merge is None:
        written = write_rtstruct(ct, field, arguments.output, request, decimate=arguments.decimate)
    else:
        merge = MergeRequest(arguments.merge, arguments.replace)
        written = merge_rtstruct(ct, field, arguments.output, request, merge, decimate=arguments.decimate)
    with contextlib.suppress(Cancelled):  # the file is in its place: that is too late
        events.progress("write", 1.0)
    for finding in (*ct.findings, *written.findings):
        if finding.severity != "note":
            events.note(f"{finding.severity.upper()}: {finding.sentence}.")
    if written.contours:
        events.note(
            f"{written.contours} contours, {written.points} points; read back, they agree with the mask: "
            f"Dice {written.agreement:.4f}."
        )
    events.result(arguments.output.parent)
    return 0
