"""One job: a CT in, a complete result folder out."""

from dataclasses import dataclass
from pathlib import Path

from ..dicom.structure_set import StructureRequest, write_rtstruct
from ..events import Events
from ..imaging.files import write_volume
from .decide import floored
from .engine import Contouring, Engine
from .lettering import write_png
from .preview import preview
from .reading import ReadCt, Reader
from .report import report_of, write_report
from .result_folder import MASK, PICTURE, PROBABILITY, REPORT, STRUCTURE_SET, ResultFolder
from .steps import USUAL_SHARES, Steps

NO_STRUCTURE_SET = (
    "No RTSTRUCT was written: the CT is a volume file, and a structure set needs the DICOM images to refer to."
)


@dataclass(frozen=True)
class Job:
    """What to do. sources: a folder of DICOM files, DICOM files, or one NRRD/NIfTI/MetaImage file.

    series_uid: which series, where the folder holds several. export_name: the structure's name in the structure set.
    """

    sources: tuple[Path, ...]
    output: Path
    series_uid: str | None = None
    use_crf: bool = True
    export_name: str = "Bladder"


def run_job(job: Job, engine: Engine, events: Events, reader: Reader | None = None) -> Path:
    """Contour one CT into `job.output`; the folder that was written.

    reader: keeps CT and probability for what is asked of it next. Raises the family's errors; then nothing new is in
    the output folder.
    """
    StructureRequest(roi_name=job.export_name)  # a name that cannot be is told before the networks run
    events.expect(USUAL_SHARES)
    with ResultFolder(job.output) as results, events.cancellation.cleaning(results.discard):
        steps = Steps(events.progress)
        with steps.step("read") as tell:
            ct = (reader or Reader()).ct(job.sources, job.series_uid, tell)
        contouring = engine.contour(ct.volume, events.progress, use_crf=job.use_crf)
        events.note(f"Contoured on {contouring.device}.")
        later = Steps(events.progress)
        notes = _write_results(job, ct, contouring, engine, results, later, events)
        report = report_of(
            contouring,
            ct.facts,
            engine.plan,
            steps=steps.costs + contouring.steps + later.costs,
            warnings=contouring.warnings + ct.warnings,
            notes=notes,
        )
        write_report(report, results.path(REPORT))
        events.cancellation.check()
        results.put_in_place()
    if reader is not None:
        reader.keep_volume(results.folder / PROBABILITY, contouring.probability)
    events.result(results.folder)
    return results.folder


def _write_results(
    job: Job, ct: ReadCt, contouring: Contouring, engine: Engine, results: ResultFolder, steps: Steps, events: Events
) -> tuple[str, ...]:
    """Write all files but the report; what there is to say about them."""
    notes: list[str] = []
    if ct.series is None:
        notes.append(NO_STRUCTURE_SET)
    else:
        with steps.step("structure-set"):
            request = StructureRequest(roi_name=job.export_name.strip(), description=f"model {engine.plan.name}")
            written = write_rtstruct(ct.series, contouring.probability, results.path(STRUCTURE_SET), request)
            notes.extend(f"{finding.sentence}." for finding in written.findings)
    with steps.step("picture") as tell:
        confidence = floored(min(contouring.confidence, 0.99), 2)  # no contour is certain
        title = f"Bladder {contouring.volume_ml:.0f} mL   ·   confidence {confidence}"
        picture = preview(ct.volume, contouring.mask, contouring.probability, f"{title}   ·   check before use")
        tell(0.8)
        write_png(picture, results.path(PICTURE))
    with steps.step("write") as tell:
        write_volume(contouring.mask, results.path(MASK))
        tell(0.3)
        write_volume(contouring.probability, results.path(PROBABILITY))
    for note in notes:
        events.note(note)
    return tuple(notes)
