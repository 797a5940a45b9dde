"""One job: a CT in, a complete result folder out."""

from dataclasses import dataclass
from pathlib import Path

from ..dicom.ct_series import CtSeries, read_ct
from ..dicom.structure_set import StructureRequest, write_rtstruct
from ..errors import InputError
from ..events import Events
from ..imaging.files import is_volume_file, read_volume, write_volume
from ..imaging.volume import Volume
from .engine import Contouring, Engine
from .lettering import write_png
from .preview import preview
from .report import InputFacts, report_of, write_report
from .result_folder import MASK, PICTURE, PROBABILITY, REPORT, STRUCTURE_SET, ResultFolder
from .steps import USUAL_SHARES, Steps, Tell
from .warnings import QualityWarning, geometry_warning

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


@dataclass(frozen=True)
class _Input:
    """A CT that was read; `series` is None for a volume file."""

    volume: Volume
    series: CtSeries | None

    @property
    def warnings(self) -> tuple[QualityWarning, ...]:
        """The reader's findings, as warnings."""
        findings = self.series.findings if self.series else ()
        return tuple(
            geometry_warning(finding.sentence, "note" if finding.severity == "note" else "warning")
            for finding in findings
        )

    @property
    def facts(self) -> InputFacts:
        """What the report says of it."""
        return InputFacts(self.series.series_uid if self.series else None, self.volume.geometry)


def run_job(job: Job, engine: Engine, events: Events) -> Path:
    """Contour one CT into `job.output`; the folder that was written.

    Raises the family's errors; then nothing new is in the output folder.
    """
    events.expect(USUAL_SHARES)
    with ResultFolder(job.output) as results, events.cancellation.cleaning(results.discard):
        steps = Steps(events.progress)
        with steps.step("read") as tell:
            ct = _read(job, tell)
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
    events.result(results.folder)
    return results.folder


def _read(job: Job, tell: Tell) -> _Input:
    if any(is_volume_file(source) for source in job.sources):
        if len(job.sources) > 1:
            raise InputError("A volume file is a whole CT: give one at a time, or DICOM files alone.", job.sources)
        return _Input(read_volume(job.sources[0]), None)
    series = read_ct(job.sources, series_uid=job.series_uid, progress=tell)
    return _Input(series.volume, series)


def _write_results(
    job: Job, ct: _Input, contouring: Contouring, engine: Engine, results: ResultFolder, steps: Steps, events: Events
) -> tuple[str, ...]:
    """Write all files but the report; what there is to say about them."""
    notes: list[str] = []
    if ct.series is None:
        notes.append(NO_STRUCTURE_SET)
    else:
        with steps.step("structure-set"):
            request = StructureRequest(roi_name=job.export_name, description=f"model {engine.plan.name}")
            written = write_rtstruct(ct.series, contouring.probability, results.path(STRUCTURE_SET), request)
            notes.extend(finding.sentence for finding in written.findings)
    with steps.step("picture") as tell:
        title = f"Bladder {contouring.volume_ml:.0f} mL   ·   confidence {contouring.confidence:.2f}"
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
