"""What a library prints while the engine loads is no word of the engine. A script plays the engine's part."""

import json
import sys
import time
from pathlib import Path

import pytest
from BladderAutoContourLib.errors import EnvironmentFault
from BladderAutoContourLib.slicer import sample_data
from BladderAutoContourLib.slicer.process.engine_process import EngineChoice
from BladderAutoContourLib.slicer.process.messages import Failure
from BladderAutoContourLib.slicer.process.weights_check import WeightsCheck

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a script is no program on Windows")
FAILED = {"error": {"code": 7, "kind": "weights", "message": "These are no weights.", "files": []}}


@pytest.fixture
def babbling(tmp_path: Path) -> Path:
    """An engine that fails, after a warning that is none of its own."""
    script = tmp_path / "python"
    lines = ["#!/bin/sh", "echo 'MKL WARNING: an old processor.'", "echo 5", f"echo '{json.dumps(FAILED)}'", "exit 7"]
    script.write_text("\n".join(lines) + "\n", encoding="ascii")
    script.chmod(0o755)
    return script


def test_weights_are_refused_in_the_engines_words(babbling):
    answers: list[Failure | None] = []
    check = WeightsCheck(babbling, EngineChoice(), answers.append)
    late = time.monotonic() + 60
    while not answers and time.monotonic() < late:
        check.poll()
    assert answers[0].message == "These are no weights."


def test_a_sample_that_cannot_be_generated_is_told_in_the_engines_words(babbling, tmp_path):
    with pytest.raises(EnvironmentFault, match="These are no weights"):
        sample_data._generate(babbling, tmp_path, lambda: None)
