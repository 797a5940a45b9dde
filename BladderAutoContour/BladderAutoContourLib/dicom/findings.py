"""What was noticed in files: a value that commands print, reports hold and the checker returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

MOST_NAMED = 3
Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing noticed: a fixed `code` for programs, a sentence for people, the files concerned.

    Severity "error": not to be used as it is; "warning": look at it; "note": dealt with, said for the record.
    """

    code: str
    severity: Severity
    sentence: str
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f" [{name_files(self.files)}]" if self.files else ""
        return f"{self.severity}: {self.code}: {self.sentence}{where}"


def name_files(files: Sequence[object]) -> str:
    """File names for a sentence: the first few, then how many more."""
    shown = ", ".join(str(file) for file in files[:MOST_NAMED])
    return shown if len(files) <= MOST_NAMED else f"{shown} and {len(files) - MOST_NAMED} more"
