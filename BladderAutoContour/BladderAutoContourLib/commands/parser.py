"""The argument parser of every command: its errors are the family's."""

import argparse
from typing import NoReturn

from ..errors import UsageError


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are UsageErrors: argparse's own would end the process past the events."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with what is wrong and where help is."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}. See `{self.prog} --help`.")
