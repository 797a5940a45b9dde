"""`segment CT... --output DIR`: contour the bladder of one or more CTs; the networks are loaded once.

What can be known before torch is loaded (missing inputs, an output that cannot be written) fails before it.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import host
from ..errors import BladderError, Cancelled, InputError
from ..events import Events
from ..failures import as_bladder_error
from ..output_files import check_output
from .engine_arguments import add_engine_arguments, load_engine

if TYPE_CHECKING:
    from ..pipeline.engine import Engine
    from ..pipeline.reading import Reader

HELP = "Contour the bladder of one or more CTs: mask, probability, structure set, picture and report of each."


@dataclass(frozen=True)
class Source:
    """One CT as the user named it: a folder, one volume file, or DICOM files. `name` serves as its folder's name."""

    name: str
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Options:
    """How CTs are contoured. `export_name` is the structure's name in the structure set."""

    series_uid: str | None = None
    use_crf: bool = True
    export_name: str = "Bladder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "ct",
        nargs="+",
        type=Path,
        metavar="CT",
        help="a folder of DICOM files (searched recursively), DICOM files, or a NRRD, NIfTI or MHA file; several "
        "folders or volume files are several CTs",
    )
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="DIR",
        help="result folder; for several CTs, one folder in it each",
    )
    add_engine_arguments(parser)
    parser.add_argument("--series", metavar="UID", help="the CT series to take where a folder holds several")
    parser.add_argument("--no-crf", action="store_true", help="leave the networks' contour as it is, without the CRF")
    parser.add_argument("--export-name", default="Bladder", metavar="NAME", help="structure name (default: Bladder)")


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Contour every CT. Raises the family's errors."""
    sources = sources_of(arguments.ct)
    check_output(arguments.output)
    engine = load_engine(arguments, events)
    options = Options(arguments.series, not arguments.no_crf, arguments.export_name)
    contour_all(sources, arguments.output, options, engine, events)
    return 0


def sources_of(paths: Sequence[Path]) -> list[Source]:
    """The CTs among the paths of a command line: folders and volume files one each, all other files one together.

    Raises InputError where one is missing.
    """
    missing = [path for path in paths if not host.is_there(path)]
    if missing:
        raise InputError(
            f"{missing[0]} does not exist. Check the path, and that its drive is connected.", files=missing
        )
    from ..imaging.files import is_volume_file  # here, because help needs no SimpleITK

    whole = [path.is_dir() or is_volume_file(path) for path in paths]
    groups = [(path,) for path, is_whole in zip(paths, whole, strict=True) if is_whole]
    slices = [path for path, is_whole in zip(paths, whole, strict=True) if not is_whole]
    if slices:
        groups.append(tuple(slices))
    names: list[str] = []
    for group in groups:
        names.append(_unused(_name_of(group), names))
    return [Source(name, group) for name, group in zip(names, groups, strict=True)]


def contour_all(
    sources: Sequence[Source],
    output: Path,
    options: Options,
    engine: "Engine",
    events: Events,
    reader: "Reader | None" = None,
) -> None:
    """Contour each source. One that fails is told in a note, and the others are done all the same.

    reader: keeps the last CT for what is asked of it next.

    Raises Cancelled at once, and at the end the first failure with all of them listed.
    """
    from ..pipeline.job import Job, run_job  # here, because torch comes with it

    failures: list[tuple[Source, BladderError]] = []
    for source in sources:
        folder = output if len(sources) == 1 else output / source.name
        job = Job(
            sources=source.paths,
            output=folder,
            series_uid=options.series_uid,
            use_crf=options.use_crf,
            export_name=options.export_name,
        )
        try:
            run_job(job, engine, events, reader)
        except Cancelled:
            raise
        except Exception as error:
            known = as_bladder_error(error)
            if known is None or len(sources) == 1:
                raise
            failures.append((source, known))
            events.note(f"{source.name}: {known.message}")
    if failures:
        raise _summary(failures, len(sources))


def _summary(failures: Sequence[tuple[Source, BladderError]], total: int) -> BladderError:
    first = failures[0][1]
    listed = " ".join(f"{source.name}: {error.message}" for source, error in failures)
    files = [file for _, error in failures for file in error.files]
    return type(first)(f"{len(failures)} of {total} CTs gave no contour. {listed}", files=files)


def _name_of(paths: Sequence[Path]) -> str:
    from ..imaging.files import SUFFIXES, is_volume_file

    path = paths[0].resolve()
    if path.is_dir():
        name = path.name
    elif is_volume_file(path):
        suffix = max((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), key=len)
        name = path.name[: -len(suffix)]
    else:
        name = path.parent.name
    return name or "ct"


def _unused(name: str, used: Sequence[str]) -> str:
    # Windows and macOS take names that differ in case alone for one.
    taken = {other.casefold() for other in used}
    number, candidate = 1, name
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate
