"""A folder in which no file can grow large: what a full disk or a used-up quota looks like to a program."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

QUOTA_BYTES = 2**16  # a CT slice or a structure set fits, a volume or a picture does not


@pytest.fixture
def full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder; while the test runs, the system refuses to let any file grow beyond QUOTA_BYTES."""
    if sys.platform == "win32":
        pytest.skip("Windows has no limit for the files of one process")
    import resource

    # Python would keep a cut-off .pyc file of what it imports meanwhile, for every process after this one.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    folder = tmp_path / "full"
    folder.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (QUOTA_BYTES, hard))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
