"""A contour out as a structure set: what the last look shows, and the way from the segment to the verified file.

Reads the scene and Slicer's DICOM database, changes neither. The engine writes the file and reads it back; only a file
that it verified goes on to its destination.
"""

import contextlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from ... import TEMPORARY_PREFIX, host
from ...errors import InputError, OutputError, UsageError
from ..process.engine_process import EngineProcess, Listener
from ..process.messages import Failure, failure_cancelled, failure_of
from ..scene import kept_contour
from ..scene.ct_source import CtSource, dicom_source_of
from ..scene.dicom_files import instance_uids
from ..scene.segmentation import Contour, expect_drawn_on, is_edited, is_made_of_voxels, write_mask
from ..scene.touched import slice_numbers, touched_slices
from ..working_files import temporary_folder
from .destinations import Destination, Ready

NAME_LENGTH, LABEL_LENGTH = 64, 16
"""What DICOM has room for in a structure's name and in a structure set's label."""
SAFE_NAME_LENGTH = 16
PATIENT_NAME, PATIENT_ID = "0010,0010", "0010,0020"
CT_DATES = ("0008,0022", "0008,0021", "0008,0020")
"""Acquisition, series, study: the first that the CT has."""


class NotFromDicomError(InputError):
    """A structure set would have no images to refer to; `save_segmentation` is what can be offered."""


@dataclass(frozen=True)
class StructureNames:
    """What the structure and the structure set are called. Raises UsageError, a sentence, where DICOM forbids it.

    The default name is that of AAPM TG-263.
    """

    roi_name: str = "Bladder"
    label: str = "BladderAuto"

    def __post_init__(self) -> None:
        if not 0 < len(self.roi_name.strip()) <= NAME_LENGTH:
            raise UsageError(_("The structure name must have 1 to {n} characters.").format(n=NAME_LENGTH))
        if not 0 < len(self.label.strip()) <= LABEL_LENGTH:
            raise UsageError(_("The structure set label must have 1 to {n} characters.").format(n=LABEL_LENGTH))
        if any("\\" in text or not text.isprintable() for text in (self.roi_name, self.label)):
            raise UsageError(_("The structure name and the label must not hold a backslash or a line break."))

    @property
    def hint(self) -> str:
        """What is allowed and may yet go wrong; mostly nothing."""
        if len(self.roi_name) <= SAFE_NAME_LENGTH:
            return ""
        return _("Some planning systems cut structure names after {n} characters.").format(n=SAFE_NAME_LENGTH)


@dataclass(frozen=True)
class LastLook:
    """What a clinician looks at once more before the contour leaves.

    contour: the segment's name, by which the panel and the editor tell contours of a CT apart. generation: AUTOMATIC;
    once edited, SEMIAUTOMATIC; MANUAL where the program had no part in it. unopened: sentences of warnings that nobody
    has clicked yet.
    """

    patient_name: str
    patient_id: str
    ct_date: str
    contour: str
    volume_ml: float
    generation: str
    unopened: tuple[str, ...] = ()
    names: StructureNames = StructureNames()


def last_look(contour: Contour, working_folder: Path, unopened: tuple[str, ...] = ()) -> LastLook:
    """What is true of the contour as it stands. Whatever an export would refuse is refused here already.

    Raises NotFromDicomError; InputError: the contour is empty, not on its CT, CT files are missing; OutputError.
    """
    with temporary_folder(working_folder) as folder:
        volume_ml = _prepare(contour, Path(folder)).volume_ml
    ct, unknown = contour.volume, _("not given")
    return LastLook(
        patient_name=person_name(value_of(ct, PATIENT_NAME)) or unknown,
        patient_id=value_of(ct, PATIENT_ID) or unknown,
        ct_date=date(next(filter(None, (value_of(ct, tag) for tag in CT_DATES)), "")) or unknown,
        contour=contour.segment.GetName(),
        volume_ml=volume_ml,
        generation=generation_of(contour),
        unopened=unopened,
    )


def value_of(volume_node: slicer.vtkMRMLScalarVolumeNode, tag: str) -> str:
    """A value of the first image of a CT, as Slicer's database knows it; empty for one that is not from DICOM."""
    uids = instance_uids(volume_node)
    return slicer.dicomDatabase.instanceValue(uids[0], tag).strip() if uids else ""


def generation_of(contour: Contour) -> str:
    """DICOM's word for how the contour came about. Raises InputError where the contour is gone."""
    segment = contour.segment
    if kept_contour.is_begun_by_hand(segment) and not kept_contour.fact(segment, kept_contour.ASSISTED):
        return "MANUAL"
    return "SEMIAUTOMATIC" if is_edited(contour) else "AUTOMATIC"


def person_name(value: str) -> str:
    """A DICOM person name as people read it: `Doe^Jane=...` is "Doe, Jane"; other scripts follow after "="."""
    groups = [[part.strip() for part in group.split("^")] for group in value.split("=")]
    read = [", ".join(filter(None, (group[0], " ".join(filter(None, group[1:]))))) for group in groups]
    return " = ".join(filter(None, read))


def date(value: str) -> str:
    """A DICOM date with dashes; what is none, as it is."""
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if len(value) == 8 and value.isdecimal() else value


def save_segmentation(contour: Contour, path: Path) -> None:
    """Save the contour's segmentation as a .seg.nrrd file, which Slicer can load again. Raises OutputError.

    An older file of that name stays until the new one is whole.
    """
    if not is_made_of_voxels(contour.segmentation):  # Slicer would write an index, and the surfaces into a folder
        raise OutputError(
            _(
                "This contour was made a surface, which does not fit into one file. In the module Segmentations, make "
                "Binary labelmap the source representation, then save again."
            )
        )
    partial = path.with_name(f"{TEMPORARY_PREFIX}{path.name}")
    fault: OSError | None = None
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(partial))
    try:
        if storage.WriteData(contour.segmentation):
            host.replace_file(partial, path)
            return
    except OSError as error:
        fault = error
    finally:
        partial.unlink(missing_ok=True)
    # Slicer's own writer gives no reason.
    file = f"{path} ({fault.strerror or type(fault).__name__})" if fault is not None else path
    raise OutputError(
        _("The segmentation cannot be saved as {file}. Choose another folder or make room.").format(file=file), [path]
    ) from fault


class StructureSetExport:
    """Takes contours to their destinations, one after the other.

    Nothing in it waits but Slicer's own sender, for as long as a node that answers takes to receive one file.

    Usage::

        export = StructureSetExport(engine, Path(slicer.app.temporaryPath))
        export.write(contour, StructureNames(), ToFolder(folder), listener)
        export.poll()      # from a timer, in place of engine.poll(); the listener hears from within it
    """

    def __init__(self, engine: EngineProcess, working_folder: Path) -> None:
        self._engine = engine
        self._working_folder = working_folder
        self._errand: _Errand | None = None
        self._knock: Ready | None = None

    @property
    def busy(self) -> bool:
        """Whether a structure set is on its way, or the engine is at other work."""
        return self._errand is not None or self._engine.busy

    def write(
        self,
        contour: Contour,
        names: StructureNames,
        destination: Destination,
        listener: Listener,
        probability: Path | None = None,
    ) -> None:
        """Begin to take the contour as it stands now to its destination.

        The listener's `finished` hears the file, or None where it went where files have no path. probability: the
        engine's, of this very contour; it smooths the outline while nobody has edited it. Raises what `last_look`
        does, and OutputError where the destination is not there; then the listener hears nothing. Raises RuntimeError
        while `busy`.
        """
        if self.busy:
            raise RuntimeError("another request is on its way")
        folder = temporary_folder(self._working_folder)
        try:
            prepared = _prepare(contour, Path(folder.name))
            file = destination.file(Path(folder.name) / "dicom")
            fields = _fields(contour, prepared, names, file, probability)
            self._knock = destination.knock()
        except Exception:
            folder.cleanup()
            raise
        self._errand = _Errand(fields, file, destination, listener, folder, self._forget)

    def poll(self) -> None:
        """See what has happened: call every 50 ms or so."""
        self._engine.poll()
        if self._knock is None or self._errand is None or self._engine.busy:
            return
        errand = self._errand
        try:
            answered = self._knock()
        except OutputError as fault:
            errand.failed(failure_of(fault))
            return
        if answered:
            self._knock = None
            self._engine.write_structure_set(errand.fields, errand)

    def cancel(self) -> None:
        """Stop; the listener hears of a failure with code 130, and nothing is left behind."""
        if self._knock is not None and self._errand is not None:
            self._errand.failed(failure_cancelled())
        elif self._errand is not None:
            self._engine.cancel()

    def _forget(self) -> None:
        self._errand = self._knock = None


class _Errand:
    """One structure set on its way: hears the engine for the listener, and takes the verified file on."""

    def __init__(
        self,
        fields: Mapping[str, Any],
        file: Path,
        destination: Destination,
        listener: Listener,
        folder: "tempfile.TemporaryDirectory[str]",
        ended: Callable[[], None],
    ) -> None:
        self.fields = fields
        self._file = file
        self._destination = destination
        self._listener = listener
        self._folder = folder
        self._ended = ended

    def progressed(self, step: str, fraction: float, seconds_left: float | None) -> None:
        self._listener.progressed(step, fraction, seconds_left)

    def finished(self, _folder: Path | None) -> None:
        try:
            place = self._destination.take(self._file)
        except Exception as fault:  # noqa: BLE001 - the listener hears of whatever Slicer's database or sender raises
            self.failed(failure_of(fault))
        else:
            self._end()
            self._listener.finished(place)

    def failed(self, failure: Failure) -> None:
        # Cancelled in the very moment in which it was finished: no file of that name was there before.
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)
        self._end()
        self._listener.failed(failure)

    def _end(self) -> None:
        self._folder.cleanup()
        self._ended()


@dataclass(frozen=True)
class _Prepared:
    """What the engine is asked with."""

    source: CtSource
    mask: Path
    volume_ml: float


def _prepare(contour: Contour, folder: Path) -> _Prepared:
    source = dicom_source_of(contour.volume)
    if not source.from_dicom:
        offer = _("The contour can be saved as a segmentation file (.seg.nrrd) instead.")
        raise NotFromDicomError(f"{source.why_not_dicom} {offer}")
    expect_drawn_on(contour, source.series_uid)
    mask = folder / "mask.nrrd"
    volume_ml = write_mask(contour, mask)
    if volume_ml == 0:
        raise InputError(_("The contour is empty: there is nothing to export. Draw it, or contour the CT again."))
    return _Prepared(source, mask, volume_ml)


def _fields(
    contour: Contour, prepared: _Prepared, names: StructureNames, file: Path, probability: Path | None
) -> dict[str, Any]:
    """The engine's request."""
    model = kept_contour.fact(contour.segment, kept_contour.MODEL)
    generation = generation_of(contour)
    touched = touched_slices(contour)
    told = [f"model {model}"] if model else []
    told += [f"corrected by hand in slices {slice_numbers(touched)}"] if touched else []
    smooth = probability is not None and probability.is_file() and generation == "AUTOMATIC"
    return {
        "ct": [str(path) for path in prepared.source.paths],
        "series": prepared.source.series_uid,
        "mask": str(prepared.mask),
        "probability": str(probability) if smooth else None,
        "output": str(file),
        "name": names.roi_name.strip(),
        "label": names.label.strip(),
        "generation": generation,
        "description": ", ".join(told) or None,
    }
