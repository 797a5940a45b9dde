"""What every room's tests share: the outside judges, and property tests that repeat themselves exactly."""

import os
import shutil
import signal
from collections.abc import Callable

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

# A shell that starts this suite in the background has it ignore Ctrl-C, and so would every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def judge() -> Callable[[str], str]:
    """Path of an outside program that judges what we write, such as `judge("dciodvfy")`.

    Where it is not installed the test is skipped; in continuous integration, which installs them all, it fails.
    """

    def find(program: str) -> str:
        path = shutil.which(program)
        if path is None:
            sentence = f"The program {program} is not installed; .ci/run names the packages that hold the judges."
            if os.environ.get("CI"):
                pytest.fail(sentence)
            pytest.skip(sentence)
        return path

    return find
