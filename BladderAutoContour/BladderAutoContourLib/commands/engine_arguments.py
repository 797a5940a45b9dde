"""Which engine a command loads: the arguments that say so, and the loading."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..events import Events

if TYPE_CHECKING:
    from ..pipeline.engine import Engine


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which engine is loaded."""
    parser.add_argument(
        "--device", choices=("auto", "cuda", "cpu"), default="auto", help="where the networks run (default: auto)"
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights to use instead of the shipped ones")


def load_engine(arguments: argparse.Namespace, events: Events) -> "Engine":
    """The engine that the arguments ask for. Raises WeightsError, EnvironmentFault."""
    events.progress("load", 0.0)
    from ..pipeline.engine import Engine  # here, because torch comes with it

    engine = Engine.load(arguments.weights, arguments.device)
    events.progress("load", 1.0)
    return engine
