"""Which names of Slicer, Qt and CTK the module uses, and where in their sources each was seen.

Run as a program it says which used names are not listed in `slicer_names.json`, and which listed ones nobody uses.
With the git folders of Slicer, CTK, PythonQt and SlicerPyTorch behind it, it writes the list anew, each name with the
place where it was found, and looks every one up there in both versions of Slicer:

    python Testing/slicer/names.py [--sources SLICER.git CTK.git PYTHONQT.git SLICERPYTORCH.git]
"""

import argparse
import ast
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "BladderAutoContour"
LIST = Path(__file__).with_name("slicer_names.json")
PACKAGES = ("slicer", "qt", "ctk", "DICOMLib", "SampleData", "PyTorchUtils")
FUNCTIONS = ast.FunctionDef | ast.Lambda
IN_TEXT = re.compile(r"(vtkMRML|qMRML|qSlicer|ctk)\w+")
QUOTED = re.compile(r"^(slicer|qt|ctk)\.[\w.]+( \| None)?$")
REPOSITORIES = ("Slicer", "CTK", "PythonQt", "SlicerPyTorch")


def used() -> dict[str, list[str]]:
    """Every name that the shipped files use, and the files that use it."""
    found: dict[str, list[str]] = {}
    for file in [
        MODULE / "BladderAutoContour.py",
        *sorted((MODULE / "BladderAutoContourLib" / "slicer").rglob("*.py")),
    ]:
        for name in names_of(file.read_text(encoding="utf-8")):
            found.setdefault(name, []).append(file.name)
    for file in sorted((MODULE / "Resources" / "UI").glob("*.ui")):
        for node in ElementTree.parse(file).iterfind("customwidgets/customwidget"):
            found.setdefault(node.findtext("class", ""), []).append(file.name)
    return found


def stood_in() -> set[str]:
    """The members of Slicer's and CTK's Qt classes that the stand-in has: each must be there for Python to see."""
    from standin import application, ctk_widgets, dicom, mrml_widgets, scripted_module, segment_editor

    modules = (application, ctk_widgets, dicom, mrml_widgets, scripted_module, segment_editor)
    kinds = {kind for module in modules for name, kind in vars(module).items() if re.match("(qMRML|qSlicer|ctk)", name)}
    found = set()
    for kind in kinds:
        signals = {text.partition("(")[0] for text in kind.__dict__.get("_signals", {})}
        # What Qt itself declares is overridden for Qt's sake; PySide6's own record of the class is none of the members.
        members = {name for name in vars(kind) if not name.startswith("_") and not hasattr(kind.__mro__[1], name)}
        found |= {f"{kind.__name__}.{name}" for name in members - {"staticMetaObject"} | signals}
    return found


def names_of(text: str) -> set[str]:
    """The names that a file uses: dotted, each call in between as "()"; and classes that it names in a text.

    What a variable, an attribute of `self` or a parameter stands for is followed within the file.
    """
    tree = ast.parse(text)
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found = {name for name in found if name.partition(".")[0] in PACKAGES}
    _read(tree, {name: name for name in PACKAGES}, found)
    # What a signal is connected to says nothing of the signal; a call at the end is the same name.
    found = {re.sub(r"(?<!\bapp)\.(dis)?connect$", "", name).removesuffix("()") for name in found}
    return {name for name in found if not any(other.startswith((f"{name}.", f"{name}(")) for other in found)}


def _read(scope: ast.AST, known: dict[str, str], found: set[str]) -> None:
    """Add the names of a scope to those found; a function within it knows what the scope knows."""
    known = dict(known)
    inner = [node for node in _within(scope) if isinstance(node, FUNCTIONS)]
    for node in _within(scope):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and str(node.module).partition(".")[0] in PACKAGES:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            name, kind = ast.unparse(getattr(node, "target", None) or ast.Name(node.arg)), _kind(node.annotation, known)
            known |= {name: f"{kind}()"} if kind else {}
        elif isinstance(node, ast.Assign) and (chain := _chain(node.value, known)):
            known |= {ast.unparse(target): chain for target in node.targets if not isinstance(target, ast.Tuple)}
    for node in _within(scope):
        if isinstance(node, ast.Attribute) and (chain := _chain(node, known)):
            found.add(chain)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if IN_TEXT.fullmatch(node.value):
                found.add(node.value)
            elif QUOTED.search(node.value):
                found.update(filter(None, [_kind(node, known)]))
    ours = {name: chain for name, chain in known.items() if name.startswith("self.")}
    for function in inner:
        ours |= _own_attributes(function, known)
    for function in inner:
        _read(function, known | ours, found)


def _within(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope; a function in it is met, and not entered."""
    for node in ast.iter_child_nodes(scope):
        yield node
        if not isinstance(node, FUNCTIONS):
            yield from _within(node)


def _own_attributes(function: ast.AST, known: dict[str, str]) -> dict[str, str]:
    """What a method sets on `self`, for the other methods to know."""
    assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
    pairs = [(ast.unparse(node.targets[0]), _chain(node.value, known)) for node in assigned]
    return {name: chain for name, chain in pairs if chain and name.startswith("self.")}


def listed() -> dict[str, Any]:
    """What `slicer_names.json` holds."""
    return json.loads(LIST.read_text(encoding="utf-8"))


def _kind(annotation: ast.AST, known: dict[str, str]) -> str | None:
    """The class that an annotation names first, in quotes or not: `"slicer.vtkMRMLNode | None"`."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    if isinstance(annotation, ast.BinOp):
        annotation = annotation.left
    return _chain(annotation, known) if isinstance(annotation, ast.Attribute) else None


def _chain(node: ast.AST, known: dict[str, str]) -> str | None:
    """`slicer.app.layoutManager().sliceWidget` as it stands; None if it does not begin with something known."""
    if isinstance(node, ast.Name | ast.Attribute) and (alias := known.get(ast.unparse(node))):
        return alias
    if isinstance(node, ast.Call):
        called = _chain(node.func, known)
        return called and f"{called}()"
    if isinstance(node, ast.Attribute):
        owner = _chain(node.value, known)
        # A text has methods of its own, and what `slicer.util` returns is mostly numpy's.
        ends = not owner or (owner.endswith("()") and (hasattr(str, node.attr) or owner.startswith("slicer.util.")))
        return None if ends else f"{owner}.{node.attr}"
    return None


def main() -> int:
    """Print what is amiss; 0 if nothing is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sources", nargs=len(REPOSITORIES), type=Path, metavar="GIT", help=", ".join(REPOSITORIES))
    folders = parser.parse_args().sources
    content = listed()
    if folders:
        from names_sources import Sources

        sources = Sources(dict(zip(REPOSITORIES, folders, strict=True)), content["versions"])
        for part, wanted in WANTED.items():
            content[part] = {name: sources.find(name) for name in sorted(wanted())}
        LIST.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")
    lines = [line for part in WANTED for line in differences(part, content)]
    for version in content["versions"] if folders else ():
        named = [pair for part in WANTED for pair in content[part].items()]
        lines += [
            f"{name}: {place} of {version} lacks it"
            for name, place in named
            if place and not sources.holds(version, place, name)
        ]
    print("\n".join(lines))
    return int(bool(lines))


def differences(part: str, content: dict[str, Any]) -> list[str]:
    """What of a part is used and not listed, or listed and not used; each a line."""
    wanted, places = set(WANTED[part]()), {name for name, place in content[part].items() if place}
    return [f"{name} is used and not listed" for name in sorted(wanted - places)] + [
        f"{name} is listed and not used" for name in sorted(places - wanted)
    ]


WANTED = {"names": used, "stand_in": stood_in}
"""The parts of the list, and what each must hold."""

if __name__ == "__main__":
    sys.exit(main())
