"""Looks names up in the sources of Slicer, CTK, PythonQt and SlicerPyTorch, at the revisions of both Slicers.

A place is "repository:file". "VTK:class" and "Qt:class" stand for what those libraries bring themselves, of which no
sources are looked at: the installed VTK and Qt were asked.
"""

import re
import subprocess
from functools import cache
from pathlib import Path

import vtk
from PySide6 import QtCore, QtGui, QtWidgets

SCRIPTS = {
    "slicer.util": "Slicer:Base/Python/slicer/util.py",
    "slicer.i18n": "Slicer:Base/Python/slicer/i18n.py",
    "slicer.ScriptedLoadableModule": "Slicer:Base/Python/slicer/ScriptedLoadableModule.py",
    "slicer.mrmlScene": "Slicer:Base/Python/slicer/ScriptedLoadableModule.py",
    "slicer.app": "Slicer:Base/Python/slicer/ScriptedLoadableModule.py",
    "slicer.modules.dicomPlugins": "Slicer:Modules/Scripted/DICOMLib/DICOMUtils.py",
    "slicer.modules.sampleDataSources": "Slicer:Modules/Scripted/SampleData/SampleData.py",
    "DICOMLib.DICOMUtils": "Slicer:Modules/Scripted/DICOMLib/DICOMUtils.py",
    "DICOMLib.DICOMPlugin": "Slicer:Modules/Scripted/DICOMLib/DICOMPlugin.py",
    "DICOMLib.DICOMSender": "Slicer:Modules/Scripted/DICOMLib/DICOMProcesses.py",
    "SampleData": "Slicer:Modules/Scripted/SampleData/SampleData.py",
    "PyTorchUtils": "SlicerPyTorch:PyTorchUtils/PyTorchUtils.py",
}
OBJECTS = {
    "slicer.app": "qSlicerApplication",
    "slicer.mrmlScene": "vtkMRMLScene",
    "slicer.dicomDatabase": "ctkDICOMDatabase",
}
RETURNED = {
    "GetScene": "vtkMRMLScene",
    "GetPointData": "vtkPointData",
    "font": "QFont",
    "GetTransformToParentAs": "vtkGridTransform",
}
"""What is returned where the declaration does not say it by name."""
BESIDE = {
    "connect": "PythonQt:src/PythonQtStdDecorators.h",
    "disconnect": "PythonQt:src/PythonQtStdDecorators.h",
    "testingEnabled": "Slicer:Base/Python/slicer/util.py",
    "widgetRepresentation": "Slicer:Base/QTGUI/qSlicerBaseQTGUIPythonQtDecorators.h",
}
"""What Python sees beside the class: PythonQt's additions, and Slicer's."""

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


class Sources:
    """The repositories' git folders, and for each version of Slicer the revision of each."""

    def __init__(self, folders: dict[str, Path], versions: dict[str, dict[str, str]]) -> None:
        self._folders, self._versions = folders, versions
        self._newest = versions[max(versions, key=lambda version: tuple(map(int, version.split("."))))]
        self.text = cache(self._text)
        self.files = cache(self._files)

    def holds(self, version: str, place: str, name: str) -> bool:
        """Whether a place has a name in a version; what no sources are looked at for, it has."""
        repository, _, file = place.partition(":")
        if repository not in self._folders:
            return True
        return declares(self.text(repository, self._versions[version][repository], file), member_of(name))

    def find(self, name: str) -> str | None:
        """The place of a name in the newest version."""
        for beginning, place in SCRIPTS.items():
            if name == beginning or (name.startswith(f"{beginning}.") and beginning not in OBJECTS):
                return place
        if name.rpartition(".")[2] in BESIDE:
            return BESIDE[name.rpartition(".")[2]]
        for beginning, kind in OBJECTS.items():
            name = f"{kind}(){name.removeprefix(beginning)}" if re.match(rf"{beginning}\b", name) else name
        first, *members = name.removeprefix("slicer.").removeprefix("ctk.").removeprefix("qt.").split(".")
        kind, place = first.removesuffix("()"), self._class_place(first.removesuffix("()"))
        for member in members:
            place = self._member_place(kind, member.removesuffix("()"))
            kind = self._returned(place, member.removesuffix("()")) or kind
        return place

    def _class_place(self, kind: str) -> str | None:
        for repository in ("Slicer", "CTK"):
            for file in self.files(repository):
                if file.endswith(f"/{kind}.h"):
                    return f"{repository}:{file}"
        for file in self.files("PythonQt"):
            wrapper = rf"class PythonQtWrapper_{kind} "
            if file.startswith("generated_cpp_515/") and file.endswith(".h") and wrapper in self._newest_text(file):
                return f"PythonQt:{file}"
        return f"Qt:{kind}" if _qt(kind) else f"VTK:{kind}" if hasattr(vtk, kind) else None

    def _member_place(self, kind: str, member: str) -> str | None:
        """Where a class or one of its base classes declares a member; else any class of Slicer's scene."""
        place = self._class_place(kind)
        while place and ":" in place and place.partition(":")[0] in ("Slicer", "CTK"):
            text = self.text(place.partition(":")[0], self._newest[place.partition(":")[0]], place.partition(":")[2])
            if declares(text, member):
                return place
            base = re.search(rf"class [\w ]*\b{kind}\b[\s:]*:\s*public\s+(\w+)", text)
            if not base:
                break
            kind = base.group(1)
            place = self._class_place(kind)
        if place and place.startswith("PythonQt:") and not declares(self._newest_text(place.partition(":")[2]), member):
            place = None
        if hasattr(_qt(kind), member):
            return place or f"Qt:{kind}"
        if hasattr(getattr(vtk, kind, None), member):
            return f"VTK:{kind}"
        found = (file for file in self.files("Slicer") if re.search(r"/vtkMRML\w+Node\.h$", file))
        return next((f"Slicer:{file}" for file in found if declares(self._slicer_text(file), member)), None)

    def _returned(self, place: str | None, member: str) -> str | None:
        """The class of what a member returns."""
        repository, _, file = (place or "").partition(":")
        if member in RETURNED or repository not in self._folders:
            return RETURNED.get(member)
        text = self.text(repository, self._newest[repository], file)
        macro = rf"vtkGet\w*ObjectMacro\({member.removeprefix('Get')},\s*(\w+)\)"
        found = re.search(rf"(\w+)\s*\*\s*{member}\s*\(|{macro}", text)
        return found and (found.group(1) or found.group(2))

    def _slicer_text(self, file: str) -> str:
        return self.text("Slicer", self._newest["Slicer"], file)

    def _newest_text(self, file: str) -> str:
        return self.text("PythonQt", self._newest["PythonQt"], file)

    def _text(self, repository: str, revision: str, file: str) -> str:
        text = self._git(repository, "show", f"{revision}:{file}")
        return text if file.endswith(".py") else COMMENT.sub("", text)

    def _files(self, repository: str) -> tuple[str, ...]:
        return tuple(self._git(repository, "ls-tree", "-r", "--name-only", self._newest[repository]).splitlines())

    def _git(self, repository: str, *arguments: str) -> str:
        command = ["git", f"--git-dir={self._folders[repository]}", *arguments]
        return subprocess.run(command, capture_output=True, check=False).stdout.decode("utf-8", "replace")


def member_of(name: str) -> str:
    """The last part of a dotted name."""
    return name.rpartition(".")[2].removesuffix("()")


def declares(text: str, member: str) -> bool:
    """Whether a source has a member.

    Of a Qt class only what it shows to Python counts: properties, slots, signals, enumerations, what is Q_INVOKABLE.
    Of VTK's classes the macros count too that make `SetX` and `GetX` of X.
    """
    word = rf"\b{re.escape(member)}\b"
    if "Q_OBJECT" in text and not re.search(rf"class [\w ]*{word}", text):
        shown = "".join(re.findall(r"Q_PROPERTY\(.*?\)|Q_INVOKABLE[^;{]*|enum[^;]*;", text, re.DOTALL))
        sections = re.split(
            r"^\s*(public\s+\w+|protected\s*\w*|private\s*\w*|public|signals|Q_SIGNALS)\s*:", text, flags=re.M
        )
        for label, body in zip(sections[1::2], sections[2::2], strict=True):
            shown += body if re.search(r"public\s+(slots|Q_SLOTS)|signals|Q_SIGNALS", label) else ""
        return bool(re.search(word, shown))
    stem = re.sub(r"^(SetAndObserve|Set|Get)|(On|Off)$", "", member)
    return bool(re.search(rf"{word}|vtk\w*Macro\({re.escape(stem)}\b", text))


def _qt(kind: str) -> type | None:
    return next((getattr(package, kind) for package in (QtCore, QtGui, QtWidgets) if hasattr(package, kind)), None)
