"""One or several CTs of the scene through the engine, and contours out of it. No widgets."""

import enum
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import slicer
from slicer.i18n import tr as _

from ..errors import Cancelled, InputError
from . import correction, working_files
from .export.destinations import Destination
from .export.structure_set import LastLook, StructureNames, StructureSetExport, generation_of, last_look
from .probability_files import ProbabilityFiles
from .process.engine_process import EngineChoice, EngineProcess, Listener
from .process.messages import Failure, failure_of
from .process.result import read_result
from .process.weights_check import Answer, WeightsCheck
from .scene.ct_source import source_of
from .scene.kept_contour import is_begun_by_hand
from .scene.kept_probability import keep_probability
from .scene.outcome import keep_outcome, told_of
from .scene.segmentation import Contour, show_result
from .scene.volume_files import read_values

POLL_MILLISECONDS = 50


class State(enum.Enum):
    """Where a CT stands on its way."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass
class Job:
    """One CT on its way. step: the engine's name of what it does now. share: how much of all is done, 0 to 1.

    `failure` is set where the state is FAILED, `contour` where it is DONE.
    """

    volume_id: str
    state: State = State.WAITING
    step: str = ""
    share: float = 0.0
    seconds_left: float | None = None
    failure: Failure | None = None
    contour: Contour | None = None
    _begun_at: float = field(default=0.0, repr=False)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in (State.WAITING, State.RUNNING)

    def begin(self) -> None:
        """Its turn has come."""
        self.state, self._begun_at = State.RUNNING, time.monotonic()

    def progress(self, step: str, seconds_left: float | None) -> None:
        """Take over what the engine says. The share never goes back, though the time left may grow."""
        self.step, self.seconds_left = step, seconds_left
        if seconds_left is not None:
            elapsed = time.monotonic() - self._begun_at
            self.share = max(self.share, min(elapsed / (elapsed + seconds_left + 1e-6), 0.99))


class Ticker(Protocol):
    """Calls back again and again from the event loop: a QTimer in Slicer."""

    def start(self, callback: Callable[[], None], milliseconds: int) -> None: ...

    def stop(self) -> None: ...


class Watcher(Protocol):
    """Who is told what happens: the panel. Called in the GUI's thread."""

    def job_changed(self, job: Job) -> None: ...

    def contour_comes(self) -> None: ...  # into the scene: what undo shall bring back is kept now

    def jobs_ended(self) -> None: ...

    def logged(self, line: str) -> None: ...


class Logic:
    """Contours CTs of the scene one after the other with one warm engine, corrects contours and exports them.

    `working_folder` holds what is needed only for a while; `close` removes all of it.

    Usage::

        logic = Logic(slicer.mrmlScene, python, ticker, panel, Path(slicer.app.temporaryPath))
        logic.warm(EngineChoice())
        logic.contour([ct])      # the panel is told; at the end the segmentation stands in the scene
        logic.close()
    """

    def __init__(
        self, scene: slicer.vtkMRMLScene, python: Path, ticker: Ticker, watcher: Watcher, working_folder: Path
    ) -> None:
        self.working_folder = working_folder
        self._scene = scene
        self._python = python
        self._engine = EngineProcess(python, watcher.logged)
        self._ticker = ticker
        self._watcher = watcher
        self._jobs: list[Job] = []
        self._run: _Run | None = None
        self._export: StructureSetExport | None = None
        self._correction: correction.Correction | None = None
        self._check: WeightsCheck | None = None
        self._probabilities = ProbabilityFiles()
        working_files.clear_leftovers(working_folder)
        self._observation = scene.AddObserver(scene.StartCloseEvent, lambda *_: self._scene_closes())

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The CTs of the last `contour`, in its order."""
        return tuple(self._jobs)

    @property
    def contouring(self) -> bool:
        """Whether CTs are at work or wait for it."""
        return any(not job.ended for job in self._jobs)

    @property
    def exporting(self) -> bool:
        """Whether a structure set is on its way."""
        return self._export is not None and self._export.busy and not self.contouring and not self.correcting

    @property
    def correcting(self) -> bool:
        """Whether corrections are on their way."""
        return self._correction is not None and self._correction.busy

    @property
    def busy(self) -> bool:
        """Whether anything is on its way."""
        return self.contouring or self.exporting or self.correcting

    @property
    def pid(self) -> int | None:
        """The number of the engine's process, where one runs."""
        return self._engine.pid

    def warm(self, choice: EngineChoice) -> None:
        """Load the engine in the background, so that the first contour comes sooner."""
        self._engine.warm(choice)
        self._begin_ticking()

    def check(self, choice: EngineChoice, answer: Answer) -> None:
        """Look whether an engine of this choice can be loaded; a look that is still going on is given up."""
        self.give_up_check()
        self._check = WeightsCheck(self._python, choice, answer)
        self._begin_ticking()

    def give_up_check(self) -> None:
        """End the look at weights that is still going on: nobody hears of it any more."""
        if self._check is not None:
            self._check.close()

    def contour(self, volumes: Sequence[slicer.vtkMRMLScalarVolumeNode]) -> None:
        """Contour these CTs, a result each. One that fails is told, and the others are done all the same.

        Returns at once; nothing happens while the engine is at other work.
        """
        if self.busy:
            return
        self._jobs = [Job(volume.GetID()) for volume in volumes]
        for job in self._jobs:
            self._watcher.job_changed(job)
        self._begin_ticking()

    def look(self, contour: Contour) -> LastLook:
        """What is true of a contour before it is exported. Raises what `export.last_look` does."""
        return last_look(contour, self.working_folder, told_of(contour).unopened)

    def export(self, contour: Contour, names: StructureNames, destination: Destination, listener: Listener) -> None:
        """Begin to write a contour as a structure set. Raises what `StructureSetExport.write` does.

        OutputError too: the working folder cannot be written.
        """
        self._export = StructureSetExport(self._engine, self.working_folder)
        smooths = generation_of(contour) == "AUTOMATIC"
        probability = self._probabilities.of(contour, self.working_folder) if smooths else None
        self._export.write(contour, names, destination, listener, probability)
        self._begin_ticking()

    def propagate(self, contour: Contour, listener: correction.Listener) -> None:
        """Begin to carry corrections by hand on to other slices. Raises what `Correction.propagate` does.

        InputError too: the scene was saved without the network's probability.
        """
        by_hand = is_begun_by_hand(contour.segment)
        probability = self._probabilities.of(contour, self.working_folder)
        if probability is None and not by_hand:
            raise InputError(
                _(
                    "What the program saw in this CT was not saved with this contour, so it cannot carry corrections "
                    "on. Contour the CT again: your contour stays, and the new one stands beside it."
                )
            )
        self._correction = correction.Correction(self._engine, self.working_folder)
        self._correction.propagate(contour, probability, listener)
        self._begin_ticking()

    def copy_and_fit(self, contour: Contour, source: int, target: int, listener: correction.Listener) -> None:
        """Begin to copy the contour of a slice to another. Raises what `Correction.copy_and_fit` does."""
        self._correction = correction.Correction(self._engine, self.working_folder)
        self._correction.copy_and_fit(contour, source, target, listener)
        self._begin_ticking()

    def cancel(self) -> None:
        """Stop everything; the process that works has ended within a second. What is contoured already stays."""
        for job in self._jobs:
            if job.state is State.WAITING:
                self._end(job, State.CANCELLED)
        if self._run is not None:
            self._engine.cancel()
        elif self.correcting:
            self._correction.cancel()
        elif self._export is not None:
            self._export.cancel()

    def rest(self) -> None:
        """End the idle process, until somebody warms it again."""
        self._ticker.stop()
        self._engine.close()
        self.give_up_check()

    def close(self) -> None:
        """End the process, remove its files, observe nothing any more."""
        self.rest()
        self._scene.RemoveObserver(self._observation)
        if self._run is not None:
            self._run.clear_away()
        if self._correction is not None:
            self._correction.forget()
        self._probabilities.forget_all()

    def _scene_closes(self) -> None:
        self.cancel()
        self._jobs.clear()  # the next scene's CTs may have the same IDs
        self._probabilities.forget_all()

    def _begin_ticking(self) -> None:
        self._ticker.start(self._tick, POLL_MILLISECONDS)

    def _tick(self) -> None:
        (self._export or self._engine).poll()
        if self._check is not None:
            self._check.poll()
        if self._run is None and not self._engine.busy:
            waiting = next((job for job in self._jobs if job.state is State.WAITING), None)
            if waiting is not None:
                self._begin(waiting)

    def _begin(self, job: Job) -> None:
        job.begin()
        self._watcher.job_changed(job)
        try:
            self._run = _Run(self, job, working_files.temporary_folder(self.working_folder))
            source = source_of(self._volume_of(job), self._run.folder)
            self._engine.segment(source.paths, self._run.output, self._run, series_uid=source.series_uid)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other CTs have their turn
            self._failed(job, failure_of(error))

    def _succeeded(self, job: Job, folder: Path) -> None:
        """A result folder is complete: its contour goes into the scene."""
        try:
            result = read_result(folder)
            probability = read_values(result.probability)[0]
            self._watcher.contour_comes()
            job.contour = show_result(self._volume_of(job), result)
            keep_outcome(job.contour, result)
            keep_probability(job.contour.segment, probability)
            self._probabilities.take(job.contour, result.probability, self.working_folder)
        except Exception as error:  # noqa: BLE001
            self._failed(job, failure_of(error))
        else:
            self._end(job, State.DONE)

    def _failed(self, job: Job, failure: Failure) -> None:
        job.failure = failure
        self._end(job, State.CANCELLED if failure.code == Cancelled.code else State.FAILED)

    def _end(self, job: Job, state: State) -> None:
        job.state = state
        if self._run is not None and self._run.job is job:
            self._run.clear_away()
            self._run = None
        self._watcher.job_changed(job)
        if not self.contouring:
            self._watcher.jobs_ended()

    def _volume_of(self, job: Job) -> slicer.vtkMRMLScalarVolumeNode:
        volume = self._scene.GetNodeByID(job.volume_id)
        if volume is None:
            raise InputError(_("The CT is no longer loaded. Load it again, then contour it again."))
        return volume


class _Run:
    """The engine's news about one CT, and the files that exist only while it is at work."""

    def __init__(self, logic: Logic, job: Job, temporary: "tempfile.TemporaryDirectory[str]") -> None:
        self._logic = logic
        self._temporary = temporary
        self.job = job
        self.folder = Path(temporary.name)
        self.output = self.folder / "result"

    def progressed(self, step: str, fraction: float, seconds_left: float | None) -> None:
        self.job.progress(step, seconds_left)
        self._logic._watcher.job_changed(self.job)

    def finished(self, folder: Path | None) -> None:
        self._logic._succeeded(self.job, folder or self.output)

    def failed(self, failure: Failure) -> None:
        self._logic._failed(self.job, failure)

    def clear_away(self) -> None:
        self._temporary.cleanup()
