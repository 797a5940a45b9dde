"""setup_dev.py from outside: real processes, real environments, real pip, small wheels."""

import ast
import json
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
from pinned import SCRIPT, pins
from shipped import ROOT
from small_wheels import make_wheel

SCRIPTS_FOLDER, PYTHON_NAME = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
USAGE, FAULT = 2, 8


@dataclass(frozen=True)
class House:
    """A repository that holds nothing but setup_dev.py and an engine to import."""

    root: Path

    @property
    def environment(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.environment / SCRIPTS_FOLDER / PYTHON_NAME

    @property
    def packages(self) -> Path:
        return next(self.environment.rglob("site-packages"))

    def run(self, *arguments: str | Path, python: str | Path = sys.executable) -> subprocess.CompletedProcess[str]:
        """Run setup_dev.py from a folder that is not the repository's."""
        return subprocess.run(
            [str(python), str(self.root / "setup_dev.py"), *(str(argument) for argument in arguments)],
            cwd=self.root.parent,
            env={**os.environ, "PYTHONUTF8": "1"},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )


def build_house(root: Path) -> House:
    engine = root / "BladderAutoContour" / "BladderAutoContourLib"
    engine.mkdir(parents=True)
    (engine / "__init__.py").write_text("", encoding="utf-8")
    shutil.copy(SCRIPT, root)
    return House(root)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for pin in pins():
        name, _, version = pin.partition("==")
        make_wheel(folder, name, version)
        if name == "torch":
            make_wheel(folder, name, f"{version}+cpu")
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory, wheels) -> tuple[House, str]:
    """A house that was set up once, and what setup_dev.py said then."""
    house = build_house(tmp_path_factory.mktemp("finished") / "a house")
    answer = house.run("--wheels", wheels)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return house, answer.stdout


@pytest.fixture
def house(finished, tmp_path) -> House:
    """A finished house that was moved to a folder with a space and letters that are not ASCII."""
    root = tmp_path / "mövéd höuse"
    shutil.copytree(finished[0].root, root, symlinks=True)
    return House(root)


def test_first_run_makes_the_environment_and_says_so(finished) -> None:
    house, said = finished
    assert "Making the environment" in said
    assert said.splitlines()[-1].endswith("is ready.")
    stamp = json.loads((house.environment / "bladder_auto_contour.json").read_text(encoding="utf-8"))
    assert stamp["pins"] == pins()


def test_second_run_finds_nothing_to_do(finished, tmp_path) -> None:
    answer = finished[0].run("--wheels", tmp_path)
    assert (answer.returncode, len(answer.stdout.splitlines())) == (0, 1)
    assert answer.stdout.strip().endswith("is complete.")


def test_moved_repository_finds_its_own_engine(house) -> None:
    assert house.run().returncode == 0
    question = "import BladderAutoContourLib as engine; print(ascii(engine.__file__))"
    answer = subprocess.run([house.python, "-c", question], capture_output=True, text=True, check=True)
    assert Path(ast.literal_eval(answer.stdout)).is_relative_to(house.root)


@pytest.mark.parametrize("loss", ["torch/nn.py", "numpy-2.4.6.dist-info/RECORD", "scipy", "ruff-0.17.5.dist-info"])
def test_lost_files_are_restored(house, wheels, loss) -> None:
    lost = house.packages / loss
    if lost.is_dir():
        shutil.rmtree(lost)
    else:
        lost.unlink()
    answer = house.run("--wheels", wheels)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"installed again: {loss.split('/')[0].split('-')[0]}." in answer.stdout
    assert lost.exists()
    assert "is complete." in house.run().stdout


def test_a_file_cut_short_is_noticed(house, wheels) -> None:
    (house.packages / "torch" / "nn.py").write_text("", encoding="utf-8")
    assert "installed again: torch." in house.run("--wheels", wheels).stdout


def test_a_package_that_somebody_changed_gets_its_version_back(house, wheels) -> None:
    make_wheel(house.root, "numpy", "1.26.4")
    pip = [house.python, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", house.root, "numpy==1.26.4"]
    subprocess.run(pip, check=True)
    assert (house.packages / "numpy-1.26.4.dist-info").exists()
    answer = house.run("--wheels", wheels)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert not (house.packages / "numpy-1.26.4.dist-info").exists()
    assert "is complete." in house.run().stdout


def test_pips_own_configuration_may_ask_for_another_place(house, wheels, tmp_path, monkeypatch) -> None:
    configuration = tmp_path / "pip.conf"
    configuration.write_text(f"[global]\nuser = true\nno-index = true\nfind-links = {wheels.as_posix()}\n")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    shutil.rmtree(house.packages / "scipy")
    answer = house.run()
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert (house.packages / "scipy").exists()


def test_what_torch_says_of_a_system_that_lacks_a_library_is_shown(house, tmp_path) -> None:
    (house.packages / "torch" / "__init__.py").write_text(
        "print('get it from aka.ms')\nraise OSError('WinError 126')\n"
    )
    (house.environment / "bladder_auto_contour.json").unlink()
    for record in house.packages.glob("torch-*.dist-info/RECORD"):
        rows = [row for row in record.read_text().splitlines() if not row.startswith("torch/__init__")]
        record.write_text("\n".join(rows) + "\n")
    answer = house.run("--wheels", tmp_path)
    assert answer.returncode == FAULT
    assert "get it from aka.ms" in answer.stdout
    assert "cannot be imported: OSError: WinError 126" in answer.stderr


@pytest.mark.parametrize("loss", ["pip", "pyvenv.cfg"])
def test_an_environment_that_cannot_install_is_made_anew(house, wheels, loss) -> None:
    if loss == "pip":
        shutil.rmtree(house.packages / "pip")
    else:
        (house.environment / loss).unlink()
    answer = house.run("--wheels", wheels)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "it is made anew" in answer.stdout
    assert "is complete." in house.run().stdout


def test_half_made_environment_is_made_anew_and_an_empty_folder_of_wheels_is_told(tmp_path) -> None:
    house = build_house(tmp_path / "half")
    (house.environment / "lib").mkdir(parents=True)
    (house.environment / "lib" / "left over").write_text("", encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    answer = house.run("--wheels", empty)
    assert answer.returncode == FAULT
    assert "broken or half-made" in answer.stdout
    assert f"pip could not install the packages from the wheels in {empty}." in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (house.environment / "lib" / "left over").exists()
    again = house.run("--wheels", empty)
    assert (again.returncode, "made anew" in again.stdout) == (FAULT, False)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has two builds under one version")
def test_chosen_build_of_torch(house, wheels, tmp_path) -> None:
    assert house.run("--torch", "cpu", "--wheels", wheels).returncode == 0
    assert (house.packages / "torch-2.13.0+cpu.dist-info").exists()
    plain = tmp_path / "plain"
    plain.mkdir()
    for pin in pins():
        make_wheel(plain, *pin.split("=="))
    answer = house.run("--torch", "cuda", "--wheels", plain)
    assert answer.returncode == FAULT
    assert "found no cuda build of PyTorch" in answer.stderr
    answer = house.run("--torch", "cpu", "--wheels", plain)
    assert answer.returncode == FAULT
    assert "install page of PyTorch names the package index" in answer.stderr


def test_tests_get_the_arguments_and_give_their_exit_code(finished) -> None:
    answer = finished[0].run("test", "-k", "dice", "-q")
    assert "pytest got ['Testing', '-k', 'dice', '-q']" in answer.stdout
    assert answer.returncode == 5


def test_what_is_compiled_is_kept(house, monkeypatch) -> None:
    """Containers often forbid it for all; then every process of the suite would compile torch anew."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    shutil.rmtree(house.packages / "pytest" / "__pycache__", ignore_errors=True)
    assert "pytest got" in house.run("test").stdout
    assert list((house.packages / "pytest" / "__pycache__").glob("*.pyc"))


def test_other_pythons_are_refused(finished, tmp_path) -> None:
    answer = finished[0].run("--python", tmp_path / "no python")
    assert answer.returncode == USAGE
    assert "is not a Python that runs" in answer.stderr


@pytest.mark.skipif(os.name == "nt", reason="the other Python is a shell script")
def test_other_versions_are_refused(finished, tmp_path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\necho \'["3.9.18 (main)", "/old", "/old/site-packages"]\'\n', encoding="utf-8")
    old.chmod(0o755)
    answer = finished[0].run("--python", old)
    assert answer.returncode == FAULT
    assert f"{old} is Python 3.9. Name a Python 3.11 or 3.12 with --python." in answer.stderr


@pytest.mark.parametrize("arguments", [["--wheels", "not there"], ["--unknown"], ["install"], ["demo", "--seed"]])
def test_usage_errors_are_told(finished, arguments) -> None:
    answer = finished[0].run(*arguments)
    assert answer.returncode == USAGE
    assert answer.stderr.strip()
    assert "Traceback" not in answer.stderr


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for PythonSlicer is a shell script")
@pytest.mark.parametrize("named_by", ["folder", "executable", "relative"])
def test_slicer_finds_the_engine_once_it_is_linked(tmp_path, named_by) -> None:
    house = build_house(tmp_path / "höuse")
    slicer = tmp_path / "Slicer 5.10"
    venv.create(slicer / "lib" / "Python", with_pip=False)  # the layout of Slicer's Python on Linux and macOS
    python_slicer = slicer / "bin" / "PythonSlicer"
    python_slicer.parent.mkdir()
    python_slicer.write_text(f'#!/bin/sh\nexec "{slicer}/lib/Python/bin/python" "$@"\n', encoding="utf-8")
    python_slicer.chmod(0o755)
    (slicer / "Slicer").write_text("", encoding="utf-8")
    question = [python_slicer, "-c", "import BladderAutoContourLib"]
    assert subprocess.run(question, capture_output=True, check=False).returncode != 0
    names = {"folder": slicer, "executable": slicer / "Slicer", "relative": slicer.relative_to(house.root.parent)}
    answer = house.run("--link-slicer", names[named_by])
    assert answer.returncode == 0, answer.stderr
    assert str(house.root / "BladderAutoContour") in answer.stdout
    assert subprocess.run(question, capture_output=True, check=False).returncode == 0
    assert not house.environment.exists()


def test_slicer_on_windows_and_no_slicer_at_all(tmp_path) -> None:
    house = build_house(tmp_path / "house")
    packages = tmp_path / "Slicer" / "lib" / "Python" / "Lib" / "site-packages"
    packages.mkdir(parents=True)
    assert house.run("--link-slicer", tmp_path / "Slicer").returncode == 0
    assert (packages / "bladder_auto_contour.pth").read_text(encoding="ascii").strip()
    answer = house.run("--link-slicer", tmp_path)
    assert answer.returncode == USAGE
    assert "holds no Slicer" in answer.stderr


def test_this_environment_is_complete_at_once() -> None:
    """The real one, with PyTorch and VTK: that there is nothing to do is found within two seconds."""
    if not (ROOT / ".venv" / "bladder_auto_contour.json").exists():
        assert "CI" not in os.environ, "in continuous integration setup_dev.py makes the environment"
        pytest.skip("this environment was not made by setup_dev.py")
    before = os.times()
    answer = House(ROOT).run()
    after = os.times()
    assert answer.stdout.strip().endswith("is complete.")
    # Processor time, so that a busy machine does not fail the test.
    assert after.children_user + after.children_system - before.children_user - before.children_system < 2.0
