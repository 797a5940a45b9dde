"""The argument parser of every command: its errors are the family's."""

import argparse
import math
from collections.abc import Callable
from typing import NoReturn

from ..errors import UsageError


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are UsageErrors: argparse's own would end the process past the events."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with what is wrong and where help is."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}. See `{self.prog} --help`.")


def at_least(least: int) -> Callable[[str], int]:
    """The `type` of an argument that is a whole number, `least` or more."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number from {least} on")
        return value

    return number


def millimetres(text: str) -> float:
    """The `type` of an argument that is a length. Raises ArgumentTypeError for none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no length in mm: it is greater than 0")
    return value
