"""`masks --ct --rtstruct --output DIR`: structures of a structure set as masks on the grid of their CT."""

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .. import host
from ..errors import OutputError
from ..events import Events
from ..output_files import check_output, unwritable

if TYPE_CHECKING:
    from ..dicom.findings import Finding

_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows, whatever the ending
HELP = "Turn the structures of a DICOM RT Structure Set into masks (NRRD) on the grid of their CT."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--ct", nargs="+", required=True, type=Path, metavar="CT", help="folder or files of the CT")
    parser.add_argument("--rtstruct", required=True, type=Path, metavar="RS", help="the structure set")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder for one NRRD a structure")
    parser.add_argument("--roi", action="append", metavar="NAME", help="only this structure (may be given repeatedly)")
    parser.add_argument("--series", metavar="UID", help="the CT series to take where the folder holds several")


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Write the masks.

    Raises OutputError (a result folder among them), InputError (a structure set of another CT, a structure that is
    missing).
    """
    from ..dicom.check import doubtful_contours, leave_out_elsewhere, same_name_findings
    from ..dicom.ct_series import read_ct
    from ..dicom.rasterise import roi_mask
    from ..dicom.structure_reader import read_structure_set
    from ..imaging.files import write_volume
    from ..pipeline.result_folder import REPORT

    check_output(arguments.output)
    if host.is_there(arguments.output / REPORT):
        raise OutputError(
            f"The folder {arguments.output} holds the result of a contouring, whose mask a structure's could replace. "
            "Choose another output folder.",
            [arguments.output],
        )
    structures = read_structure_set(arguments.rtstruct)
    ct = read_ct(arguments.ct, arguments.series, lambda share: events.progress("read", share))
    if arguments.roi:
        frame_uid = ct.frame_of_reference_uid
        wanted = [structures.roi(name, frame_uid=frame_uid) for name in arguments.roi]
        for roi in wanted:
            _tell(same_name_findings(structures, roi, frame_uid), events)
    else:
        wanted, left_out = leave_out_elsewhere(structures.rois, ct)
        _tell(left_out, events)
    _tell(doubtful_contours(structures, wanted, ct), events)
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise unwritable(arguments.output, fault) from fault
    used: set[str] = set()
    for done, roi in enumerate(wanted):
        events.progress("masks", done / len(wanted))
        mask, findings = roi_mask(roi, ct.volume.geometry)
        _tell(findings, events)
        if not roi.outlined:
            events.note(f"WARNING: Structure {roi.name!r} has no closed contour: its mask is empty.")
        write_volume(mask, arguments.output / f"{file_name(roi.name, used)}.nrrd")
    events.progress("masks", 1.0)
    events.result(arguments.output)
    return 0


def _tell(findings: "Iterable[Finding]", events: Events) -> None:
    for finding in findings:
        events.note(f"{finding.severity.upper()}: {finding.sentence}.")


def file_name(name: str, used: set[str]) -> str:
    """A name for a file that every system takes, none of those `used` (which it joins); letter case does not count."""
    plain = re.sub(r"[^\w.+-]+", "_", name).strip("._") or "structure"
    if _DEVICES.fullmatch(plain):
        plain = f"_{plain}"
    candidate, number = plain, 1
    while candidate.casefold() in used:
        number += 1
        candidate = f"{plain}_{number}"
    used.add(candidate.casefold())
    return candidate
