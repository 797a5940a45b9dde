"""`benchmark`: seconds and memory of a whole `segment` run, process start included, on a generated CT."""

import argparse
import json
import tempfile
from pathlib import Path

from .. import host
from ..errors import InputError
from ..events import Events
from .segment import add_engine_arguments, check_output

NAME = "benchmark"
HELP = "Measure seconds and memory of every step of a `segment` run on a generated 512 x 512 x 150 DICOM CT."
RESULT = "benchmark.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--smoke", action="store_true", help="a small CT: shows that it works, measures little")
    parser.add_argument("--ct", type=Path, metavar="CT", help="measure on this CT instead of a generated one")
    parser.add_argument("--output", type=Path, metavar="DIR", help=f"folder for {RESULT} (default: only printed)")
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Generate the CT, run `segment` on it, print what it cost. Raises the family's errors."""
    if arguments.output is not None:
        check_output(arguments.output)
    if arguments.ct is not None and not arguments.ct.exists():
        raise InputError(f"{arguments.ct} does not exist. Check the path.", [arguments.ct])
    from ..evaluation import speed  # here, because torch comes with it
    from ..evaluation.files import write_text
    from ..networks.weights import default_weights

    if arguments.weights is None:
        default_weights()  # missing ones are told now rather than after a minute of generating
    size, spacing_mm = (
        (speed.SMOKE_SIZE, speed.SMOKE_SPACING_MM) if arguments.smoke else (speed.FULL_SIZE, speed.FULL_SPACING_MM)
    )
    with tempfile.TemporaryDirectory(prefix="bladder-benchmark-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with events.cancellation.cleaning(lambda: host.remove_folder(folder)):
            ct = arguments.ct
            if ct is None:
                ct = folder / "ct"
                events.progress("generate", 0.0)
                speed.write_generated_ct(ct, size, spacing_mm)
                events.progress("generate", 1.0)
            events.progress("measure", 0.0)
            measured = speed.measure(ct, folder / "result", _options(arguments), events)
            events.progress("measure", 1.0)
    print(measured.as_text(), flush=True)
    if arguments.output is not None:
        write_text(arguments.output / RESULT, json.dumps(measured.as_data(), indent=2) + "\n")
        events.result(arguments.output)
    return 0


def _options(arguments: argparse.Namespace) -> list[str | Path]:
    weights = ["--weights", arguments.weights] if arguments.weights else []
    return ["--device", arguments.device, *weights]
