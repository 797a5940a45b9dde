"""`--roi`, for the commands that read known bladders out of structure sets: the names that they go by."""

import argparse

USUAL = "Bladder"


def add_roi_argument(parser: argparse.ArgumentParser) -> None:
    """The argument itself."""
    parser.add_argument(
        "--roi",
        action="append",
        metavar="NAME",
        help=f"a name of the bladder in the structure sets (may be repeated: the first that is outlined; {USUAL})",
    )


def roi_names(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The names of a command line, or the usual one."""
    return tuple(arguments.roi or (USUAL,))
