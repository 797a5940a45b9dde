"""The warm engine as Slicer sees it: real processes that contour real files, are cancelled, and die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from BladderAutoContourLib.imaging.files import write_volume
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.slicer.process.engine_process import EngineChoice, EngineProcess
from BladderAutoContourLib.slicer.process.messages import slower_way
from small_engine import water_scene
from watching import Witness, living, poll_until

RESULT = {"bladder.nrrd", "bladder_probability.nrrd", "RTSTRUCT.dcm", "preview.png", "report.json"}
WAY_OF_A_CT = ["load", "read", "localise", "segment", "restore", "decide", "structure-set", "picture", "write"]

posix = pytest.mark.skipif(sys.platform == "win32", reason="looks at POSIX processes")


@pytest.fixture
def engine(log: list[str]) -> Iterator[EngineProcess]:
    """An engine process of this Python."""
    process = EngineProcess(Path(sys.executable), log.append)
    yield process
    process.close()


@pytest.fixture
def begun(engine: EngineProcess) -> Callable[..., tuple[Witness, int]]:
    """Ask for a contour and wait for one of its steps; its witness, and the process's number."""

    def begin(ct: Path, output: Path, step: str) -> tuple[Witness, int]:
        witness = Witness()
        engine.segment([ct], output, witness)
        poll_until(engine, lambda: step in witness.steps)
        return witness, engine.pid

    return begin


@pytest.fixture
def ct_mask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask of the analytic scene's bladder."""
    ct, inside = water_scene()
    path = tmp_path_factory.mktemp("mask") / "edited.nrrd"
    write_volume(Volume(inside.astype("uint8"), ct.geometry), path)
    return path


def names(folder: Path) -> set[str]:
    """What a folder holds."""
    return {path.name for path in folder.iterdir()}


@posix
def test_one_process_contours_and_writes_structure_sets(engine, log, ct_folder, weights, tmp_path, one_second):
    class Chain(Witness):
        """Asks for the next thing as soon as it hears of the last one."""

        def finished(self, folder: Path | None) -> None:
            super().finished(folder)
            mask = {"mask": folder / "bladder.nrrd", "output": exported, "generation": "SEMIAUTOMATIC"}
            engine.write_structure_set({"ct": [ct_folder], **mask, "name": "Blase", "probability": None}, second)

    exported, first, second = tmp_path / "exporté ü.dcm", Chain(), Witness()
    begun = time.monotonic()
    engine.warm(EngineChoice("cpu", weights))
    assert time.monotonic() - begun < one_second() / 4, "it waited for the process"
    assert not engine.busy

    engine.segment(sorted(ct_folder.iterdir()), tmp_path / "résultat 膀胱", first, export_name="Blase")
    assert engine.busy
    with pytest.raises(RuntimeError):
        engine.segment([ct_folder], tmp_path / "other", second)
    seconds = []
    while not first.ends:
        begun = time.monotonic()
        engine.poll()
        seconds.append(time.monotonic() - begun)
    assert sorted(seconds)[len(seconds) // 2] < 0.05, "poll held the window"
    pid = engine.pid
    assert first.ends == [tmp_path / "résultat 膀胱"]
    assert names(first.ends[0]) == RESULT
    assert first.steps == WAY_OF_A_CT
    assert any("Contoured on CPU" in line for line in log)

    poll_until(engine, lambda: second.ends)
    assert second.ends == [tmp_path]
    assert pydicom.dcmread(exported).StructureSetROISequence[0].ROIName == "Blase"
    assert engine.pid == pid
    assert not engine.busy

    engine.warm(EngineChoice("cpu", weights))
    assert engine.pid == pid, "the same choice needs no other process"
    engine.warm(EngineChoice("auto", weights))
    poll_until(engine, lambda: engine.pid not in (None, pid))
    assert living(pid) == []
    assert names(tmp_path) == {"résultat 膀胱", "exporté ü.dcm"}


@posix
@pytest.mark.parametrize("step", ["load", "read", "segment"])
def test_cancel_leaves_nothing_within_a_second(
    engine, begun, ct_folder, long_ct_folder, slow_weights, tmp_path, step, one_second
):
    engine.warm(EngineChoice("cpu", slow_weights))
    witness, pid = begun(ct_folder if step == "segment" else long_ct_folder, tmp_path / "out put", step)
    engine.cancel()
    engine.cancel()  # somebody clicks twice
    assert engine.busy
    seconds = poll_until(engine, lambda: witness.ends)
    assert seconds < one_second()
    assert living(pid) == []
    assert (witness.failure.code, witness.failure.kind) == (130, "cancelled")
    assert list(tmp_path.iterdir()) == []
    assert not engine.busy
    assert engine.pid is None


@posix
def test_a_killed_engine_is_told_and_the_next_request_starts_a_new_one(
    engine, begun, ct_folder, weights, slow_weights, tmp_path
):
    engine.warm(EngineChoice("cpu", slow_weights))
    witness, pid = begun(ct_folder, tmp_path / "first", "segment")
    os.kill(pid, signal.SIGKILL)
    poll_until(engine, lambda: witness.ends)
    assert (witness.failure.code, witness.failure.kind) == (-9, "engine-killed")
    assert "memory" in witness.failure.message
    assert witness.failure.advice
    assert list((tmp_path / "first").iterdir()) == [], "half a result was left"

    engine.warm(EngineChoice("cpu", weights))
    second = Witness()
    engine.segment([ct_folder], tmp_path / "second", second)
    poll_until(engine, lambda: second.ends)
    assert names(tmp_path / "second") == RESULT

    os.kill(engine.pid, signal.SIGKILL)  # while nothing is asked of it
    while living(engine.pid):
        pass
    third = Witness()
    engine.segment([ct_folder], tmp_path / "third", third)
    poll_until(engine, lambda: third.steps)
    engine.cancel()
    poll_until(engine, lambda: third.ends)
    assert third.failure.code == 130
    assert len(witness.ends) == len(second.ends) == 1


def test_what_the_engine_refuses_is_told_and_it_lives_on(engine, ct_file, ct_folder, weights, tmp_path):
    engine.warm(EngineChoice("cpu", weights))
    asked = {
        "input": lambda listener: engine.segment([tmp_path / "no CT"], tmp_path / "out", listener),
        "output": lambda listener: engine.segment([ct_folder], ct_file / "below a file", listener),
        "usage": lambda listener: engine.write_structure_set({"ct": [ct_folder], "output": tmp_path / "rs"}, listener),
    }
    pids = set()
    for kind, ask in asked.items():
        witness = Witness()
        ask(witness)
        poll_until(engine, lambda witness=witness: witness.ends)
        assert witness.failure.kind == kind
        assert witness.failure.message
        assert witness.failure.advice
        pids.add(engine.pid)
    assert len(pids) == 1
    assert list(tmp_path.iterdir()) == []


def test_advice_about_a_ct_is_not_given_about_a_structure_set(engine, ct_file, ct_folder, ct_mask):
    witness = Witness()
    engine.write_structure_set({"ct": [ct_folder], "mask": ct_mask, "output": ct_file / "below a file.dcm"}, witness)
    poll_until(engine, lambda: witness.ends)
    assert witness.failure.kind == "output"
    assert witness.failure.sentence == witness.failure.message, "the working folder would not help"


@posix
@pytest.mark.parametrize("own", [True, False])
def test_who_uses_the_shipped_weights_is_not_sent_to_them(stage, tmp_path, own):
    engine = stage("""
        say(error={"code": 7, "kind": "weights", "message": "Damaged. Install again.", "files": []})
        sys.exit(7)
    """)
    engine.warm(EngineChoice("cpu", tmp_path / "own.pt" if own else None))
    witness = Witness()
    engine.segment([tmp_path / "ct"], tmp_path / "out", witness)
    poll_until(engine, lambda: witness.ends)
    assert (witness.failure.sentence == "Damaged. Install again.") is not own


def test_damaged_weights_are_told_at_once(engine, log, ct_folder, tmp_path):
    (tmp_path / "none.pt").write_text("no weights")
    engine.warm(EngineChoice("cpu", tmp_path / "none.pt"))
    witness = Witness()
    engine.segment([ct_folder], tmp_path / "out", witness)
    poll_until(engine, lambda: witness.ends)
    assert (witness.failure.code, witness.failure.kind) == (7, "weights")
    assert "none" in witness.failure.message
    assert "leave the weights file under Advanced empty" in witness.failure.advice
    assert slower_way() not in log, "the slower way would have failed the same way"
    assert engine.pid is None
    assert names(tmp_path) == {"none.pt"}


def test_a_missing_torch_is_told_at_once_but_structure_sets_need_none(
    engine, log, ct_folder, ct_mask, tmp_path, monkeypatch
):
    broken = tmp_path / "packages" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ModuleNotFoundError('No module named torch', name='torch')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    witness = Witness()
    engine.segment([ct_folder], tmp_path / "out", witness)
    poll_until(engine, lambda: witness.ends)
    assert (witness.failure.code, witness.failure.kind) == (8, "package-missing")
    assert "PyTorch" in witness.failure.message
    assert "setup_dev" not in witness.failure.sentence
    assert slower_way() not in log

    second = Witness()
    engine.write_structure_set({"ct": [ct_folder], "mask": ct_mask, "output": tmp_path / "rs.dcm"}, second)
    poll_until(engine, lambda: second.ends)
    assert second.ends == [tmp_path]
    assert (tmp_path / "rs.dcm").read_bytes()[128:132] == b"DICM"


def test_a_python_that_is_not_there_is_told(log, ct_folder, tmp_path):
    engine = EngineProcess(tmp_path / "no Python", log.append)
    engine.warm(EngineChoice())
    assert engine.pid is None
    witness = Witness()
    engine.segment([ct_folder], tmp_path / "out", witness)
    poll_until(engine, lambda: witness.ends)
    assert (witness.failure.code, witness.failure.kind) == (8, "python-missing")
    assert witness.failure.files == (str(tmp_path / "no Python"),)
    assert not engine.busy
    engine.close()


def test_it_can_be_imported_where_slicer_is_not():
    program = "import sys; sys.modules['slicer'] = None; import BladderAutoContourLib.slicer.process.engine_process"
    subprocess.run([sys.executable, "-c", program], check=True)
