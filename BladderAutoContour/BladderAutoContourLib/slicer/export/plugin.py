"""Slicer's DICOM export offers the engine's contours as structure sets: a plugin of the DICOM module."""

import time
from collections.abc import Callable
from pathlib import Path

import slicer
from DICOMLib import DICOMPlugin
from slicer.i18n import tr as _

from ...errors import BladderError, UsageError
from ..process.messages import Failure
from ..scene.dicom_files import instance_uids
from ..scene.kept_contour import is_automatic
from ..scene.segmentation import Contour
from .destinations import ToFolder
from .structure_set import PATIENT_ID, PATIENT_NAME, StructureNames, StructureSetExport, person_name, value_of

KEY = "BladderAutoContourStructureSetPlugin"
"""Under which Slicer's DICOM module knows the plugin."""
NAME, LABEL = "ROIName", "StructureSetLabel"
EXPORT_SECONDS = 300.0
"""Longer than any structure set takes; then it is cancelled."""
PATIENT = {"PatientName": PATIENT_NAME, "PatientID": PATIENT_ID}
STUDY_UID = "0020,000D"

Step = Callable[[], bool]
Wait = Callable[[Step, Callable[[], None]], None]
"""Calls the step every now and then until it is true, the window alive meanwhile; what it calls second cancels."""


class BladderStructureSetPlugin(DICOMPlugin):
    """Exports contours that the engine drew; other segmentations are SlicerRT's business.

    `export` gives what takes them to their destination, `wait` lets Slicer's export dialog wait for it.
    """

    def __init__(self, export: Callable[[], StructureSetExport], wait: Wait) -> None:
        super().__init__()
        self.loadType = _("Bladder Auto-Contour RT structure set")
        self._export = export
        self._wait = wait

    def examineForExport(self, subjectHierarchyItemID: int) -> list["slicer.qSlicerDICOMExportable"]:  # noqa: N802
        """What can be exported of an item of the subject hierarchy: a segmentation that holds such a contour."""
        node = _tree().GetItemDataNode(subjectHierarchyItemID)
        if node is None or not _contours(node):
            return []
        names = StructureNames()
        exportable = slicer.qSlicerDICOMExportable()
        exportable.name = self.loadType
        exportable.tooltip = _(
            "The visible bladder contour, verified after writing. It refers to the original CT images and takes "
            "patient and study from them."
        )
        exportable.subjectHierarchyItemID = subjectHierarchyItemID
        exportable.pluginClass = KEY
        exportable.confidence = 1.0
        exportable.setTag("Modality", "RTSTRUCT")
        exportable.setTag(NAME, names.roi_name)
        exportable.setTag(LABEL, names.label)
        return [exportable]

    def export(self, exportables: list["slicer.qSlicerDICOMExportable"]) -> str:
        """Write a structure set for each into its directory. Empty, or a sentence for the clinician."""
        try:
            for exportable in exportables:
                self._write(exportable)
        except BladderError as fault:
            return fault.message
        return ""

    def _write(self, exportable: "slicer.qSlicerDICOMExportable") -> None:
        contour = _shown_contour(_tree().GetItemDataNode(exportable.subjectHierarchyItemID))
        _expect_same_patient(exportable, contour)
        names = StructureNames(exportable.tag(NAME), exportable.tag(LABEL))
        export, heard = self._export(), _Heard()
        if export.busy:
            raise UsageError(_("The program is at work on another contour. Export again when it is done."))
        export.write(contour, names, ToFolder(Path(exportable.directory)), heard)
        begun = time.monotonic()

        def is_late() -> bool:
            return time.monotonic() - begun > EXPORT_SECONDS

        def step() -> bool:
            if is_late():
                export.cancel()
            export.poll()
            return heard.ended

        self._wait(step, export.cancel)
        if heard.failure is not None:
            late = _(
                "Writing the structure set took more than 5 minutes and was stopped. Restart Slicer and try again."
            )
            raise BladderError(late if is_late() else heard.failure.sentence)


class _Heard:
    """What became of an export."""

    def __init__(self) -> None:
        self.ended = False
        self.failure: Failure | None = None

    def progressed(self, step: str, fraction: float, seconds_left: float | None) -> None:
        pass

    def finished(self, _file: Path | None) -> None:
        self.ended = True

    def failed(self, failure: Failure) -> None:
        self.ended, self.failure = True, failure


def register(export: Callable[[], StructureSetExport], wait: Wait) -> None:
    """Make the plugin known to Slicer's DICOM module. Nothing is started before somebody exports."""
    if not hasattr(slicer.modules, "dicomPlugins"):
        slicer.modules.dicomPlugins = {}
    slicer.modules.dicomPlugins[KEY] = lambda: BladderStructureSetPlugin(export, wait)


def _tree() -> slicer.vtkMRMLSubjectHierarchyNode:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def _contours(node: slicer.vtkMRMLNode) -> list[Contour]:
    """The engine's contours in a segmentation node; none in other nodes."""
    if not node.IsA("vtkMRMLSegmentationNode"):
        return []
    segments = node.GetSegmentation()
    return [Contour(node, id_) for id_ in segments.GetSegmentIDs() if is_automatic(segments.GetSegment(id_))]


def _shown_contour(segmentation: slicer.vtkMRMLSegmentationNode) -> Contour:
    """The one that the clinician sees: a re-run leaves earlier contours beside it. Raises UsageError."""
    display = segmentation.GetDisplayNode()
    shown = [one for one in _contours(segmentation) if display is None or display.GetSegmentVisibility(one.segment_id)]
    if len(shown) != 1:
        raise UsageError(_("Show the one bladder contour that is to be exported, hide the others, then export again."))
    return shown[0]


def _as_slicer_shows(volume: slicer.vtkMRMLScalarVolumeNode, name: str, tag: str) -> tuple[str, ...]:
    """The CT's value of a tag, and where it has none what Slicer's own modules put in its place (`DICOMLib`)."""
    value = value_of(volume, tag)
    placeholders = {"PatientName": "No name", "PatientID": f"Patient-{value_of(volume, STUDY_UID)}"}
    return (value,) if value else (value, placeholders[name])


def _is_same_name(one: str, other: str) -> bool:
    """Whether two names read the same: what was loaded first names the patient in Slicer, and a planning system's plan
    or structures write all five parts of a name, or in capitals."""
    return person_name(one).casefold() == person_name(other).casefold()


def _expect_same_patient(exportable: "slicer.qSlicerDICOMExportable", contour: Contour) -> None:
    """The table of Slicer's dialog can be edited; what is typed there for the patient would not go into the file."""
    for name, tag in PATIENT.items():
        typed = exportable.tag(name).strip()
        if not typed or contour.volume is None or not instance_uids(contour.volume):
            continue  # what has no patient of its own is refused by what follows
        shown = _as_slicer_shows(contour.volume, name, tag)
        if typed not in shown and not (name == "PatientName" and _is_same_name(typed, shown[0])):
            raise UsageError(
                _(
                    "Patient and study are taken from the CT and cannot be changed here. Undo the change of {tag}."
                ).format(tag=name)
            )
