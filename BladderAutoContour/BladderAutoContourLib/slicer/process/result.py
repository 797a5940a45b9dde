"""A result folder of the engine, read and checked: what its report says, and where its files lie."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ...errors import InputError

SCHEMA = 1
SEVERITIES = ("warning", "note")
FALLBACK = "fallback"
"""The code of a warning that says of no contour anything, but of the way it was computed: not as asked."""
_MASK, _PROBABILITY, _REPORT = "bladder.nrrd", "bladder_probability.nrrd", "report.json"


@dataclass(frozen=True)
class SliceWarning:
    """Something to look at. severity: "warning" or "note"; slices: numbers along the CT's slice axis, none for all."""

    code: str
    severity: str
    sentence: str
    slices: tuple[int, ...]


@dataclass(frozen=True)
class Result:
    """An automatic contour on disk, as far as Slicer asks for it.

    confidence: the probability that this is a bladder. device: where the networks ran, in words. series_uid: None where
    the CT was a volume file.
    """

    mask: Path
    probability: Path
    volume_ml: float
    confidence: float
    device: str
    model_name: str
    model_sha256: str
    series_uid: str | None
    warnings: tuple[SliceWarning, ...]


@dataclass(frozen=True)
class CorrectedResult:
    """A corrected contour on disk. changed_slices: those in which it is another than the one that was sent.

    warnings: of the contour as it is now, and of the way it was computed.
    """

    mask: Path
    changed_slices: tuple[int, ...]
    warnings: tuple[SliceWarning, ...]


def read_correction(folder: Path) -> CorrectedResult:
    """The result of a finished correction. Raises InputError where it is incomplete, damaged or of another version."""
    report = _read_report(folder / _REPORT)
    _expect_files(folder, [_MASK])
    try:
        return CorrectedResult(
            mask=folder / _MASK,
            changed_slices=tuple(_count(number) for number in report["changed_slices"]),
            warnings=tuple(_warning(warning) for warning in report["warnings"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder / _REPORT) from error


def read_result(folder: Path) -> Result:
    """The result of a finished run. Raises InputError where it is incomplete, damaged or of another version."""
    report = _read_report(folder / _REPORT)
    _expect_files(folder, [_MASK, _PROBABILITY])
    try:
        return Result(
            mask=folder / _MASK,
            probability=folder / _PROBABILITY,
            volume_ml=_number(report["volume_ml"]),
            confidence=_number(report["confidence"], 0, 1),
            device=_text(report["device"]),
            model_name=_text(report["model"]["name"]),
            model_sha256=_text(report["model"]["sha256"]),
            series_uid=None if report["input"]["series_uid"] is None else _text(report["input"]["series_uid"]),
            warnings=tuple(_warning(warning) for warning in report["warnings"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder / _REPORT) from error


def _expect_files(folder: Path, names: Sequence[str]) -> None:
    missing = [folder / name for name in names if not (folder / name).is_file()]
    if missing:
        sentence = _("The result is incomplete: {file} is missing. Contour the CT again.")
        raise InputError(sentence.format(file=missing[0].name), missing)


def _read_report(path: Path) -> Mapping[str, Any]:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(_("There is no finished result here. Contour the CT again."), [path]) from error
    except (OSError, ValueError) as error:
        raise _damaged(path) from error
    if not isinstance(report, dict):
        raise _damaged(path)
    if report.get("schema") != SCHEMA:
        raise InputError(_("The result was written by another version of this program. Contour the CT again."), [path])
    return report


def _damaged(path: Path) -> InputError:
    return InputError(_("The report of the result is damaged. Contour the CT again."), [path])


def _warning(fields: Mapping[str, Any]) -> SliceWarning:
    severity = _text(fields["severity"])
    if severity not in SEVERITIES:
        raise ValueError(severity)
    slices = tuple(_count(number) for number in fields["slices"])
    return SliceWarning(_text(fields["code"]), severity, _text(fields["sentence"]), slices)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(value)
    return value


def _number(value: Any, least: float = 0.0, most: float = math.inf) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most or value == math.inf:
        raise ValueError(value)
    return float(value)
