"""Is PyTorch there, and how to get it if not: from the internet by Slicer's PyTorch extension, or from a folder.

Nothing is installed before the user has agreed. PyTorch is never imported here: that takes seconds, and on Windows it
would keep its files from being replaced. Everything else that the engine needs comes with Slicer.
"""

import importlib
import importlib.metadata
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import slicer
from slicer.i18n import tr as _

from ... import host
from ...errors import EnvironmentFault, InputError

LEAST_TORCH = (2, 6)
"""The oldest PyTorch that the engine is written for."""
_REQUIREMENT = ">=" + ".".join(map(str, LEAST_TORCH))

Ask = Callable[[str], bool]
"""Puts a question to the user; True for yes."""


@dataclass(frozen=True)
class TorchState:
    """Which PyTorch Slicer's Python has; version: None where there is none."""

    version: str | None

    @property
    def installed(self) -> bool:
        """Whether there is any."""
        return self.version is not None

    @property
    def usable(self) -> bool:
        """Whether it is new enough. One that is there but broken only shows when the engine starts."""
        return self.version is not None and _numbers(self.version) >= LEAST_TORCH


def torch_state() -> TorchState:
    """Look at what is installed; quick."""
    importlib.invalidate_caches()  # for what has been installed since Slicer started
    try:
        return TorchState(importlib.metadata.version("torch") or None)
    except importlib.metadata.PackageNotFoundError:
        return TorchState(None)


def install_torch(ask: Ask) -> bool:
    """Let the PyTorch extension install PyTorch, once the user has agreed; whether PyTorch can be used now.

    False where the user did not want to. Takes minutes, in which Slicer's window stays alive. Raises EnvironmentFault.
    """
    if torch_state().usable:
        return True
    _expect_possible()
    utils = _extension()
    if not ask(_question()):
        return False
    try:
        utils.PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=_REQUIREMENT)
    except Exception as error:  # another extension's work: whatever it raises, the user has no PyTorch
        raise EnvironmentFault(
            _(
                "PyTorch could not be installed. Check that this computer may reach the internet, restart Slicer and "
                "try again. Without internet, install it from a folder. The Python console says what went wrong."
            )
        ) from error
    return _checked()


def install_torch_from(folder: Path, ask: Ask) -> bool:
    """Install PyTorch from a folder of packages (.whl files), once the user has agreed; nothing is downloaded.

    Returns as `install_torch`. Raises InputError for a folder without PyTorch, EnvironmentFault where it does not suit.
    """
    if torch_state().usable:
        return True
    _expect_possible()
    packages = sorted(folder.glob("torch-*.whl"))
    if not packages:
        raise InputError(
            _("There is no PyTorch package in this folder (a file named torch-....whl). {recipe}").format(
                recipe=download_recipe()
            ),
            [folder],
        )
    size_mb = sum(package.stat().st_size for package in folder.glob("*.whl")) / 1e6
    question = _("Install PyTorch from the folder {folder} ({size} MB)? Nothing is downloaded.")
    if not ask(question.format(folder=folder, size=round(size_mb))):
        return False
    try:
        # a list, not one text: the folder's name may hold spaces
        slicer.util.pip_install(["--no-index", "--find-links", str(folder), "torch" + _REQUIREMENT])
    except Exception as error:  # pip's failure, in whichever form this version of Slicer reports it
        raise EnvironmentFault(
            _(
                "PyTorch could not be installed from this folder. Its packages have to be complete, and made for this "
                "operating system and for Python {version}. The Python console says what went wrong."
            ).format(version=sysconfig.get_python_version()),
            packages,
        ) from error
    return _checked()


def download_recipe() -> str:
    """How a folder comes to hold what `install_torch_from` needs."""
    command = f'PythonSlicer -m pip download --dest FOLDER "torch{_REQUIREMENT}"'
    return _(
        "On a computer with internet, the same operating system and the same version of Slicer, this command in "
        "Slicer's folder bin fills a folder with what is needed, for you to bring here: {command}"
    ).format(command=command)


def _expect_possible() -> None:
    """Raise EnvironmentFault where no PyTorch can come into this Slicer, before anybody is asked."""
    if host.is_intel_mac():
        raise EnvironmentFault(
            _(
                "This Slicer was built for Macs with an Intel processor, for which there is no PyTorch of today any "
                "more. Contour with Slicer on Windows or Linux. If this Mac has Apple's own processor, the program's "
                "command line should work on it; with an Intel processor neither does."
            )
        )
    packages = Path(sysconfig.get_path("purelib"))
    try:
        host.try_to_write(packages)
    except OSError as error:
        raise EnvironmentFault(
            _(
                "Slicer's own folder {folder} cannot be written to ({reason}). Whoever installed this Slicer has to "
                "install PyTorch in it, once."
            ).format(folder=packages, reason=error.strerror),
            [packages],
        ) from error


def _extension() -> ModuleType:
    """The module of the PyTorch extension. Raises EnvironmentFault with the way to get it."""
    try:
        import PyTorchUtils
    except ImportError as error:
        raise EnvironmentFault(
            _(
                "Slicer's extension PyTorch is missing. Open the Extensions Manager in the menu View, install the "
                "extension PyTorch, restart Slicer and try again. Without internet, install PyTorch from a folder."
            )
        ) from error
    return PyTorchUtils


def _question() -> str:
    version = torch_state().version
    if version is None:
        why = _("The contouring needs the free software PyTorch, which this Slicer does not have yet.")
    else:
        why = _(
            "The contouring needs a newer PyTorch than the one that this Slicer has ({version}). Other extensions will "
            "use the newer one too."
        ).format(version=version)
    what = _(
        "It is downloaded from the internet: about 200 MB, or about 2.5 GB where an NVIDIA graphics card is to be "
        "used. That takes some minutes. Install it now?"
    )
    return f"{why} {what}"


def _checked() -> bool:
    """Whether what was installed can be used. Raises EnvironmentFault where nothing came, or too old a version."""
    if not torch_state().usable:
        raise EnvironmentFault(_("PyTorch was installed, but cannot be found. Restart Slicer and try again."))
    return True


def _numbers(version: str) -> tuple[int, int]:
    """The first two numbers of a version such as "2.13.0+cpu"; zeros where it has none."""
    major, _dot, rest = version.partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)
