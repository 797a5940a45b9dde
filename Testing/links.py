"""Links in the file system, which not every user of Windows may make."""

from pathlib import Path

import pytest


def link(place: Path, target: Path, to_folder: bool = False) -> None:
    """Make `place` a link to `target`; skips the test where the system does not let its user."""
    try:
        place.symlink_to(target, target_is_directory=to_folder)
    except OSError:
        pytest.skip("nobody may make links here")
