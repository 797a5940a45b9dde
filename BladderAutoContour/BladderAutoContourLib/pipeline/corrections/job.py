"""Corrections as jobs: files in, a complete result folder out."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...events import Events
from ...imaging.axes import along_axes_of
from ...imaging.files import read_mask, read_volume, write_volume
from ...imaging.volume import Volume
from ...networks.plan import Plan
from ..engine import PADDED, Engine
from ..fallback import Computed
from ..reading import ReadCt, Reader
from ..report import bounding_box_mm, report_head, write_report
from ..result_folder import MASK, PROBABILITY, REPORT, ResultFolder
from ..steps import StepCost, Steps
from ..suitability import without_padding
from ..warnings import Contoured, fallback_warning, geometry_warning, warnings_of
from .refine import Corrections, Refinement

_SHARES = {"read": 2.0, "correct": 1.0, "write": 1.0}  # usual seconds on two cores


@dataclass(frozen=True)
class CorrectionJob:
    """A contour to correct. ct: a folder of DICOM files, DICOM files, or one volume file; mask: a volume file.

    series_uid: which series, where the folder holds several.
    """

    ct: tuple[Path, ...]
    mask: Path
    output: Path
    series_uid: str | None


@dataclass(frozen=True)
class RefineJob(CorrectionJob):
    """Corrections to carry on; volume files, what `Corrections` says of them."""

    probability: Path
    touched: Path


@dataclass(frozen=True)
class CopyJob(CorrectionJob):
    """A contour to copy from axial slice `source` to `target` (indices along z) and to fit to the CT."""

    source: int
    target: int


@dataclass(frozen=True)
class _Corrected:
    """What a job made of a mask, and what its report says of it: where it was computed, whether that was as asked,
    and which slices."""

    mask: Volume
    device: str
    fallback: str
    touched_slices: tuple[int, ...]
    changed_slices: tuple[int, ...]
    probability: Volume | None = None


_Prepare = Callable[[Volume, Volume], Callable[[], _Corrected]]
"""Reads what a job needs beside CT and mask; what it returns does the work."""


def run_refine(job: RefineJob, engine: Engine, events: Events, reader: Reader) -> Path:
    """Carry the corrections on into `job.output`; the folder that was written. Raises the family's errors."""

    def prepare(ct: Volume, mask: Volume) -> Callable[[], _Corrected]:
        probability = _on_grid_of(ct, _probability(reader, job.probability), job.probability)
        corrections = Corrections(probability, mask, _on_grid_of(ct, _touched(job.touched), job.touched))
        return lambda: _refined(engine.refine(ct, corrections))

    return _run(job, prepare, engine, events, reader)


def run_copy(job: CopyJob, engine: Engine, events: Events, reader: Reader) -> Path:
    """Copy and fit one contour into `job.output`: mask and report. Raises the family's errors."""

    def prepare(ct: Volume, mask: Volume) -> Callable[[], _Corrected]:
        return lambda: _copied(mask, engine.copy_and_fit(ct, mask, job.source, job.target), job.target)

    return _run(job, prepare, engine, events, reader)


def _refined(computed: Computed[Refinement]) -> _Corrected:
    found = computed.result
    return _Corrected(
        found.mask, computed.device, computed.fallback, found.touched_slices, found.changed_slices, found.probability
    )


def _copied(before: Volume, computed: Computed[Volume], target: int) -> _Corrected:
    after = computed.result
    is_changed = bool(((before.array[target] > 0) != (after.array[target] > 0)).any())
    return _Corrected(after, computed.device, computed.fallback, (), (target,) if is_changed else ())


def _run(job: CorrectionJob, prepare: _Prepare, engine: Engine, events: Events, reader: Reader) -> Path:
    """What both have in common: read, correct, write, report; the folder that was written."""
    events.expect(_SHARES)
    with ResultFolder(job.output) as results, events.cancellation.cleaning(results.discard):
        steps = Steps(events.progress)
        with steps.step("read") as tell:
            ct = reader.ct(job.ct, job.series_uid, tell)
            work = prepare(ct.volume, _on_grid_of(ct.volume, read_mask(job.mask), job.mask))
        with steps.step("correct"):
            corrected = work()
        with steps.step("write") as tell:
            write_volume(corrected.mask, results.path(MASK))
            if corrected.probability is not None:
                tell(0.4)
                write_volume(corrected.probability, results.path(PROBABILITY))
        write_report(_report(ct, corrected, engine.plan, steps.costs), results.path(REPORT))
        events.cancellation.check()
        results.put_in_place()
        events.result(results.folder)
    return results.folder


def _on_grid_of(ct: Volume, volume: Volume, path: Path) -> Volume:
    """`volume` in the CT's order of voxels, if it lies on the CT's grid. Raises InputError."""
    volume = along_axes_of(volume, ct.geometry)
    if not volume.geometry.same_as(ct.geometry):
        raise InputError(f"{path.name} does not lie on the grid of the CT. Give the file made on this CT.", [path])
    return volume


def _probability(reader: Reader, path: Path) -> Volume:
    volume = reader.kept_volume(path)
    if volume.array.min() < 0 or volume.array.max() > 1:
        raise InputError(f"{path.name} is no probability: its values leave the range from 0 to 1.", [path])
    return volume


def _touched(path: Path) -> Volume:
    volume = read_volume(path)
    if volume.array.min() < 0:
        raise InputError(f"{path.name} does not say what was touched: it holds values below 0.", [path])
    return volume


def _report(ct: ReadCt, corrected: _Corrected, plan: Plan, costs: Sequence[StepCost]) -> dict[str, Any]:
    mask = corrected.mask
    volume_ml = float(np.count_nonzero(mask.array)) * mask.geometry.voxel_ml
    seen = without_padding(ct.volume)
    found = warnings_of(Contoured(seen, mask, volume_ml)) if volume_ml else ()
    notes = (fallback_warning(corrected.fallback),) if corrected.fallback else ()
    notes += (geometry_warning(PADDED),) if seen is not ct.volume else ()
    return {
        **report_head(ct.facts, plan, corrected.device, costs),
        "volume_ml": round(volume_ml, 2),
        "bounding_box_mm": bounding_box_mm(mask),
        "warnings": [dataclasses.asdict(warning) for warning in found + ct.warnings + notes],
        "notes": [],
        "touched_slices": list(corrected.touched_slices),
        "changed_slices": list(corrected.changed_slices),
    }
