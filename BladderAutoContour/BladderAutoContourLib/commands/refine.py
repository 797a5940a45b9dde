"""`refine --ct --probability --mask --touched --output DIR`: a clinician's corrections carried on to other slices."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .. import host
from ..errors import InputError, OutputError
from ..events import Events
from ..output_files import check_output
from .engine_arguments import add_engine_arguments, load_engine

if TYPE_CHECKING:
    from ..pipeline.engine import Engine
    from ..pipeline.reading import Reader

HELP = "Carry corrections of a contour on to the slices around them; the corrected slices stay as they are."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_request_arguments(parser)
    add_engine_arguments(parser)


def add_request_arguments(parser: argparse.ArgumentParser) -> None:
    """What a `refine` request of the warm engine may hold too."""
    _add_common_arguments(parser)
    parser.add_argument(
        "--probability", required=True, type=Path, metavar="FILE", help="the probability that the contour came from"
    )
    parser.add_argument(
        "--touched",
        required=True,
        type=Path,
        metavar="FILE",
        help="not zero where the mask was corrected or checked: whole slices, or voxels painted in any view; all of "
        "them, earlier ones too. A slice that was only checked stays as it is, but it counts as a correction: up to "
        "about 4 cm from it the border is drawn anew, and some voxels of other slices may change",
    )


def add_copy_arguments(parser: argparse.ArgumentParser) -> None:
    """What a `copy-and-fit` request of the warm engine may hold."""
    _add_common_arguments(parser)
    parser.add_argument("--from-slice", required=True, type=int, metavar="Z", help="the slice whose contour is copied")
    parser.add_argument("--to-slice", required=True, type=int, metavar="Z", help="the slice that gets it")


def _add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ct", nargs="+", required=True, type=Path, metavar="CT", help="folder or files of the CT, or one volume file"
    )
    parser.add_argument("--mask", required=True, type=Path, metavar="FILE", help="the contour as it is now")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="result folder, one of its own")
    parser.add_argument("--series", metavar="UID", help="the CT series to take where the folder holds several")


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Carry the corrections on. Raises the family's errors."""
    check_files(arguments)
    engine = load_engine(arguments, events)
    from ..pipeline.reading import Reader

    refine(arguments, engine, events, Reader())
    return 0


def refine(arguments: argparse.Namespace, engine: "Engine", events: Events, reader: "Reader") -> None:
    """The work of a `refine` request whose files were checked. Raises the family's errors."""
    from ..pipeline.corrections.job import RefineJob, run_refine  # here, because torch comes with it

    job = RefineJob(
        ct=tuple(arguments.ct),
        probability=arguments.probability,
        mask=arguments.mask,
        touched=arguments.touched,
        output=arguments.output,
        series_uid=arguments.series,
    )
    run_refine(job, engine, events, reader)


def copy_and_fit(arguments: argparse.Namespace, engine: "Engine", events: Events, reader: "Reader") -> None:
    """The work of a `copy-and-fit` request whose files were checked. Raises the family's errors."""
    from ..pipeline.corrections.job import CopyJob, run_copy  # here, because torch comes with it

    job = CopyJob(
        ct=tuple(arguments.ct),
        mask=arguments.mask,
        source=arguments.from_slice,
        target=arguments.to_slice,
        output=arguments.output,
        series_uid=arguments.series,
    )
    run_copy(job, engine, events, reader)


def check_files(arguments: argparse.Namespace) -> None:
    """What can be known of the files before torch is loaded.

    Raises InputError where one is missing, OutputError where the results cannot be written, or would take the place of
    what they are made from.
    """
    inputs = [getattr(arguments, name) for name in ("mask", "probability", "touched") if hasattr(arguments, name)]
    missing = [path for path in (*arguments.ct, *inputs) if not host.is_there(path)]
    if missing:
        raise InputError(f"{missing[0]} does not exist. Check the path.", missing)
    output = arguments.output
    if any(path.resolve().parent == output.resolve() for path in inputs):
        raise OutputError(
            f"The folder {output} holds what is to be corrected, and would be overwritten. Choose another one.",
            [output],
        )
    check_output(output)
