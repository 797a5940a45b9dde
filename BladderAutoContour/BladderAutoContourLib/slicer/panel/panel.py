"""The module's panel: the scene's CTs, the run, the result, corrections, export and settings meet here."""

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ...errors import InputError
from ..logic import Job, Logic, State
from ..process.engine_process import EngineChoice
from ..process.messages import Failure
from ..scene.bond import find_again
from ..scene.ct_source import candidates, reason_against, shown_ct, shown_volume
from ..scene.node_watch import NodeWatch
from ..scene.outcome import volume_ml
from ..scene.segmentation import Contour, begin_by_hand, contours_of
from .advanced_section import AdvancedSection
from .corrections_section import CorrectionsSection
from .ct_list import CtList, Row
from .editor_section import EditorSection
from .export_section import ExportSection
from .install_section import InstallSection
from .result_section import ResultSection
from .run_section import RunSection

SETTLE_MILLISECONDS = 50
"""The scene tells of every single change; the panel looks once when there has been none for so long."""


class Panel(VTKObservationMixin):
    """Everything between the widgets of the .ui file, the scene and the engine.

    Usage::

        panel = Panel(slicer.util.childWidgetVariables(widget), engine_python())
        panel.enter()     # the module is shown: the engine is loaded in the background
        panel.leave()     # another module is shown: an idle engine is ended
        panel.close()
    """

    def __init__(self, ui: object, python: Path) -> None:
        VTKObservationMixin.__init__(self)
        self.ui = ui
        self._entered = False
        self._later = _Later(self.refresh, SETTLE_MILLISECONDS)
        self._nodes = NodeWatch(self._later.start)
        self._arrived = True
        self._run = RunSection(ui, contour=self.contour, cancel=self.cancel)
        self._cts = CtList(ui.ctTable, ticked=self._show_readiness, chosen=self._show_ct)
        self._result = ResultSection(ui, chosen=self._show_contour, tell=self._run.show_message)
        self._install = InstallSection(ui, installed=self._installed)
        self._editor = EditorSection(ui, edited=self.refresh, taken_up=self._take_up)
        self._advanced = AdvancedSection(
            ui, choice_changed=self._warm, try_weights=self._try_weights, folder_changed=self._move_working_folder
        )
        self.logic = Logic(slicer.mrmlScene, python, _QtTicker(), self, self._advanced.working_folder)
        self._export = ExportSection(ui, self.logic, changed=self._work_changed)
        self._corrections = CorrectionsSection(
            ui, self.logic, save_state=self._editor.save_state, changed=self._work_changed
        )
        self._ct: slicer.vtkMRMLScalarVolumeNode | None = None
        self._ct_names: dict[str, str] = {}  # of the last run: a CT that failed may be gone by the time it is told
        self._failures = ""
        self._how_to_load = ui.noCtLabel.text
        ui.beginButton.clicked.connect(lambda: self._begin_by_hand())
        scene = slicer.mrmlScene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
            self.addObserver(scene, event, self._scene_changed)
        self.addObserver(scene, scene.EndImportEvent, self._scene_imported)
        self.addObserver(scene, scene.StartCloseEvent, self._scene_closes)
        self.addObserver(scene, scene.EndCloseEvent, self._scene_closed)
        self.refresh()

    def enter(self) -> None:
        """The module is shown."""
        self._entered = True
        self._install.refresh()
        self._editor.enter()
        self._advanced.enter()
        self._warm()
        self.refresh()

    def leave(self) -> None:
        """Another module is shown. CTs at work are finished; an idle engine only holds memory."""
        self._entered = False
        self._editor.leave()
        self._rest_if_left()

    def close(self) -> None:
        """The module goes away, or Slicer ends."""
        self._later.stop()
        self._nodes.watch([])
        self.removeObservers()
        self._corrections.close()
        self._editor.close()
        self._advanced.close()
        self.logic.close()

    def ticked_cts(self) -> list[slicer.vtkMRMLScalarVolumeNode]:
        """The CTs that the button contours, from top to bottom."""
        volumes = [slicer.mrmlScene.GetNodeByID(volume_id) for volume_id in self._cts.ticked_ids]
        return [volume for volume in volumes if volume is not None]

    def contour(self) -> None:
        """Contour the CTs that are ticked."""
        cts = self.ticked_cts()
        self._run.show_message("")
        self._ct_names = {ct.GetID(): ct.GetName() for ct in cts}
        self.logic.contour(cts)

    def cancel(self) -> None:
        """Stop what runs."""
        self.logic.cancel()

    def refresh(self) -> None:
        """Show the scene as it is."""
        shown = shown_ct(slicer.mrmlScene)
        volumes = candidates(slicer.mrmlScene)
        if self._arrived:
            self._arrived = False
            find_again(volumes)
        self._nodes.watch([*volumes, *slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")])
        self._show_no_ct(not volumes)
        self._cts.show([self._row(volume) for volume in volumes], shown.GetID() if shown else None)
        self._ct = shown or (volumes[0] if len(volumes) == 1 else None)
        if self._failures and self.ui.messageLabel.text == self._failures:
            self._tell_failures()
        self._result.show(contours_of(self._ct) if self._ct else [])
        self._show_contour()

    def _installed(self) -> None:
        if self._entered:  # on 5.10 another module may have been chosen meanwhile
            self.enter()

    # what the logic tells

    def job_changed(self, job: Job) -> None:
        """A CT goes on, or has come to its end."""
        self._cts.show_state(job.volume_id, *_state_words(job))
        if job.state is State.RUNNING:
            self._show_readiness()
        elif job.state is State.DONE:
            self._choose(job.contour)
            self._look_at(job.contour)
        if job.ended:
            self._later.start()

    def contour_comes(self) -> None:
        """A contour is about to come into the scene: undo shall bring back what was there."""
        self._editor.save_state()

    def jobs_ended(self) -> None:
        """All CTs have had their turn."""
        self._tell_failures()
        self._rest_if_left()

    def logged(self, line: str) -> None:
        """The engine has said something that is no result."""
        self._run.log(line)

    def _tell_failures(self) -> None:
        """Say what failed in the last run; it stays until the next one, whichever CT is looked at meanwhile."""
        failed = [job for job in self.logic.jobs if job.state is State.FAILED]
        self._failures = "\n".join(self._failure_words(job) for job in failed)
        self._run.show_message(self._failures)

    def _failure_words(self, job: Job) -> str:
        """Why a CT failed; which one, unless it is the only one that this can be said of."""
        loaded = [volume.GetID() for volume in candidates(slicer.mrmlScene)]
        if len(self.logic.jobs) == 1 and loaded == [job.volume_id]:
            return job.failure.sentence
        return _("{ct}: {reason}").format(ct=self._ct_names[job.volume_id], reason=job.failure.sentence)

    # the scene

    def _row(self, volume: slicer.vtkMRMLScalarVolumeNode) -> Row:
        refusal, contours = reason_against(volume), contours_of(volume)
        job = next((job for job in self.logic.jobs if job.volume_id == volume.GetID()), None)
        if job is not None and job.state is not State.DONE:
            state, reason = _state_words(job)
        elif contours:
            state, reason = _("{volume} mL").format(volume=f"{volume_ml(contours[-1]):.0f}"), ""
        else:
            state, reason = (_("not possible"), refusal) if refusal else ("", "")
        return Row(volume.GetID(), volume.GetName(), refusal, state, reason)

    def _scene_changed(self, _caller: object, _event: str) -> None:
        self._arrived = True  # a CT, a contour, or both: they may belong together
        self._later.start()

    def _scene_imported(self, caller: object, event: str) -> None:
        self._editor.scene_imported()
        self._scene_changed(caller, event)

    def _scene_closes(self, _caller: object, _event: str) -> None:
        self._nodes.watch([])
        self._ct = None
        self._cts.show([], None)  # the next scene's CTs may have the same IDs
        self._corrections.close()  # first: in another scene nobody misses the proposal
        self._corrections.show(None, ())
        self._editor.leave()
        self._editor.show(None)

    def _scene_closed(self, _caller: object, _event: str) -> None:
        self._run.show_message("")
        if self._entered:
            self._editor.enter()
        self._later.start()

    def _show_no_ct(self, none: bool) -> None:
        """Say how a CT gets into the list, or why what the slice views show is not in it."""
        volume = shown_volume(slicer.mrmlScene)
        refusal = reason_against(volume) if volume is not None else None
        self.ui.noCtLabel.text = refusal or self._how_to_load
        self.ui.noCtLabel.setVisible(none)

    def _show_ct(self, volume_id: str) -> None:
        """The user wants to see this CT and its result."""
        volume = slicer.mrmlScene.GetNodeByID(volume_id)
        if volume is not None and volume is not shown_ct(slicer.mrmlScene):
            slicer.util.setSliceViewerLayers(background=volume, fit=True)

    def _look_at(self, contour: Contour) -> None:
        """Bring a new contour of the CT that is shown into the middle of the views.

        Not under a brush, here or in another module: it would paint from where it was to where it is, through all
        slices between.
        """
        if contour.volume is not shown_ct(slicer.mrmlScene) or not self._entered or self._editor.is_in_use:
            return
        centre = contour.segmentation.GetSegmentCenterRAS(contour.segment_id)
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *centre)
        views = slicer.app.layoutManager()
        for number in range(views.threeDViewCount):
            views.threeDWidget(number).threeDView().resetFocalPoint()

    # the sections

    def _choose(self, contour: Contour) -> None:
        """Show this contour of the CT that is looked at; one of another CT is none of its contours."""
        self._result.show(contours_of(self._ct) if self._ct else [], contour)
        self._show_contour()

    def _take_up(self, contour: Contour) -> None:
        """Another segment was taken up in the editor."""
        self._choose(contour)
        if self._result.contour != contour:
            self._run.show_message(
                _(
                    "The segment that you chose is no bladder contour of this panel. Edit it in Slicer's own module "
                    "Segment Editor."
                )
            )

    def _show_contour(self) -> None:
        contour = self._result.contour
        self._editor.show(contour)
        self._corrections.show(contour, self._result.touched)
        self._export.show(contour)
        self._show_readiness()

    def _work_changed(self) -> None:
        """An export or a correction begins, or has ended; its engine may have ended with it."""
        self._show_readiness()
        self._warm()
        self._rest_if_left()

    def _begin_by_hand(self) -> None:
        if self._ct is None:
            return
        try:
            self._choose(begin_by_hand(self._ct))
        except InputError as error:
            self._run.show_message(error.message)
            return
        self.ui.correctSection.collapsed = False
        self.refresh()

    def _show_readiness(self) -> None:
        """Say what can be done now, and what stands in the way of the rest."""
        running = [number for number, job in enumerate(self.logic.jobs, start=1) if not job.ended]
        if running:
            self._run.show_running(self.logic.jobs[running[0] - 1], running[0], len(self.logic.jobs))
        else:
            self._run.show_ready(self._missing_for_contour())
        self._corrections.show_ready(self._missing_for_correction())
        self._export.show_ready(self._missing_for_export())
        self._advanced.set_enabled(not self.logic.busy)
        erased = self._is_erased()
        can_begin = self._ct is not None and reason_against(self._ct) is None and not running
        self.ui.beginButton.setVisible(can_begin and (erased or self._result.contour is None))
        self.ui.erasedLabel.setVisible(can_begin and erased)

    def _is_erased(self) -> bool:
        """Whether nothing is left of the chosen contour: its slices are decided, so that none of them can be filled."""
        return bool(self._result.touched) and self._result.volume_ml == 0

    def _missing_for_contour(self) -> str | None:
        if self._install.needed or self.logic.busy:
            return self._missing_for_correction()
        if self._cts.ticked_ids:
            return None
        return self._cts.why_none or _("Tick a CT in the list first.")

    def _missing_for_correction(self) -> str | None:
        return _("Install PyTorch first, with the button above.") if self._install.needed else self._at_work()

    def _missing_for_export(self) -> str | None:
        missing = None if self._result.contour else _("There is no contour of this CT yet.")
        return self._at_work() or missing

    def _at_work(self) -> str | None:
        """What the engine does now, so that nothing else can begin."""
        if self.logic.contouring:
            return _("A CT is being contoured. Wait until it is done, or cancel it.")
        if self.logic.exporting:
            return _("A structure set is being written. Wait until it is done, or cancel it.")
        if self.logic.correcting:
            return _("Corrections are being carried on. Wait until it is done, or cancel it.")
        return None

    # the engine

    def _warm(self) -> None:
        if self._entered and not self._install.needed:
            self.logic.warm(self._advanced.choice)

    def _rest_if_left(self) -> None:
        if not self._entered and not self.logic.busy:
            self.logic.rest()

    def _try_weights(self, weights: Path | None) -> None:
        self.logic.give_up_check()
        if weights is None:
            return

        def answer(failure: Failure | None) -> None:
            if failure is None:
                self._advanced.accept_weights(weights)
                self._warm()
            else:
                self._advanced.refuse_weights(weights, failure.message)

        self.logic.check(EngineChoice(self._advanced.settings.device, weights), answer)

    def _move_working_folder(self) -> None:
        self.logic.working_folder = self._advanced.working_folder


def _state_words(job: Job) -> tuple[str, str]:
    """How a CT stands, and why."""
    if job.state is State.RUNNING:
        return _("contouring {percent} %").format(percent=round(100 * job.share)), ""
    if job.state is State.FAILED:
        return _("failed"), job.failure.sentence
    return {State.WAITING: _("waiting"), State.CANCELLED: _("cancelled")}.get(job.state, ""), ""


class _QtTicker:
    """Logic's ticker: a QTimer."""

    def __init__(self) -> None:
        self._timer = qt.QTimer()
        self._callback: Callable[[], None] = lambda: None
        self._timer.timeout.connect(lambda: self._callback())

    def start(self, callback: Callable[[], None], milliseconds: int) -> None:
        self._callback = callback
        self._timer.start(milliseconds)

    def stop(self) -> None:
        self._timer.stop()


class _Later:
    """Calls a function once, when for a while nobody has asked for it again."""

    def __init__(self, function: Callable[[], None], milliseconds: int) -> None:
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(milliseconds)
        self._timer.timeout.connect(function)

    def start(self) -> None:
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()
