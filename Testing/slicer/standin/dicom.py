"""Slicer's DICOM parts over real files: a database in memory, `DICOMLib`, and loading a series as Slicer does."""

import shutil
import subprocess
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import slicer
import vtk
from PySide6.QtCore import Property, QObject

from .stored import stored

PLACE_TAGS = ("0020,0032", "0020,0037")  # image position, image orientation


class qSlicerDICOMExportable(QObject):
    """One thing that a plugin can export: Modules/Scripted/DICOMLib/Widgets/qSlicerDICOMExportable.h."""

    name = stored(str, "")
    tooltip = stored(str, "")
    subjectHierarchyItemID = stored(int, 0)
    pluginClass = stored(str, "")
    directory = stored(str, "")
    confidence = stored(float, 0.0)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tags: dict[str, str] = {}

    def tag(self, name: str) -> str:
        """The value of a tag, "" if it was not set."""
        return self._tags.get(name, "")

    def setTag(self, name: str, value: str) -> None:
        """Set the value of a tag."""
        self._tags[name] = value


class ctkDICOMDatabase(QObject):
    """Which files hold which images: Libs/DICOM/Core/ctkDICOMDatabase.h. It lives as long as the session."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._open = True
        self._files: dict[str, Path] = {}
        self._headers: dict[Path, pydicom.Dataset] = {}

    isOpen = Property(bool, lambda self: self._open)
    databaseDirectory = Property(str, lambda self: str(self._directory))

    def closeDatabase(self) -> None:
        """Answer no more questions."""
        self._open = False

    def fileForInstance(self, uid: str) -> str:
        """Where an image lies, "" if it is not known."""
        return str(self._files.get(uid, ""))

    def instanceForFile(self, name: str) -> str:
        """The image that a file holds, "" if it is not known."""
        return next((uid for uid, path in self._files.items() if path == Path(name)), "")

    def seriesForFile(self, name: str) -> str:
        """The series of a file, "" if it is not known."""
        return self.fileValue(name, "0020,000E") if self.instanceForFile(name) else ""

    def instancesForSeries(self, uid: str, hits: int = -1) -> list[str]:
        """The images of a series."""
        found = [name for name, path in self._files.items() if self._value(path, "0020,000E") == uid]
        return found if hits < 0 else found[:hits]

    def filesForSeries(self, uid: str, hits: int = -1) -> list[str]:
        """The files of a series."""
        return [str(self._files[name]) for name in self.instancesForSeries(uid, hits)]

    def allFiles(self) -> list[str]:
        """Every file."""
        return [str(path) for path in self._files.values()]

    def instanceValue(self, uid: str, tag: str) -> str:
        """A value of an image's header as text, "" if there is none."""
        return self._value(self._files[uid], tag) if uid in self._files else ""

    def fileValue(self, name: str, tag: str) -> str:
        """A value of a file's header as text, "" if there is none; the file need not be in the database."""
        return self._value(Path(name), tag)

    def removeSeries(self, uid: str, _clear_cached_tags: bool = False, _cleanup: bool = True) -> bool:
        """Forget a series, and delete the copies made of its files."""
        for name in self.instancesForSeries(uid):
            path = self._files.pop(name)
            if self._directory in path.parents:
                path.unlink()
        return True

    def _insert(self, path: Path, copy: bool) -> None:
        header = self._header(path)
        uid = self._value(path, "0008,0018")
        if not header or not uid:
            return  # the indexer passes over what is no DICOM image without a word
        if copy:
            target = self._directory / "dicom" / self._value(path, "0020,000E") / f"{uid}.dcm"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            path = target
        self._files[uid] = path

    def _header(self, path: Path) -> pydicom.Dataset | None:
        if path not in self._headers:
            try:
                self._headers[path] = pydicom.dcmread(path, stop_before_pixels=True)
            except (pydicom.errors.InvalidDicomError, OSError):
                return None
        return self._headers[path]

    def _value(self, path: Path, tag: str) -> str:
        header = self._header(path)
        element = header.get(tuple(int(part, 16) for part in tag.split(","))) if header else None
        if element is None or element.value is None or element.VR == "SQ":
            return ""
        values = element.value if element.VM > 1 else [element.value]
        # numbers as they are written; a person's name is kept as bytes
        written = [getattr(value, "original_string", value) for value in values]
        return "\\".join(
            str(text if isinstance(text, str) else value) for value, text in zip(values, written, strict=True)
        )


class DICOMPlugin:
    """What a plugin of the DICOM module derives from: Modules/Scripted/DICOMLib/DICOMPlugin.py."""

    def __init__(self) -> None:
        self.loadType = "Generic DICOM"
        self.loadableCache: dict[Any, Any] = {}
        self.tags = {"seriesInstanceUID": "0020,000E", "instanceUID": "0008,0018", "modality": "0008,0060"}

    def examineForImport(self, fileList: list[list[str]]) -> list[Any]:
        """What of these files the plugin can load."""
        return []

    def load(self, loadable: Any) -> bool:
        """Load it."""
        return True

    def examineForExport(self, subjectHierarchyItemID: int) -> list[qSlicerDICOMExportable]:
        """What of this item the plugin can export."""
        return []

    def export(self, exportable: Any) -> str:
        """Export it; "" or what went wrong."""
        return ""


class DICOMSender:
    """Sends files to a DICOM node by DCMTK's storescu, once as it is and once with Slicer's list of file kinds.

    Slicer brings storescu; here it is DCMTK's own. The second try is the same as the first.
    """

    def __init__(
        self,
        files: list[str],
        address: str,
        protocol: str | None = None,
        progressCallback: Any = None,
        aeTitle: str | None = None,
        auth: Any = None,
        delayed: bool = False,
    ) -> None:
        if protocol not in (None, "DIMSE"):
            raise AssertionError(f"the stand-in cannot send by {protocol}")
        self.files, self.aeTitle = files, aeTitle or "CTK"
        self._host, _, self._port = address.rpartition(":")
        self._tell = progressCallback or (lambda _text: True)
        if not delayed:
            self.send()

    def send(self) -> None:
        """Send them; UserWarning if one was not taken, or the callback wants no more."""
        for file in self.files:
            command = ["storescu", self._host, self._port, "-aec", self.aeTitle, file]
            if all(subprocess.run(command, capture_output=True, check=False).returncode for _attempt in range(2)):
                raise UserWarning(f"Could not send {file} to {self._host}:{self._port}")
            if not self._tell(f"Sent {file} to {self._host}:{self._port}"):
                raise UserWarning("Sending was cancelled, upload is incomplete.")


def import_dicom(folder: str, database: ctkDICOMDatabase | None = None, copyFiles: bool = False) -> bool:
    """`DICOMUtils.importDicom`: every DICOM file of a folder and those below it goes into the database."""
    for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        (database or slicer.dicomDatabase)._insert(path, copyFiles)
    return True


def load_series(series_uid: str) -> Any:
    """Load a series of the database as the DICOM module does; the volume node.

    Its slices in order of their positions, the attribute with the images' UIDs, its place under patient and study.
    """
    database = slicer.dicomDatabase
    files = database.filesForSeries(series_uid)
    if len(files) > 1:
        files = sorted(files, key=lambda name: _height(database, name))
    names = vtk.vtkStringArray()
    for file in files:
        names.InsertNextValue(file)
    name = database.fileValue(files[0], "0008,103E") or "Unnamed Series"
    volume = slicer.modules.volumes.logic().AddArchetypeVolume(files[0], name, 0, names)
    volume.SetAttribute("DICOM.instanceUIDs", " ".join(database.instanceForFile(file) for file in files))
    _place(volume, files[0], series_uid)
    return volume


def load_series_by_uid(seriesUIDs: list[str]) -> list[str]:
    """`DICOMUtils.loadSeriesByUID`: the IDs of the nodes loaded."""
    if not isinstance(seriesUIDs, list) or not seriesUIDs:
        raise ValueError("SeriesUIDs must contain a list")
    return [load_series(uid).GetID() for uid in seriesUIDs if slicer.dicomDatabase.filesForSeries(uid)]


@contextmanager
def temporary_database(directory: str | None = None) -> Iterator[ctkDICOMDatabase]:
    """`DICOMUtils.TemporaryDICOMDatabase`: another database for a while, empty."""
    before = slicer.dicomDatabase
    slicer.dicomDatabase = ctkDICOMDatabase(Path(slicer.app.temporaryPath, directory or "TempDICOMDatabase"))
    try:
        yield slicer.dicomDatabase
    finally:
        slicer.dicomDatabase = before


def _height(database: ctkDICOMDatabase, name: str) -> float:
    """Where a slice lies along the normal of its plane: DICOMUtils.getSortedImageFiles."""
    position, plane = ([float(part) for part in database.fileValue(name, tag).split("\\")] for tag in PLACE_TAGS)
    return float(np.dot(position, np.cross(plane[:3], plane[3:])))


def _place(volume: Any, file: str, series_uid: str) -> None:
    value = slicer.dicomDatabase.fileValue
    names = slicer.vtkMRMLSubjectHierarchyConstants
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = tree.CreateItem(tree.GetSceneItemID(), volume)
    tree.SetItemUID(item, names.GetDICOMUIDName(), series_uid)
    tree.SetItemUID(item, names.GetDICOMInstanceUIDName(), volume.GetAttribute("DICOM.instanceUIDs"))
    tree.SetItemAttribute(item, names.GetDICOMSeriesModalityAttributeName(), value(file, "0008,0060"))
    patient, study = value(file, "0010,0020") or f"Patient-{value(file, '0020,000D')}", value(file, "0020,000D")
    slicer.vtkSlicerSubjectHierarchyModuleLogic.InsertDicomSeriesInHierarchy(tree, patient, study, series_uid)
    patient_item = tree.GetItemByUID(names.GetDICOMUIDName(), patient)
    tree.SetItemAttribute(patient_item, names.GetDICOMPatientNameAttributeName(), value(file, "0010,0010"))
    tree.SetItemName(patient_item, value(file, "0010,0010") or "No name")
    study_item = tree.GetItemByUID(names.GetDICOMUIDName(), study)
    tree.SetItemName(study_item, value(file, "0008,1030") or "No study description")


def dicom_library() -> types.ModuleType:
    """The package `DICOMLib`."""
    package = types.ModuleType("DICOMLib")
    package.DICOMPlugin, package.DICOMSender = DICOMPlugin, DICOMSender
    package.DICOMUtils = types.ModuleType("DICOMLib.DICOMUtils")
    package.DICOMUtils.importDicom = import_dicom
    package.DICOMUtils.loadSeriesByUID = load_series_by_uid
    package.DICOMUtils.TemporaryDICOMDatabase = temporary_database
    return package
