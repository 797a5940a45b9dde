"""The command line as a whole: help, usage errors, start-up."""

import json
import subprocess
import sys
from pathlib import Path

import BladderAutoContourLib as package
import pytest
from BladderAutoContourLib.__main__ import COMMANDS

PACKAGE_FOLDER = Path(package.__file__).parents[1]
HEAVY = ("torch", "SimpleITK", "vtkmodules", "numpy")


def test_without_command_prints_the_commands(run):
    outcome = run()
    outcome.failed_with(2, "usage", "command")
    for name in COMMANDS:
        assert f"  {name} " in outcome.stdout


def test_help_lists_the_commands(run):
    outcome = run("--help")
    assert outcome.code == 0
    assert outcome.stderr == ""
    for name in COMMANDS:
        assert f"  {name} " in outcome.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(run, name):
    outcome = run(name, "--help")
    assert outcome.code == 0, outcome.stderr
    assert f"BladderAutoContourLib {name}" in outcome.stdout
    assert outcome.stderr == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_refuses_unknown_options(run, name):
    run(name, "--no-such-option").failed_with(2, "usage", "--help")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("segment", "--help"), ("serve", "--help"), ("segment",)])
def test_help_and_usage_import_nothing_heavy(arguments):
    words = [sys.executable, "-X", "importtime", "-m", "BladderAutoContourLib", *arguments]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=60, check=False)
    imported = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "BladderAutoContourLib.events" in imported
    assert not imported.intersection(HEAVY)


def test_unknown_command(run):
    run("contuor").failed_with(2, "usage", "contuor")


def test_segment_without_arguments(run):
    run("segment").failed_with(2, "usage", "CT", "--output")


def test_unknown_device(run, tmp_path):
    run("segment", tmp_path, "--output", tmp_path / "out", "--device", "tpu").failed_with(2, "usage", "tpu")


def test_usage_is_checked_before_a_file_is_touched(run, tmp_path):
    run("segment", tmp_path, "--output", tmp_path / "out", "--bogus").failed_with(2, "usage", "--bogus")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_torch_says_what_to_do(tmp_path, ct_file):
    hiding = "import sys; sys.modules['torch'] = None; from BladderAutoContourLib.__main__ import main; "
    program = hiding + f"sys.exit(main(['segment', {str(ct_file)!r}, '--output', {str(tmp_path / 'out')!r}]))"
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 8, done.stderr
    assert "torch" in done.stderr
    assert "setup_dev.py" in done.stderr
    assert "Traceback" not in done.stderr
    error = json.loads(done.stdout.splitlines()[-1])["error"]
    assert error["kind"] == "package-missing"
    cause, sentence = done.stderr.splitlines()
    assert cause.startswith("ModuleNotFoundError: import of torch halted")
    assert sentence == error["message"]


@pytest.mark.parametrize("foreign", [True, False])
def test_a_package_of_another_python_is_told_with_what_brings_it(tmp_path, ct_file, monkeypatch, foreign):
    (tmp_path / "torch.py").write_text("raise ImportError('built for another Python', name='torch')")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from BladderAutoContourLib.__main__ import main; "
    program += f"sys.exit(main(['segment', {str(ct_file)!r}, '--output', {str(tmp_path / 'out')!r}]))"
    # Slicer's panel gives the engine the program's own folder
    monkeypatch.setenv("PYTHONPATH", str(tmp_path if foreign else PACKAGE_FOLDER))
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=60, check=False)
    cause, sentence = done.stderr.splitlines()
    assert cause == "ImportError: built for another Python"
    # Slicer's own Python, where nothing but the launcher sets the variable, is no virtual environment
    told = foreign and sys.prefix != sys.base_prefix
    assert ("PYTHONPATH is set" in sentence and "unset it" in sentence) is told
    assert "setup_dev.py" in sentence
    assert done.returncode == 8


def test_help_says_what_a_command_does(run):
    assert "  contours        write a structure's contours to a text file" in run("--help").stdout
    told = " ".join(run("train", "--help").stdout.split())
    assert "temperature and the doubt of slices on N others (default 30; 0: leave all three as they are)" in told


def test_a_bug_shows_its_traceback_and_has_a_code_of_its_own():
    breaking = "import sys; import BladderAutoContourLib.commands.segment as s; s.run = lambda *_: 1 // 0; "
    program = (
        breaking + "from BladderAutoContourLib.__main__ import main; sys.exit(main(['segment', 'a', '--output', 'b']))"
    )
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 70
    assert "ZeroDivisionError" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["error"] == {
        "code": 70,
        "kind": "bug",
        "message": done.stderr.splitlines()[-1],
        "files": [],
    }


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full, as Linux has it")
@pytest.mark.parametrize("arguments", [["segment", "nowhere", "--output", "out"], ["nonsense"], []])
def test_the_code_and_the_last_line_are_right_where_standard_error_takes_nothing(tmp_path, arguments):
    words = [sys.executable, "-m", "BladderAutoContourLib", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=full, encoding="utf-8", cwd=tmp_path, check=False)
        silent = subprocess.run(words, stdout=full, stderr=full, cwd=tmp_path, check=False)
    error = json.loads(done.stdout.splitlines()[-1])["error"]
    assert done.returncode == error["code"] == (3 if arguments[1:] else 2)
    assert silent.returncode == error["code"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipe that a shell closes early")
def test_a_reader_that_goes_away_is_a_cancel(ct_file, tmp_path):
    words = [sys.executable, "-m", "BladderAutoContourLib", "segment", str(ct_file), "--output", str(tmp_path / "out")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    stderr = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 130
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr
    assert not (tmp_path / "out").exists()
