"""`--roi`, for the commands that read known bladders out of structure sets: the names that they go by."""

import argparse

USUAL = (
    "Bladder",
    "Bladder_O",
    "Urinary bladder",
    "Vessie",
    "Harnblase",
    "Blase",
    "Vescica",
    "Vejiga",
    "Bexiga",
    "Blaas",
)
"""Letter case aside."""


def add_roi_argument(parser: argparse.ArgumentParser) -> None:
    """The argument itself."""
    parser.add_argument(
        "--roi",
        action="append",
        metavar="NAME",
        help="a name of the bladder in the structure sets; may be repeated: the first that is outlined (default: "
        f"{', '.join(USUAL)})",
    )


def roi_names(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The names of a command line, or the usual ones."""
    return tuple(arguments.roi or USUAL)
