"""PyTorch found or not, and installed only after a yes: with a stand-in of the PyTorch extension, and with real pip."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import slicer
from BladderAutoContourLib.errors import EnvironmentFault, InputError
from BladderAutoContourLib.slicer.process.installer import (
    LEAST_TORCH,
    TorchState,
    install_torch,
    install_torch_from,
    torch_state,
)
from small_wheels import make_wheel

ENOUGH, TOO_OLD = "2.13.0", "2.1.0"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of packages of a Slicer that has no PyTorch."""
    folder = tmp_path / "site packages"
    folder.mkdir()
    with_torch = Path(str(importlib.metadata.distribution("torch").locate_file("")))
    monkeypatch.setattr(sys, "path", [str(folder), *(path for path in sys.path if Path(path) != with_torch)])
    return folder


def put(packages: Path, version: str) -> None:
    """Install a torch that is nothing but a name and a version."""
    for earlier in packages.glob("torch-*"):
        shutil.rmtree(earlier)
    described = packages / f"torch-{version}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")


@pytest.fixture
def extension(packages: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The module PyTorchUtils of the PyTorch extension, as far as it can be without Slicer and the internet.

    Names and signatures as in github.com/fepegar/SlicerPyTorch at e1c85cc, PyTorchUtils/PyTorchUtils.py, class
    PyTorchUtilsLogic. `version` is what it will install, `fault` what it will raise, `calls` what it was asked.
    """
    module = types.ModuleType("PyTorchUtils")
    module.version, module.fault, module.calls = ENOUGH, None, []

    class PyTorchUtilsLogic:
        """Installs."""

        def installTorch(  # noqa: N802
            self,
            askConfirmation=False,
            forceComputationBackend=None,
            torchVersionRequirement=None,
            torchvisionVersionRequirement=None,
        ):
            module.calls.append((askConfirmation, forceComputationBackend, torchVersionRequirement))
            if module.fault:
                raise module.fault
            if module.version:
                put(packages, module.version)

    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    return module


@pytest.fixture
def pip(packages: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """`slicer.util.pip_install` with the real pip, into the folder of packages. What it was asked."""
    calls: list[list[str]] = []
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    plain["PIP_CONFIG_FILE"] = os.devnull  # no other folder of wheels that this machine may know

    def install(requirements: list[str]) -> None:
        calls.append(requirements)
        target = ["--target", str(packages), "--no-cache-dir", "--disable-pip-version-check"]
        subprocess.run(
            [sys.executable, "-m", "pip", "install", *target, *requirements], check=True, capture_output=True
        )

    monkeypatch.setattr(slicer.util, "pip_install", install)
    return calls


@pytest.fixture
def asking() -> Callable[[bool], Callable[[str], bool]]:
    """Somebody who is asked and says yes or no; `questions` of the function that it makes holds the questions."""

    def make(answer: bool) -> Callable[[str], bool]:
        def ask(question: str) -> bool:
            ask.questions.append(question)
            return answer

        ask.questions = []
        return ask

    return make


def never(question: str) -> bool:
    """Nobody may be asked."""
    pytest.fail(f"asked: {question}")


def test_the_torch_that_is_here_is_seen():
    state = torch_state()
    assert state.version == importlib.metadata.version("torch")
    assert state.installed
    assert state.usable


def test_looking_does_not_load_it():
    program = (
        "import sys, types; sys.modules['slicer.i18n'] = types.SimpleNamespace(tr=str)\n"
        "from BladderAutoContourLib.slicer.process.installer import torch_state\n"
        "assert torch_state().installed\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_no_torch_is_seen(packages):
    assert torch_state() == TorchState(None)
    assert not torch_state().installed
    assert not torch_state().usable


@pytest.mark.parametrize(
    ("version", "usable"),
    [("2.13.0+cpu", True), ("2.6.0", True), ("3.0", True), ("2.5.1", False), ("1.13.1", False), ("unknown", False)],
)
def test_old_versions_are_not_usable(packages, version, usable):
    put(packages, version)
    assert torch_state() == TorchState(version)
    assert torch_state().usable is usable


def test_what_is_there_is_not_asked_for(extension, packages, pip, tmp_path):
    put(packages, ENOUGH)
    assert install_torch(never)
    assert install_torch_from(tmp_path, never)
    assert extension.calls == pip == []


def test_a_no_installs_nothing(extension, asking):
    ask = asking(False)
    assert not install_torch(ask)
    assert extension.calls == []
    (question,) = ask.questions
    assert "about 200 MB" in question
    assert "about 2.5 GB" in question
    assert question.endswith("Install it now?")


def test_a_yes_lets_the_extension_install_without_asking_again(extension, asking):
    assert install_torch(asking(True))
    assert extension.calls == [(False, None, f">={LEAST_TORCH[0]}.{LEAST_TORCH[1]}")]
    assert torch_state() == TorchState(ENOUGH)


def test_an_old_one_is_replaced_after_saying_so(extension, packages, asking):
    put(packages, TOO_OLD)
    ask = asking(True)
    assert install_torch(ask)
    assert TOO_OLD in ask.questions[0]
    assert "Other extensions" in ask.questions[0]
    assert torch_state().version == ENOUGH


def test_without_the_extension_the_way_to_it_is_told(packages, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(EnvironmentFault, match="Extensions Manager"):
        install_torch(never)


@pytest.mark.parametrize("fault", [subprocess.CalledProcessError(1, "ltt"), ImportError("light_the_torch"), OSError()])
def test_a_failed_download_is_told(extension, asking, fault):
    extension.fault = fault
    with pytest.raises(EnvironmentFault, match="internet") as caught:
        install_torch(asking(True))
    assert caught.value.__cause__ is fault


def test_an_installation_that_brought_nothing_is_told(extension, asking):
    extension.version = None
    with pytest.raises(EnvironmentFault, match="Restart Slicer"):
        install_torch(asking(True))


@pytest.mark.parametrize("way", ["internet", "folder"])
def test_an_intel_slicer_on_a_mac_is_told_that_no_pytorch_is_made_for_it(extension, tmp_path, monkeypatch, way):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(EnvironmentFault, match="Intel processor, for which there is no PyTorch of today") as told:
        install_torch(never) if way == "internet" else install_torch_from(tmp_path, never)
    assert "with an Intel processor neither does" in told.value.message
    assert extension.calls == []


@pytest.mark.parametrize("way", ["internet", "folder"])
def test_a_slicer_that_only_others_may_change_is_told_before_anything_is_asked(extension, tmp_path, monkeypatch, way):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "file" / name))
    with pytest.raises(EnvironmentFault, match=r"Slicer's own folder .*purelib cannot be written to"):
        install_torch(never) if way == "internet" else install_torch_from(tmp_path, never)
    assert extension.calls == []


def test_a_folder_of_wheels_is_installed_without_the_internet(packages, pip, tmp_path, asking):
    folder = tmp_path / "from the USB stick ü"
    folder.mkdir()
    make_wheel(folder, "torch", ENOUGH)
    refusing, agreeing = asking(False), asking(True)
    assert not install_torch_from(folder, refusing)
    assert pip == []
    assert install_torch_from(folder, agreeing)
    assert torch_state() == TorchState(ENOUGH)
    assert (packages / "torch" / "nn.py").is_file()
    assert "--no-index" in pip[0]
    assert str(folder) in agreeing.questions[0]
    assert "Nothing is downloaded" in agreeing.questions[0]


def test_a_folder_without_torch_is_told_before_anything_is_asked(packages, pip, tmp_path):
    make_wheel(tmp_path, "torchvision", "0.20")
    with pytest.raises(InputError, match=r'pip download --dest FOLDER "torch>=2\.6"$') as caught:
        install_torch_from(tmp_path, never)
    assert caught.value.files == (str(tmp_path),)
    assert pip == []


def test_wheels_that_do_not_suit_are_told(packages, pip, tmp_path, asking):
    make_wheel(tmp_path, "torch", TOO_OLD)
    with pytest.raises(EnvironmentFault, match=r"Python \d"):
        install_torch_from(tmp_path, asking(True))
    assert not torch_state().installed
