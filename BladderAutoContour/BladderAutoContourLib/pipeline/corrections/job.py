"""Corrections as jobs: files in, a complete result folder out."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...events import Events
from ...imaging.files import read_volume, write_volume
from ...imaging.volume import Volume
from ..engine import Engine
from ..report import bounding_box_mm, report_head, write_report
from ..result_folder import MASK, PROBABILITY, REPORT, ResultFolder
from ..steps import StepCost, Steps
from ..warnings import Contoured, warnings_of
from .reading import ReadCt, Reader, on_grid_of
from .refine import Corrections

_SHARES = {"read": 2.0, "correct": 1.0, "write": 1.0}  # usual seconds on two cores


@dataclass(frozen=True)
class RefineJob:
    """Corrections to carry on. ct: a folder of DICOM files, DICOM files, or one volume file; the others volume files.

    series_uid: which series, where the folder holds several.
    """

    ct: tuple[Path, ...]
    probability: Path
    mask: Path
    touched: Path
    output: Path
    series_uid: str | None = None


@dataclass(frozen=True)
class CopyJob:
    """A contour to copy from axial slice `source` to `target` (indices along z) and to fit to the CT."""

    ct: tuple[Path, ...]
    mask: Path
    source: int
    target: int
    output: Path
    series_uid: str | None = None


def run_refine(job: RefineJob, engine: Engine, events: Events, reader: Reader) -> Path:
    """Carry the corrections on into `job.output`; the folder that was written. Raises the family's errors."""
    events.expect(_SHARES)
    with ResultFolder(job.output) as results, events.cancellation.cleaning(results.discard):
        steps = Steps(events.progress)
        with steps.step("read") as tell:
            ct = reader.ct(job.ct, job.series_uid, tell)
            corrections = Corrections(
                probability=on_grid_of(ct.volume, _probability(reader, job.probability), job.probability),
                mask=on_grid_of(ct.volume, read_volume(job.mask), job.mask),
                touched=on_grid_of(ct.volume, read_volume(job.touched), job.touched),
            )
        with steps.step("correct"):
            refinement = engine.refine(ct.volume, corrections)
        with steps.step("write") as tell:
            write_volume(refinement.mask, results.path(MASK))
            tell(0.4)
            write_volume(refinement.probability, results.path(PROBABILITY))
        report = _report(ct, refinement.mask, engine, steps.costs)
        report["touched_slices"] = list(refinement.touched_slices)
        report["changed_slices"] = list(refinement.changed_slices)
        _finish(report, results, events)
    return results.folder


def run_copy(job: CopyJob, engine: Engine, events: Events, reader: Reader) -> Path:
    """Copy and fit one contour into `job.output`: mask and report. Raises the family's errors."""
    events.expect(_SHARES)
    with ResultFolder(job.output) as results, events.cancellation.cleaning(results.discard):
        steps = Steps(events.progress)
        with steps.step("read") as tell:
            ct = reader.ct(job.ct, job.series_uid, tell)
            before = on_grid_of(ct.volume, read_volume(job.mask), job.mask)
        with steps.step("correct"):
            mask = engine.copy_and_fit(ct.volume, before, job.source, job.target)
        with steps.step("write"):
            write_volume(mask, results.path(MASK))
        report = _report(ct, mask, engine, steps.costs)
        changed = (mask.array[job.target] > 0) != (before.array[job.target] > 0)
        report["changed_slices"] = [job.target] if changed.any() else []
        _finish(report, results, events)
    return results.folder


def _probability(reader: Reader, path: Path) -> Volume:
    volume = reader.kept_volume(path)
    if volume.array.min() < 0 or volume.array.max() > 1:
        raise InputError(f"{path.name} is no probability: its values leave the range from 0 to 1.", [path])
    return volume


def _report(ct: ReadCt, mask: Volume, engine: Engine, costs: Sequence[StepCost]) -> dict[str, Any]:
    volume_ml = float(np.count_nonzero(mask.array)) * mask.geometry.voxel_ml
    warnings = warnings_of(Contoured(ct.volume, mask, volume_ml)) if volume_ml else ()
    return {
        **report_head(ct.facts, engine.plan, engine.device, costs),
        "volume_ml": round(volume_ml, 2),
        "bounding_box_mm": bounding_box_mm(mask),
        "warnings": [dataclasses.asdict(warning) for warning in warnings],
        "notes": [],
        "touched_slices": [],
    }


def _finish(report: dict[str, Any], results: ResultFolder, events: Events) -> None:
    write_report(report, results.path(REPORT))
    events.cancellation.check()
    results.put_in_place()
    events.result(results.folder)
