"""A pelvis CT for trying the module: the engine's `phantom` command generates it here. It belongs to nobody."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import DICOMLib
import slicer
from slicer.i18n import tr as _

from ..errors import EnvironmentFault, InputError
from .process.child_process import ChildProcess, Ended, ErrorLine, OutputLine
from .process.messages import failure_of_end

CATEGORY = "Bladder Auto-Contour"
SAMPLE_NAME = "GeneratedPelvisCT"
SEED = 7
SPACING_MM = ("2", "2", "3")
PATIENCE_SECONDS = 0.05
SERIES_UID = "0020,000E"


def register(python: Path, thumbnail: Path) -> None:
    """Offer the pelvis in the module Sample Data. python: the program that runs the engine."""
    import SampleData  # here, because Slicer has it once all modules are loaded

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE_NAME,
        thumbnailFileName=str(thumbnail),
        uris=[],  # nothing is downloaded; without the two lists Slicer takes no entry
        fileNames=[],
        customDownloader=lambda _source: _load_or_say(python),
    )


def load_pelvis(python: Path, keep_alive: Callable[[], None]) -> slicer.vtkMRMLScalarVolumeNode:
    """Generate the pelvis, add it to Slicer's DICOM database, and load it; `keep_alive` is called while it takes.

    Raises EnvironmentFault where the engine does not run, InputError without a DICOM database.
    """
    if not slicer.dicomDatabase or not slicer.dicomDatabase.isOpen:
        raise InputError(_("Slicer has no DICOM database yet. Open the DICOM module once, then try again."))
    with tempfile.TemporaryDirectory(dir=slicer.app.temporaryPath, ignore_cleanup_errors=True) as folder:
        _generate(python, Path(folder), keep_alive)
        ct = next(Path(folder).glob("*/ct"))
        series_uid = slicer.dicomDatabase.fileValue(str(next(ct.iterdir())), SERIES_UID)
        DICOMLib.DICOMUtils.importDicom(str(ct), copyFiles=True)
    nodes = map(slicer.mrmlScene.GetNodeByID, DICOMLib.DICOMUtils.loadSeriesByUID([series_uid]))
    volume = next(node for node in nodes if node.IsA("vtkMRMLScalarVolumeNode"))
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return volume


def _generate(python: Path, folder: Path, keep_alive: Callable[[], None]) -> None:
    child = ChildProcess(
        python, ["phantom", f"--seed={SEED}", "--spacing", *SPACING_MM, "--dicom", f"--output={folder}"]
    )
    error: dict[str, object] = {}
    while True:
        keep_alive()
        for heard in child.heard(PATIENCE_SECONDS):
            match heard:
                case OutputLine():
                    error = (heard.event or {}).get("error", error)
                case ErrorLine():
                    pass  # the error object says the same
                case Ended(code=0):
                    return
                case Ended():
                    raise EnvironmentFault(failure_of_end(python, heard, error).sentence)


def _load_or_say(python: Path) -> None:
    slicer.util.showStatusMessage(_("Generating a pelvis CT. This takes about a minute..."))
    with slicer.util.tryWithErrorDisplay(_("The pelvis CT could not be generated."), waitCursor=True):
        load_pelvis(python, slicer.app.processEvents)
