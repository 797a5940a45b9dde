"""`check-rtstruct RS --ct CT`: findings on a structure set of any maker, one a line; exit code 1 with any."""

import argparse
from pathlib import Path

from ..events import Events

HELP = "Check a DICOM RT Structure Set: attributes, references, geometry. Exit code 1 with findings, one a line."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("rtstruct", type=Path, metavar="RS", help="the structure set")
    parser.add_argument(
        "--ct", nargs="+", type=Path, metavar="CT", help="folder or files of its CT; without, references go unchecked"
    )
    parser.add_argument("--series", metavar="UID", help="the CT series to take where the folder holds several")


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Print the findings. Raises InputError."""
    from ..dicom.check import check_rtstruct
    from ..dicom.ct_series import read_ct

    ct = None
    if arguments.ct:
        ct = read_ct(arguments.ct, arguments.series, lambda share: events.progress("read", share))
    findings = [] if ct is None else list(ct.findings)
    findings += check_rtstruct(arguments.rtstruct, ct)
    for finding in findings:
        print(finding, flush=True)
    return 1 if any(finding.severity != "note" for finding in findings) else 0
