"""Make, repair and use the Python environment of Bladder Auto-Contour.

    python setup_dev.py          make the environment in .venv, or repair it
    python setup_dev.py demo     the same, then contour the bladder of a generated pelvis CT
    python setup_dev.py test     the same, then run the tests; whatever follows goes to pytest

Standard library only. A second run finds nothing to do. The constants below say what is installed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PYTHON_VERSIONS = ("3.11", "3.12")
TORCH = "torch==2.13.0"
RUN_TIME = ("SimpleITK==2.5.7", "numpy==2.4.6", "pydicom==3.0.2", "vtk==9.6.0")
TOOLS = ("hypothesis==6.170.15", "pytest==9.2.0", "pytest-xdist==3.8.0", "ruff==0.17.5", "scipy==1.17.1")
SLICER = ("PySide6-Essentials==6.12.0", "slicer-core==5.12.4.0")  # what the tests of the Slicer module run on
PINS = (TORCH, *RUN_TIME, *TOOLS, *SLICER)

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "bladder_auto_contour.json"  # written last: an environment without it was never finished
PACKAGE_FOLDER = ROOT / "BladderAutoContour"
PATH_FILE = "bladder_auto_contour.pth"
PIP_OPTIONS = ("--disable-pip-version-check", "--no-input", "--no-compile")  # what is imported is compiled then
DEMO = ROOT / ".demo"
RESULTS = {"Mask": "bladder.nrrd", "Structure set": "RTSTRUCT.dcm", "Picture": "preview.png", "Report": "report.json"}

BUILD_ADVICE = """The install page of PyTorch names the package index that holds each of its builds: \
add it to pip's configuration, or pass a folder of wheels with --wheels. """
SHORTEN = "The path may be too long for Windows: move this folder, for example to C:\\bladder. "
USAGE, OUTPUT, FAULT, UNVERIFIED, CANCELLED = 2, 6, 8, 9, 130  # the exit codes of the commands, where they apply here


class SetupFault(Exception):
    """Something that the user must put right: a sentence for them, and the exit code."""

    def __init__(self, message: str, code: int = FAULT) -> None:
        super().__init__(message)
        self.code = code


def clean_variables() -> dict[str, str]:
    """This process's variables without those that lead to foreign packages, or let torch be compiled at each start."""
    left_out = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV",
                "__PYVENV_LAUNCHER__")  # fmt: skip
    return {**{name: value for name, value in os.environ.items() if name not in left_out}, "PYTHONNOUSERSITE": "1"}


def run(command: list[str | Path], variables: dict[str, str] | None = None) -> int:
    """Run a child in the repository's folder, its output going where ours goes; return its exit code."""
    with subprocess.Popen([str(part) for part in command], cwd=ROOT, env=variables or clean_variables()) as child:
        try:
            code = child.wait()
        except KeyboardInterrupt:  # the child got it too: let it clean up
            child.wait()
            raise
    return code if code >= 0 else 128 - code  # ended by a signal


@dataclass(frozen=True)
class Python:
    """An interpreter that answered: its version, its prefix and where its packages lie."""

    executable: Path
    version: str
    prefix: Path
    packages: Path


def ask(executable: Path) -> Python | None:
    """Ask an interpreter what it is; None when there is none or it does not answer."""
    question = "import json, sys, sysconfig as s; print(json.dumps([sys.version, sys.prefix, s.get_path('purelib')]))"
    command = [str(executable), "-I", "-X", "utf8", "-c", question]
    try:
        answer = subprocess.run(command, env=clean_variables(), capture_output=True, timeout=60, check=True)
        version, prefix, packages = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Python(executable, ".".join(version.split(".")[:2]), Path(prefix), Path(packages))


def environment_python() -> Python | None:
    """The environment's own Python; None when it is not there, does not answer or is not this environment's."""
    python = ask(ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    return python if python and ENVIRONMENT.samefile(python.prefix) else None


def base_python(chosen: str | None) -> Python:
    """The Python to make the environment with: the one chosen, or the one that runs this file."""
    inside = ENVIRONMENT.exists() and ENVIRONMENT.samefile(sys.prefix)
    own = getattr(sys, "_base_executable", sys.executable) if inside else sys.executable
    executable = Path(shutil.which(chosen or own) or chosen or own).absolute()
    python = ask(executable)
    if python is None:
        raise SetupFault(f"{executable} is not a Python that runs. Name another one with --python.", USAGE)
    if python.version not in PYTHON_VERSIONS:
        raise SetupFault(f"{executable} is Python {python.version}. Name a Python 3.11 or 3.12 with --python.")
    return python


def installed(packages: Path) -> dict[str, tuple[str, Path]]:
    """Every installed distribution, by the name as pip compares it: its version and the folder that describes it."""
    found = {}
    for folder in packages.glob("[!~]*.dist-info"):  # pip marks with ~ what it had half removed when it was killed
        name, _, version = folder.name[: -len(".dist-info")].rpartition("-")
        found[re.sub(r"[-_.]+", "-", name).lower()] = (version, folder)
    return found


def is_whole(description: Path) -> bool:
    """Whether every file of a distribution is there with the size that its RECORD states."""
    try:
        with (description / "RECORD").open(newline="", encoding="utf-8") as record:
            sizes = {row[0]: int(row[2]) for row in csv.reader(record) if row[2]}
        return all((description.parent / file).stat().st_size == size for file, size in sizes.items())
    except (OSError, ValueError, IndexError):
        return False


def read_stamp() -> dict:
    """What the last finished set-up wrote; empty when there was none."""
    try:
        return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def damaged(python: Python, stamp: dict) -> dict[str, str]:
    """Name and version of the distributions that were there and are not, or that have lost files."""
    here = installed(python.packages)
    expected = stamp.get("distributions", {name: version for name, (version, _) in here.items()})
    return {
        name: here[name][0] if name in here else version
        for name, version in expected.items()
        if name not in here or not is_whole(here[name][1])
    }


def has_pins(python: Python) -> bool:
    """Whether every package has the pinned version, which somebody's `pip install` may have changed."""
    here = {name: version.partition("+")[0] for name, (version, _) in installed(python.packages).items()}
    return all(here.get(name.lower()) == version for name, _, version in (pin.partition("==") for pin in PINS))


def torch_requirement(build: str | None) -> str:
    """The pinned torch. Linux has a build without CUDA under a version of its own; elsewhere the plain pin is it."""
    if build == "cpu" and sys.platform.startswith("linux"):
        return TORCH + "+cpu"
    if build == "cuda":
        return TORCH + ",!=" + TORCH.partition("==")[2] + "+cpu"
    return TORCH


def has_build(stamp: dict, build: str | None) -> bool:
    """Whether the torch of a finished environment is the build asked for."""
    return build is None or ("cuda" in stamp and (stamp["cuda"] is not None) == (build == "cuda"))


def pip(python: Python, arguments: list[str], wheels: Path | None, build: str | None = None) -> None:
    """Install with pip: from its configured index, or from the folder of wheels alone."""
    command = [python.executable, "-m", "pip", "install", *PIP_OPTIONS, *arguments]
    variables = {**clean_variables(), "PIP_USER": "0"}  # a user's configuration may ask for another place
    if wheels is not None:
        command += ["--no-index", "--find-links", wheels]
        variables = {name: value for name, value in variables.items() if not name.startswith("PIP_")}
        variables["PIP_CONFIG_FILE"] = os.devnull
    if run(command, variables) != 0:
        advice = (BUILD_ADVICE if build else "") + (SHORTEN if os.name == "nt" and len(str(ENVIRONMENT)) > 85 else "")
        source = f"the wheels in {wheels}" if wheels else "its package index; without a network, use --wheels DIR"
        raise SetupFault(
            f"pip could not install the packages from {source}. Its own message stands above. "
            f"{advice}When that is put right, run this again: it goes on from here."
        )


def make_environment(base: Python) -> Python:
    """A new, empty environment in the place of whatever is there."""
    (ROOT / ".writable").write_bytes(b"")  # a folder that cannot be written to is told as that
    (ROOT / ".writable").unlink()
    if ENVIRONMENT.is_symlink() or ENVIRONMENT.is_file():
        ENVIRONMENT.unlink()
    elif ENVIRONMENT.exists():
        shutil.rmtree(ENVIRONMENT)
    print(f"Making the environment {ENVIRONMENT} with Python {base.version}.")
    made = run([base.executable, "-m", "venv", ENVIRONMENT]) == 0
    python = environment_python()
    if not made or not python:
        raise SetupFault(
            f"{base.executable} could not make it (see above). On Debian and Ubuntu it needs the package python3-venv."
        )
    return python


def usable_environment(options: argparse.Namespace) -> Python:
    """The environment's Python, after making or remaking the environment where that is needed."""
    if not ENVIRONMENT.exists():
        return make_environment(base_python(options.python))
    python = environment_python()
    chosen = base_python(options.python) if options.python else None
    if python is None:
        print(f"The environment {ENVIRONMENT} is broken or half-made: it is made anew.")
    elif python.version not in PYTHON_VERSIONS or (chosen and chosen.version != python.version):
        print(f"The environment {ENVIRONMENT} has Python {python.version}: it is made anew.")
    elif "pip" in damaged(python, read_stamp()) or "pip" not in installed(python.packages):
        print(f"The environment {ENVIRONMENT} has no working pip: it is made anew.")
    else:
        return python
    return make_environment(chosen or base_python(None))


def restore(python: Python, losses: dict[str, str], wheels: Path | None) -> None:
    """Install anew what lost files, in the versions that were there."""
    print("These packages have lost files and are installed again: " + ", ".join(sorted(losses)) + ".")
    for name, (_, description) in installed(python.packages).items():
        if name in losses:
            shutil.rmtree(description)  # pip refuses to replace what lacks its own records
    pinned = [f"{name}=={version}" for name, version in sorted(losses.items())]
    pip(python, ["--no-deps", "--force-reinstall", *pinned], wheels)


def install(python: Python, build: str | None, stamp: dict, wheels: Path | None) -> None:
    """Install every pin; replace a torch that is not the build asked for."""
    torch = torch_requirement(build)
    if "torch" in installed(python.packages) and not has_build(stamp, build):
        pip(python, ["--no-deps", "--force-reinstall", torch], wheels, build)
    pip(python, [torch, *PINS[1:]], wheels, build)


def check_imports(python: Python, build: str | None) -> str | None:
    """Import every run-time package, ours included; return the CUDA version that torch was built with."""
    print("Checking that every package can be imported.")
    question = "import torch, SimpleITK, numpy, pydicom, vtk, BladderAutoContourLib; print(torch.version.cuda)"
    told = subprocess.run([python.executable, "-c", question], env=clean_variables(), capture_output=True, check=False)
    if told.returncode != 0:
        sys.stdout.write(told.stdout.decode("utf-8", "replace"))  # where torch names what Windows lacks
        reason = told.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise SetupFault(f"The packages are installed but cannot be imported: {reason}")
    word = told.stdout.decode().split()[-1]
    cuda = None if word == "None" else word
    if not has_build({"cuda": cuda}, build):
        raise SetupFault(f"pip found no {build} build of PyTorch for this machine, only another one. {BUILD_ADVICE}")
    return cuda


def put_on_path(packages: Path) -> bool:
    """Put our package on the path of the Python whose packages lie there; False when it is there already."""
    path = str(PACKAGE_FOLDER)
    line = path if path.isascii() else f"import sys; sys.path.append({path!a})"  # readable under every locale
    content = f"{line}\n".encode("ascii")
    file = packages / PATH_FILE
    if file.is_file() and file.read_bytes() == content:
        return False
    file.write_bytes(content)
    return True


def set_up(options: argparse.Namespace) -> Python:
    """Make or repair the environment and return its Python; when it is as it should be, do nothing."""
    if options.wheels and not options.wheels.is_dir():
        raise SetupFault(f"The folder of wheels {options.wheels} is not there.", USAGE)
    build = options.torch or read_stamp().get("build")
    python = usable_environment(options)
    stamp = read_stamp()
    losses = damaged(python, stamp)
    complete = stamp.get("pins") == list(PINS) and has_build(stamp, build) and has_pins(python)
    if not put_on_path(python.packages) and complete and not losses:
        print(f"The environment {ENVIRONMENT} is complete.")
        return python
    STAMP.unlink(missing_ok=True)
    if losses:
        restore(python, losses, options.wheels)
    if not complete:
        print("Installing PyTorch, the other packages and the test tools. The first time this takes minutes.")
        install(python, build, stamp, options.wheels)
    cuda = check_imports(python, build)
    versions = {name: version for name, (version, _) in sorted(installed(python.packages).items())}
    finished = {"pins": PINS, "build": build, "cuda": cuda, "distributions": versions}
    STAMP.write_text(json.dumps(finished, indent=1), encoding="utf-8")
    print(f"The environment {ENVIRONMENT} is ready.")
    return python


def link_slicer(place: Path) -> None:
    """Put our package on the path of a Slicer's own Python, and ask that Python for it."""
    starts = (place.parent, place.parent.parent) if place.is_file() else (place, place / "Contents")  # macOS: a bundle
    folders = [
        (start, packages)
        for start in starts
        for pattern in ("lib/Python/lib/python3.*/site-packages", "lib/Python/Lib/site-packages")
        for packages in sorted(start.glob(pattern))
    ]
    if not folders:
        raise SetupFault(f"{place} holds no Slicer: name the folder that Slicer is installed in.", USAGE)
    slicer, packages = folders[0]
    put_on_path(packages)
    for name in ("PythonSlicer", "PythonSlicer.exe"):
        executable = slicer / "bin" / name
        if executable.is_file() and run([executable, "-c", "import BladderAutoContourLib"]) != 0:
            raise SetupFault(f"{executable} still does not find the engine. Is it a Slicer 5.10 or later?")
    print(f"The Python of the Slicer in {slicer} now finds the engine, by {packages / PATH_FILE}.")
    print("It needs PyTorch, from the extension of that name. For the module, add this folder in Slicer under Edit,")
    print(f"Application Settings, Modules, Additional module paths: {PACKAGE_FOLDER}")


def engine(python: Python, *arguments: str | Path) -> Path:
    """Run a command of the engine, its events told in words; return the folder of its result or raise its exit code."""
    command = [str(python.executable), "-m", "BladderAutoContourLib", *(str(part) for part in arguments)]
    step, result = None, DEMO
    with subprocess.Popen(command, cwd=ROOT, env=clean_variables(), stdout=subprocess.PIPE) as child:
        for line in child.stdout:
            event = json.loads(line) if line.startswith(b"{") else {}
            if event.get("event") == "progress" and event.get("step") != step:
                step = event.get("step")
                print(f"  {step} ...")
            elif event.get("event") == "note":
                print(f"  {event.get('message')}")
            result = Path(event.get("folder", result))
    if child.returncode != 0:
        raise SetupFault(f"The command {arguments[0]} ended with exit code {child.returncode}.", child.returncode)
    return result


def demo(python: Python, _: list[str]) -> int:
    """Contour a generated pelvis CT, from DICOM files to DICOM structure set, and say where everything is."""
    shutil.rmtree(DEMO, ignore_errors=True)  # what stays is told by the command that wants an empty folder
    print("Generating the CT of a pelvis that belongs to nobody.")
    ct = engine(python, "phantom", "--seed", "7", "--output", DEMO, "--dicom") / "ct"
    print(f"Contouring its bladder, from the files in {ct}.")
    result = engine(python, "segment", ct, "--output", DEMO / "result")
    for name, file in RESULTS.items():
        if not (result / file).exists():
            raise SetupFault(f"{result / file} was not written.", UNVERIFIED)
        print(f"  {name + ':':<15}{result / file}")
    report = json.loads((result / "report.json").read_text(encoding="utf-8"))
    for warning in report["warnings"]:
        print(f"  Warning: {warning['sentence']}")
    print(f"Done: a bladder of {report['volume_ml']:.0f} mL was found and contoured. Look at the picture first.")
    return 0


def test(python: Python, arguments: list[str]) -> int:
    """Run the test suite, or the part of it that the arguments name."""
    named = any((ROOT / argument.partition("::")[0]).exists() for argument in arguments)
    return run([python.executable, "-m", "pytest", *([] if named else ["Testing"]), *arguments])


def read_arguments(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our options, and what goes to pytest."""
    parser = argparse.ArgumentParser(
        description="Make or repair the environment, then run what is asked for.", allow_abbrev=False
    )
    add = parser.add_argument
    add("command", nargs="?", choices=("demo", "test"), help="contour a generated pelvis CT, or run the tests")
    add("--python", metavar="PATH", help="the Python 3.11 or 3.12 to make the environment with")
    add("--wheels", type=Path, metavar="DIR", help="install from this folder of wheels alone, without a network")
    add("--torch", choices=("cpu", "cuda"), help="the build of PyTorch; default: what pip's index gives")
    add("--link-slicer", type=Path, metavar="PATH", help="let this Slicer's Python find the engine; no more")
    options, rest = parser.parse_known_args(argv)
    options.wheels = options.wheels and options.wheels.expanduser().absolute()  # from the user's folder, not from ours
    if rest and options.command != "test":
        parser.error(f"unknown: {' '.join(rest)}")
    return options, rest


def main(argv: list[str]) -> int:
    """Run; every failure ends as a sentence and an exit code."""
    try:
        options, rest = read_arguments(argv)
        if options.link_slicer:
            link_slicer(options.link_slicer.expanduser().absolute())
            return 0
        python = set_up(options)
        action = {"demo": demo, "test": test}.get(options.command)
        return action(python, rest) if action else 0
    except SetupFault as fault:
        print(fault, file=sys.stderr)
        return fault.code
    except OSError as fault:
        print(f"{fault.filename or ROOT} cannot be read or written: {fault.strerror}.", file=sys.stderr)
        return OUTPUT
    except KeyboardInterrupt:
        print("Cancelled. Run this again to go on.", file=sys.stderr)
        return CANCELLED


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # in order with what child processes say
    sys.exit(main(sys.argv[1:]))
