"""What the user chose under Advanced, kept by Slicer from one start to the next."""

from dataclasses import dataclass
from pathlib import Path

import qt

_GROUP = "BladderAutoContour"
DEVICES = ("auto", "cuda", "cpu")


@dataclass(frozen=True)
class Settings:
    """device: one of DEVICES. weights: None for the shipped ones. working_folder: None for Slicer's temporary folder.

    Usage::

        save(dataclasses.replace(load(), device="cpu"))
    """

    device: str = "auto"
    weights: Path | None = None
    working_folder: Path | None = None


def load() -> Settings:
    """The kept settings. What nobody could have chosen (a file that somebody edited) counts as not set."""
    device = _text("device")
    return Settings(device if device in DEVICES else "auto", _path("weights"), _path("workingFolder"))


def save(settings: Settings) -> None:
    """Keep the settings."""
    store = qt.QSettings()
    store.setValue(f"{_GROUP}/device", settings.device)
    store.setValue(f"{_GROUP}/weights", str(settings.weights or ""))
    store.setValue(f"{_GROUP}/workingFolder", str(settings.working_folder or ""))


def _text(key: str) -> str:
    value = qt.QSettings().value(f"{_GROUP}/{key}", "")
    return value if isinstance(value, str) else ""


def _path(key: str) -> Path | None:
    text = _text(key)
    return Path(text) if text else None
