"""A Qt property that only keeps its value."""

from itertools import count
from typing import Any

from PySide6.QtCore import Property, QObject

_numbers = count()


def stored(kind: type | str, default: Any) -> Property:
    """A property of a type that holds what was set last."""
    name = f"_stored_{next(_numbers)}"

    def keep(self: QObject, value: Any) -> None:
        setattr(self, name, value)

    return Property(kind, lambda self: getattr(self, name, default), keep)
