"""Every way to fail is a sentence for a clinician, and says what to do in the panel."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from BladderAutoContourLib import errors
from BladderAutoContourLib.failures import BugError, PackageMissing
from BladderAutoContourLib.slicer.process.messages import (
    BUG,
    PACKAGE_MISSING,
    failure_cancelled,
    failure_ended,
    failure_of,
    failure_to_start,
    failure_told,
    slower_way,
)

FAMILY = [
    *(errors.UsageError, errors.InputError, errors.NoBladderError, errors.OutOfMemoryError, errors.OutputError),
    *(errors.WeightsError, errors.EnvironmentFault, errors.VerificationError, errors.Cancelled, BugError),
]
"""What the engine may tell: an error of each exit code."""
WINDOWS_CODES = (0xC0000005, 0xC0000017, 0xC000013A, 0xC00000FD, 0xC0000409, 1)


def told(error: errors.BladderError):
    """The failure of an error, by way of the line that the engine writes."""
    return failure_told(json.loads(json.dumps(error.as_event()))["error"])


def is_whole(sentence: str) -> bool:
    """Whether words begin large, end with a full stop, and speak no programmer's language."""
    foreign = re.search(r"--\w|\{|\}|None|Traceback|setup_dev|exit code|stderr|stdout|CUDA", sentence)
    return bool(re.match(r"[A-Z].*\.$", sentence, re.DOTALL)) and not foreign


@pytest.mark.parametrize("error", FAMILY[:-1])
def test_every_exit_code_keeps_the_engines_message_and_adds_advice(error):
    failure = told(error("This is what went wrong.", ["/a/file"]))
    assert (failure.code, failure.kind) == (error.code, error.kind)
    assert failure.message == "This is what went wrong."
    assert failure.files == ("/a/file",)
    assert is_whole(failure.advice)
    assert failure.sentence == f"This is what went wrong. {failure.advice}"


def test_a_bug_is_told_without_the_terminals_words():
    failure = told(BugError("Please report the lines on standard error."))
    assert (failure.code, failure.kind) == (BUG, "bug")
    assert is_whole(failure.sentence)
    assert "standard error" not in failure.sentence
    assert "text under Log" in failure.advice


def test_each_exit_code_has_advice_of_its_own():
    advice = {error.code: told(error("It failed.")).advice for error in FAMILY}
    assert set(advice) == {2, 3, 4, 5, 6, 7, 8, 9, 130, BUG}
    assert len(set(advice.values())) == len(advice)
    assert "weights file under Advanced" in advice[7]
    assert "Processor (CPU) under Advanced" in advice[8]


@pytest.mark.parametrize("error", FAMILY)
def test_an_export_gets_only_the_advice_that_suits_it(error):
    event = error("It failed.").as_event()["error"]
    suits = error.code in (2, 5, 9, BUG)
    assert failure_told(event, exporting=True).advice == (failure_told(event).advice if suits else "")


def test_a_missing_package_is_told_without_the_terminals_words():
    failure = told(PackageMissing("The Python package torch is missing or broken. Run `python setup_dev.py`."))
    assert (failure.code, failure.kind) == (8, PACKAGE_MISSING)
    assert "PyTorch" in failure.message
    assert "button" in failure.advice
    assert is_whole(failure.sentence)


def test_an_error_that_says_too_little_is_a_bug():
    failure = failure_told({})
    assert (failure.code, failure.kind) == (BUG, "bug")
    assert is_whole(failure.message)
    assert is_whole(failure.advice)


@pytest.mark.parametrize("code", [-9, -15, -11, -6, -4, 0, 1, 139, *WINDOWS_CODES])
def test_every_silent_end_is_a_sentence_with_advice(code):
    failure = failure_ended(code)
    assert failure.code == code
    assert is_whole(failure.message)
    assert is_whole(failure.advice)


@pytest.mark.parametrize(
    ("code", "kind", "word"),
    [
        (-9, "engine-killed", "memory"),
        (0xC0000017, "engine-killed", "memory"),
        (-15, "engine-killed", "stopped"),
        (0xC000013A, "engine-killed", "stopped"),
        (-11, "engine-crashed", "(code -11)"),
        (0xC0000005, "engine-crashed", "(code 0xc0000005)"),
        (1, "engine-crashed", "(code 1)"),
    ],
)
def test_how_a_process_died_tells_why(code, kind, word):
    failure = failure_ended(code)
    assert failure.kind == kind
    assert word in failure.message


@pytest.mark.skipif(sys.platform == "win32", reason="kills the POSIX way")
@pytest.mark.parametrize(("signal", "kind"), [(9, "engine-killed"), (11, "engine-crashed")])
def test_the_codes_are_those_of_real_processes(signal, kind):
    died = subprocess.run([sys.executable, "-c", f"import os; os.kill(os.getpid(), {signal})"], check=False)
    assert failure_ended(died.returncode).kind == kind


def test_a_python_that_cannot_be_run_is_told():
    failure = failure_to_start(Path("/no/PythonSlicer"), "No such file or directory")
    assert (failure.code, failure.kind) == (8, "python-missing")
    assert "PythonSlicer" in failure.message
    assert failure.files == (str(Path("/no/PythonSlicer")),)
    assert is_whole(failure.sentence)


def test_a_cancel_says_that_nothing_was_changed():
    failure = failure_cancelled()
    assert (failure.code, failure.kind) == (130, "cancelled")
    assert failure.sentence == "Cancelled. Nothing in the scene was changed."


def test_the_slower_way_is_a_sentence():
    assert is_whole(slower_way())


def test_what_is_raised_on_slicers_side_keeps_its_own_words():
    failure = failure_of(errors.InputError("The volume is transformed. Harden the transform.", ["/a"]))
    assert (failure.code, failure.kind, failure.files) == (3, "input", ("/a",))
    assert failure.sentence == "The volume is transformed. Harden the transform."


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (MemoryError(), 5, "memory"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/disk"), 6, "full"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/locked"), 6, "Permission denied"),
        (OSError(), 6, "OSError"),
    ],
)
def test_what_python_raises_on_slicers_side_is_told(error, code, word):
    failure = failure_of(error)
    assert failure.code == code
    assert word in failure.message
    assert is_whole(failure.sentence)


def test_a_bug_on_slicers_side_shows_its_traceback(capsys):
    try:
        [].pop()
    except IndexError as error:
        failure = failure_of(error)
    assert (failure.code, failure.kind) == (BUG, "bug")
    assert is_whole(failure.sentence)
    assert "[].pop()" in capsys.readouterr().err
