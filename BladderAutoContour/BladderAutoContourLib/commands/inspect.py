"""`inspect FOLDER`: the CT series that lie there, and what is wrong with them; exit code 1 with findings or without."""

import argparse
from pathlib import Path

from ..events import Events

HELP = "Tell which CT series a folder of DICOM files holds, their geometry, and what is wrong with them."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("folder", nargs="+", type=Path, metavar="FOLDER", help="folder (searched recursively) or files")


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Print series and findings, one a line. Raises InputError where there are no files."""
    from ..dicom.ct_series import survey

    summaries, findings = survey(arguments.folder, lambda share: events.progress("read", share))
    for summary in summaries:
        print(f"series: {summary}", flush=True)
    findings = [*findings, *(finding for summary in summaries for finding in summary.findings)]
    for finding in findings:
        print(finding, flush=True)
    if not summaries:
        print("There is no CT series here.", flush=True)
    return 1 if not summaries or any(finding.severity != "note" for finding in findings) else 0
