"""The house stays as it was drawn: arrows run one way, each room knows only what it may, and files stay short."""

import ast
import graphlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pinned import pins
from shipped import MODULE, ROOT, tracked

PACKAGE = "BladderAutoContourLib"
LONGEST_FILE = 400
# host.py's business alone
PLATFORM_MODULES = {"ctypes", "fcntl", "msvcrt", "platform", "pwd", "resource", "signal", "winreg"}
PLATFORM_NAMES = {"sys.platform", "os.name", "os.uname", "sysconfig.get_platform"}
PLATFORM_LENT = {"evaluation.speed.cold": {"platform"}}  # names the system beside the seconds that it measured

# From the cellar to the roof. A room may use the rooms named behind it, or single modules of them.
BASE = ("__init__", "errors", "host", "streams")
ROOMS: dict[str, tuple[str, ...]] = {
    "__init__": (),
    "errors": (),
    "host": (),
    "streams": ("host",),
    "events": BASE,
    "failures": BASE,
    "output_files": ("errors", "host"),
    "imaging": BASE,
    "networks": (*BASE, "imaging.geometry"),
    "dicom": (*BASE, "imaging"),
    "phantom": (*BASE, "imaging.geometry"),
    "training": (*BASE, "imaging.geometry", "networks", "phantom"),
    "pipeline": (*BASE, "events", "output_files", "networks", "imaging", "dicom"),
    "evaluation": (*BASE, "events", "output_files", "networks", "imaging", "dicom", "phantom", "pipeline"),
    "commands": (
        *(*BASE, "events", "failures", "output_files"),
        *("networks", "imaging", "dicom", "phantom", "training", "pipeline", "evaluation"),
    ),
    "__main__": (*BASE, "events", "failures", "commands"),
    "slicer": BASE,  # it reaches the engine as a process, never by an import
}

# Single modules that may use one of another room.
LENT = {"slicer.scene.frames": ("dicom.damage",)}  # opens DICOM in Slicer's process; damage.py needs no package at all

# What Slicer brings: its scene and its other modules for all of its room, Qt for what is seen.
SCENE = {"slicer", "vtk", "vtkmodules", "numpy", "DICOMLib", "SampleData", "PyTorchUtils"}

# Slicer's room has rooms of its own; each may use those named behind it.
INNER_ROOMS: dict[str, tuple[str, ...]] = {
    "working_files": (),
    "process": (),
    "sample_data": ("process",),
    "scene": ("process.result",),
    "export": ("working_files", "process", "scene"),
    "correction": ("working_files", "process", "scene"),
    "probability_files": ("working_files", "scene"),
    "logic": ("working_files", "process", "scene", "export", "correction", "probability_files"),
    "panel": ("process", "scene", "export", "logic"),
}

# What a room may use beside the standard library; `vtkmodules` is how vtk is imported in parts.
PACKAGES: dict[str, set[str]] = {
    "networks": {"torch", "numpy"},
    "imaging": {"numpy", "SimpleITK"},
    "imaging.geometry": {"numpy"},
    "dicom": {"numpy", "SimpleITK", "pydicom"},
    "phantom": {"torch", "numpy"},
    "training": {"torch", "numpy"},
    "pipeline": {"torch", "numpy", "SimpleITK", "vtkmodules"},
    "evaluation": {"numpy"},
    "evaluation.metrics": {"torch", "numpy"},
    "evaluation.precision": {"torch", "numpy"},
    "evaluation.peers": {"torch", "numpy"},
    "evaluation.peers.measured_program": set(),  # both run where the peers alone are installed
    "evaluation.speed.measured_process": set(),
    "commands": {"torch", "numpy"},
    "slicer": SCENE,
    "slicer.process.child_process": set(),
    "slicer.process.engine_process": set(),
    "slicer.scene.frames": SCENE | {"pydicom"},  # Slicer brings it, too
    "slicer.panel": SCENE | {"qt", "ctk"},
}

# So has that of evaluation; what stands in none of them is about contours on cases, and is there for all of them.
OF_EVALUATION: dict[str, tuple[str, ...]] = {
    "calibration": (),
    "ablation": (),
    "speed": (),
    "peers": ("speed",),
}

# Every module: its dotted name below the package, and its file.
MODULES = {
    file.removeprefix(f"{PACKAGE}/").removesuffix(".py").replace("/", "."): MODULE / file
    for file in tracked(MODULE)
    if file.startswith(f"{PACKAGE}/") and file.endswith(".py")
}
ENGINE = [module for module in MODULES if not module.startswith("slicer.")]


def room_of(module: str) -> str:
    return module.partition(".")[0]


@cache
def imports(module: str) -> frozenset[str]:
    """All that a module imports, wherever in its file: "/name" inside the package, "name" outside."""
    return frozenset(_imports(module))


def _imports(module: str) -> Iterator[str]:
    here = module.split(".")
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: len(here) - node.level], *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                name = ".".join([*base, alias.name])
                is_module = name in MODULES or f"{name}.__init__" in MODULES
                yield "/" + (name if is_module else ".".join(base) or "__init__")


def dotted_names(program: str) -> set[str]:
    """All that a program calls "module.name", or imports as `name` from `module`."""
    nodes = list(ast.walk(ast.parse(program)))
    named = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    return named | {f"{one.module}.{two.name}" for one in nodes if isinstance(one, ast.ImportFrom) for two in one.names}


def inner(module: str) -> set[str]:
    """The modules of the package that a module imports."""
    return {name[1:] for name in imports(module) if name.startswith("/")}


def outer(module: str) -> set[str]:
    """The top-level packages that a module imports beside ours and the standard library's."""
    names = {name.partition(".")[0] for name in imports(module) if not name.startswith("/")}
    return names - sys.stdlib_module_names


def test_the_reader_of_imports_sees_them() -> None:
    assert "networks.plan" in inner("networks.vnet")
    assert "torch" in outer("networks.vnet")
    assert len(MODULES) > 20


def test_rooms_are_drawn_from_the_cellar_up() -> None:
    below: set[str] = set()
    for room, uses in ROOMS.items():
        assert {room_of(name) for name in uses} <= below, room
        below.add(room)


@pytest.mark.parametrize("module", MODULES)
def test_arrows_run_one_way(module: str) -> None:
    room = room_of(module)
    assert room in ROOMS, f"{module} stands in no room"
    allowed = (room, *ROOMS[room], *LENT.get(module, ()))
    strangers = {
        name for name in inner(module) if not any(name == use or name.startswith(f"{use}.") for use in allowed)
    }
    assert not strangers, f"{module} may not use {sorted(strangers)}"


def test_no_two_modules_import_each_other() -> None:
    graph = {module: {name for name in inner(module) if name in MODULES} for module in MODULES}
    order = tuple(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    assert set(order) == set(MODULES)


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("slicer.")])
def test_arrows_run_one_way_in_slicers_room(module: str) -> None:
    used = {name.removeprefix("slicer.") for name in inner(module) if name.startswith("slicer.")}
    room = module.split(".")[1]
    allowed = (room, *INNER_ROOMS.get(room, ()))
    assert {name for name in used if not any(f"{name}.".startswith(f"{use}.") for use in allowed)} == set(), allowed


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("evaluation.")])
def test_arrows_run_one_way_in_the_room_of_evaluation(module: str) -> None:
    room = module.split(".")[1]
    used = {name.split(".")[1] for name in inner(module) if name.startswith("evaluation.")} & set(OF_EVALUATION)
    assert used <= {room, *OF_EVALUATION.get(room, ())}, f"{module} uses {sorted(used)}"


@pytest.mark.parametrize("module", MODULES)
def test_rooms_use_only_their_packages(module: str) -> None:
    names = (module, module.rpartition(".")[0], room_of(module))
    allowed = next((PACKAGES[name] for name in names if name in PACKAGES), set())
    assert outer(module) <= allowed, f"{module} may use {sorted(allowed)}"


def test_what_slicers_room_borrows_brings_nothing_with_it() -> None:
    for lent in LENT.values():
        assert [name for module in lent for name in inner(module) | outer(module)] == []


def test_what_verifies_shares_nothing_with_what_writes() -> None:
    used, waiting = set(), {"dicom.verify", "dicom.check"}
    while waiting:
        used |= waiting
        waiting = {name for module in waiting for name in inner(module) if name in MODULES} - used
    writing = ("contours", "keyhole", "thinning", "decimal_string", "structure_dataset", "structure_set")
    assert not used & {f"dicom.{name}" for name in writing}
    assert {"dicom.structure_reader", "dicom.rasterise"} <= used


def test_run_time_packages_are_the_pinned_ones() -> None:
    pinned = {pin.partition("==")[0] for pin in pins()}
    used = set().union(*(outer(module) for module in ENGINE))
    assert {"vtk" if name == "vtkmodules" else name for name in used} <= pinned & {
        *("torch", "SimpleITK", "numpy", "pydicom", "vtk")
    }


def test_slicer_and_qt_stay_outside_the_engine() -> None:
    for module in ENGINE:
        assert not outer(module) & {"slicer", "qt", "ctk", "vtkSlicer", "PySide6", "PythonQt"}, module


def test_platform_calls_stand_in_one_file() -> None:
    for module in MODULES:
        if module != "host":
            used = {name.partition(".")[0] for name in imports(module)} & PLATFORM_MODULES
            assert used <= PLATFORM_LENT.get(module, set()), module
            assert not dotted_names(MODULES[module].read_text(encoding="utf-8")) & PLATFORM_NAMES, module


def test_the_reader_of_dotted_names_sees_them() -> None:
    assert "sys.platform" in dotted_names('if sys.platform == "darwin": ...')
    assert "os.name" in dotted_names("from os import name")


@pytest.mark.parametrize("package", [name for name in MODULES if name.endswith(".__init__")])
def test_packages_hold_nothing_but_a_docstring(package: str) -> None:
    body = ast.parse(MODULES[package].read_text(encoding="utf-8")).body
    assert len(body) == 1
    assert ast.get_docstring(ast.Module(body, []))


def test_every_file_is_short_and_says_what_it_is_for() -> None:
    for name in tracked(ROOT):
        if Path(name).suffix == ".py" and (ROOT / name).exists():
            text = (ROOT / name).read_text(encoding="utf-8")
            assert len(text.splitlines()) <= LONGEST_FILE, name
            assert ast.get_docstring(ast.parse(text)), f"{name} has no docstring"


def test_files_of_tests_have_names_of_their_own() -> None:
    """pytest imports them by name alone, and refuses the second of a name."""
    names = [path.name for path in map(Path, tracked(ROOT)) if path.match("test_*.py")]
    assert sorted(names) == sorted(set(names))


def public(place: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Public classes and functions of a module, and public methods of public classes."""
    for node in place.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


def is_open(node: ast.ClassDef | ast.FunctionDef) -> bool:
    """Whether a method is a protocol's: three dots and nothing else."""
    return isinstance(node, ast.FunctionDef) and ast.unparse(node.body) == "..."


def test_public_names_have_docstrings_and_types() -> None:
    names = [(module, node) for module, file in MODULES.items() for node in public(ast.parse(file.read_text("utf-8")))]
    # A method may be told once, where its base class stands in the same room; a protocol tells of its methods itself.
    told = {(room_of(module), node.name) for module, node in names if ast.get_docstring(node) or is_open(node)}
    mute = {(room_of(module), node.name) for module, node in names} - told
    assert not {f"{room}: {name}" for room, name in mute if name != "forward"}, "these have no docstring"
    functions = [(module, node) for module, node in names if isinstance(node, ast.FunctionDef)]
    assert not [f"{module}: {node.name}" for module, node in functions if node.returns is None], "these return no type"
