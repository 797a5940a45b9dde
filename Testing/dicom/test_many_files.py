"""A CT among two thousand other files in nested folders: found in bounded time, with progress, all files told of."""

import json
import time

import numpy as np
import pytest
from BladderAutoContourLib.dicom.ct_series import read_ct
from many_files import GEOMETRY, Export, write_export
from scenes import texture

FILES = 2000
SECONDS = 20.0
"""An idle machine needs one; 20,000 files stand in Testing/Benchmarks/many_files.py."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def export(folder) -> Export:
    return write_export(folder, FILES)


def test_the_ct_is_found_in_bounded_time(folder, export, one_second):
    told: list[float] = []
    begun = time.monotonic()
    ct = read_ct([folder], progress=told.append)
    assert time.monotonic() - begun < SECONDS * one_second()
    assert np.array_equal(ct.volume.array, texture(GEOMETRY).array)
    assert [one.path for one in ct.slices] == export.ct
    assert {finding.code: len(finding.files) for finding in ct.findings} == {
        "other-object": export.other_images, "not-dicom": export.texts, "damaged": export.damaged,
    }  # fmt: skip
    assert len(export.ct) + export.other_images + export.texts + export.damaged == FILES
    assert told == sorted(told)
    # Nobody waits long for a word, while the files are listed neither.
    assert told.count(0.0) > 50
    assert max(np.diff([0.0, *told])) < 0.15
    assert len(told) > 100


def test_the_command_shows_progress(folder, export, program):
    done = program("inspect", folder)
    assert done.code == 1  # some files are damaged
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    shares = [event["fraction"] for event in events if event["event"] == "progress"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) >= 2
    # Thousands of files are counted, not listed.
    assert len(done.stdout) < 4000 + 150 * len(shares)
    assert f"{export.texts} files skipped: not DICOM" in done.stdout
