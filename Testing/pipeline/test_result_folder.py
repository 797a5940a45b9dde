"""A result folder is whole or untouched, whatever happens in between."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from BladderAutoContourLib import host
from BladderAutoContourLib.errors import OutputError
from BladderAutoContourLib.pipeline.result_folder import (
    MASK,
    REPORT,
    RESULT_FILES,
    STRUCTURE_SET,
    TEMPORARY_PREFIX,
    ResultFolder,
)


def write_all(results: ResultFolder, content: str, names=RESULT_FILES) -> None:
    for name in names:
        results.path(name).write_text(content)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_appear_together(tmp_path: Path) -> None:
    output = tmp_path / "Ergebnis Müller" / "deep"
    with ResultFolder(output) as results:
        write_all(results, "new")
        assert [name for name in names(output) if not name.startswith(TEMPORARY_PREFIX)] == []
        results.put_in_place()
    assert names(output) == sorted(RESULT_FILES)


def fail_within(output: Path) -> None:
    with ResultFolder(output) as results:
        write_all(results, "half")
        raise RuntimeError


def test_failed_run_leaves_no_folder_that_it_made(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail_within(tmp_path / "a" / "b")
    assert names(tmp_path) == []


def test_two_runs_may_make_the_folder_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mkdir = Path.mkdir

    def after_the_other(path: Path, **options: bool) -> None:
        if path.parent == tmp_path:
            mkdir(path, exist_ok=True)
        mkdir(path, **options)

    monkeypatch.setattr(Path, "mkdir", after_the_other)
    with ResultFolder(tmp_path / "both" / "mine") as results:
        write_all(results, "new")
        results.put_in_place()
    assert names(tmp_path / "both" / "mine") == sorted(RESULT_FILES)
    with pytest.raises(RuntimeError):
        fail_within(tmp_path / "other" / "mine")
    assert names(tmp_path / "other") == []


def test_failed_run_keeps_the_earlier_results(tmp_path: Path) -> None:
    with ResultFolder(tmp_path) as results:
        write_all(results, "old")
        results.put_in_place()
    with pytest.raises(RuntimeError):
        fail_within(tmp_path)
    assert names(tmp_path) == sorted(RESULT_FILES)
    assert {(tmp_path / name).read_text() for name in RESULT_FILES} == {"old"}


@pytest.mark.parametrize("held", RESULT_FILES)
@pytest.mark.parametrize("when", ["earlier", "new"])
def test_a_file_that_cannot_be_replaced_leaves_the_earlier_results(tmp_path: Path, monkeypatch, held, when) -> None:
    """As where a viewer on Windows holds it open: nowhere else is there a file that cannot be moved."""
    with ResultFolder(tmp_path) as results:
        write_all(results, "old")
        results.put_in_place()
    replace = host.replace_file

    def refuse(source: Path, target: Path) -> None:
        if source.name == held and (source if when == "earlier" else target).parent == tmp_path:
            monkeypatch.setattr(host, "replace_file", replace)
            raise PermissionError(13, "in use", str(source))
        replace(source, target)

    monkeypatch.setattr(host, "replace_file", refuse)
    with ResultFolder(tmp_path) as results:
        write_all(results, "new")
        with pytest.raises(OutputError, match="in use"):
            results.put_in_place()
    assert names(tmp_path) == sorted(RESULT_FILES)
    assert {(tmp_path / name).read_text() for name in RESULT_FILES} == {"old"}


def test_earlier_results_that_cannot_be_put_back_are_not_lost(tmp_path: Path, monkeypatch) -> None:
    """As where a scanner holds new files longer than they are tried again."""
    with ResultFolder(tmp_path) as results:
        write_all(results, "old", [name for name in RESULT_FILES if name != STRUCTURE_SET])
        results.put_in_place()
    replace = host.replace_file

    def refuse(source: Path, target: Path) -> None:
        if (source.name == REPORT and source.parent.parent == tmp_path) or source.parent.name == "earlier":
            raise PermissionError(13, "in use", str(source))
        replace(source, target)

    with monkeypatch.context() as held, ResultFolder(tmp_path) as results:
        write_all(results, "new")
        held.setattr(host, "replace_file", refuse)
        with pytest.raises(OutputError, match=r"in use.* earlier results wait in .*next run .* puts them back"):
            results.put_in_place()
    assert not (tmp_path / REPORT).exists()
    with pytest.raises(RuntimeError):
        fail_within(tmp_path)
    assert names(tmp_path) == sorted(set(RESULT_FILES) - {STRUCTURE_SET})
    assert {(tmp_path / name).read_text() for name in names(tmp_path)} == {"old"}


@pytest.mark.parametrize("moves", range(1, 9))
def test_a_run_killed_while_it_moves_files_loses_no_earlier_result(tmp_path: Path, moves: int) -> None:
    with ResultFolder(tmp_path) as results:
        write_all(results, "old", [name for name in RESULT_FILES if name != STRUCTURE_SET])
        results.put_in_place()
    killed = subprocess.run([sys.executable, "-c", KILLED_AFTER, str(tmp_path), str(moves)], check=False)
    assert killed.returncode == 9
    with pytest.raises(RuntimeError):
        fail_within(tmp_path)
    assert names(tmp_path) == sorted(set(RESULT_FILES) - {STRUCTURE_SET})
    assert {(tmp_path / name).read_text() for name in names(tmp_path)} == {"old"}


def test_results_that_another_run_removed_are_no_results(tmp_path: Path) -> None:
    with ResultFolder(tmp_path) as results:
        write_all(results, "old")
        results.put_in_place()
    with ResultFolder(tmp_path) as one:
        write_all(one, "one")
        with ResultFolder(tmp_path) as other:
            with pytest.raises(OutputError, match="by another run"):
                one.put_in_place()
            write_all(other, "other")
            other.put_in_place()
    assert {(tmp_path / name).read_text() for name in RESULT_FILES} == {"other"}


def test_structure_set_of_an_earlier_ct_does_not_stay_beside_new_results(tmp_path: Path) -> None:
    with ResultFolder(tmp_path) as results:
        write_all(results, "old")
        results.put_in_place()
    (tmp_path / "notes of the user.txt").write_text("mine")
    with ResultFolder(tmp_path) as results:
        write_all(results, "new", [MASK, REPORT])
        results.put_in_place()
    assert names(tmp_path) == sorted([MASK, REPORT, "notes of the user.txt"])
    assert not (tmp_path / STRUCTURE_SET).exists()


@pytest.mark.parametrize("kept", [[MASK], [STRUCTURE_SET], [MASK, STRUCTURE_SET, "ct.nrrd"]])
def test_what_somebody_else_has_made_is_not_replaced(tmp_path: Path, kept: list[str]) -> None:
    for name in kept:
        (tmp_path / name).write_text("drawn by hand")
    replaced = ", ".join(name for name in (MASK, STRUCTURE_SET) if name in kept)
    words = f"no result of a contouring.* replace: {replaced}\\. "
    with pytest.raises(OutputError, match=words), ResultFolder(tmp_path):
        pass
    assert names(tmp_path) == sorted(kept)


KILLED_AFTER = """
import os, sys
from pathlib import Path
from BladderAutoContourLib import host
from BladderAutoContourLib.pipeline.result_folder import RESULT_FILES, ResultFolder
replace, left = host.replace_file, [int(sys.argv[2])]
def last(source, target):
    replace(source, target)
    left[0] -= 1
    if not left[0]:
        os._exit(9)
host.replace_file = last
with ResultFolder(Path(sys.argv[1])) as results:
    for name in RESULT_FILES:
        results.path(name).write_text("new")
    results.put_in_place()
"""

KILLED = """
import sys, time
from pathlib import Path
from BladderAutoContourLib.pipeline.result_folder import ResultFolder, MASK
with ResultFolder(Path(sys.argv[1])) as results:
    results.path(MASK).write_text("half")
    print("written", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "written\n"
    process.kill()
    process.wait()
    assert len(names(tmp_path)) == 1
    assert names(tmp_path)[0].startswith(TEMPORARY_PREFIX)
    with ResultFolder(tmp_path) as results:
        write_all(results, "new", [MASK])
        results.put_in_place()
    assert names(tmp_path) == [MASK]


def test_discard_from_another_thread_removes_everything_at_once(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with ResultFolder(output) as results:
        write_all(results, "half")
        begun = time.monotonic()
        results.discard()
        assert time.monotonic() - begun < 0.5
        assert not output.exists()


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_a_file_in_the_way_is_said(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("I was here first")
    with pytest.raises(OutputError, match="output folder") as caught, ResultFolder(tmp_path / below):
        pass
    assert caught.value.code == 6
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a place where nobody can make a folder")
def test_place_where_nothing_can_be_made_is_said() -> None:
    with pytest.raises(OutputError), ResultFolder(Path("/proc/bladder/results")):
        pass


def test_full_disk_is_said_and_leaves_nothing(full_disk: Path) -> None:
    with pytest.raises(OutputError, match="full"), ResultFolder(full_disk / "out") as results:
        results.path(MASK).write_bytes(bytes(4 * 2**20))
    assert names(full_disk) == []


def test_failure_to_read_an_input_is_not_taken_for_one_to_write(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), ResultFolder(tmp_path / "out"):
        (tmp_path / "no such input").read_bytes()
