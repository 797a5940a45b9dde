"""The panel's settings: where it computes, with which weights, in which folder; kept from one start to the next."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ... import host
from ..process.engine_process import EngineChoice
from . import settings
from .settings import DEVICES, Settings

REST_MILLISECONDS = 600
"""A folder's name is typed letter by letter, and each folder on the way to it is there too: the text counts once it has
rested for so long, or its field is left."""


class AdvancedSection:
    """Shows the settings and keeps what the user changes.

    `choice_changed` is called when another engine is to be loaded. Weights are kept once the engine has accepted them:
    `try_weights` hears which to load, and answers later with `accept_weights` or `refuse_weights`; None: the field
    holds other words by now, and whatever was being loaded is not asked for any more. `folder_changed` is called when
    another folder is worked in.

    Usage::

        section = AdvancedSection(ui, choice_changed=panel.warm, try_weights=panel.try_weights, folder_changed=...)
        section.choice, section.working_folder
    """

    def __init__(
        self,
        ui: object,
        choice_changed: Callable[[], None],
        try_weights: Callable[[Path | None], None],
        folder_changed: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._choice_changed, self._try_weights, self._folder_changed = choice_changed, try_weights, folder_changed
        self._looked_at: Path | None = None
        self._folder_is_typed = False
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MILLISECONDS)
        self._rest.timeout.connect(lambda: self._take_typed())
        self.settings: Settings = settings.load()
        ui.deviceBox.setCurrentIndex(DEVICES.index(self.settings.device))
        ui.weightsEdit.currentPath = str(self.settings.weights or "")
        ui.workingFolderEdit.currentPath = str(self.settings.working_folder or "")
        self._say("")
        self._say_of_folder("")
        ui.deviceBox.currentIndexChanged.connect(lambda: self._device_chosen())
        # CTK's own signal is silent when the field is emptied, which is how the defaults are chosen again
        ui.weightsEdit.comboBox().editTextChanged.connect(self._weights_chosen)
        folder = ui.workingFolderEdit.comboBox()
        folder.editTextChanged.connect(lambda: self._folder_typed())
        folder.lineEdit().editingFinished.connect(lambda: self._take_typed())

    @property
    def choice(self) -> EngineChoice:
        """The engine that the settings ask for."""
        return EngineChoice(self.settings.device, self.settings.weights)

    @property
    def working_folder(self) -> Path:
        """Where files lie that are needed only for a while."""
        return self.settings.working_folder or Path(slicer.app.temporaryPath)

    def close(self) -> None:
        """The panel goes away: the folder that was typed last is wanted, though the text has not rested yet."""
        self._take_typed()

    def enter(self) -> None:
        """The module is shown: a look at weights that ended when it was left begins anew."""
        if self._looked_at is not None:
            self._try_weights(self._looked_at)

    def set_enabled(self, enabled: bool) -> None:
        """Whether an engine may be exchanged now; not while one works."""
        for widget in (self._ui.deviceBox, self._ui.weightsEdit, self._ui.workingFolderEdit):
            widget.setEnabled(enabled)

    def accept_weights(self, weights: Path) -> None:
        """The engine has loaded these weights: keep them, if they are those of the field still."""
        if weights == self._looked_at:
            self._looked_at = None
            self._keep(weights=weights)
            self._say(_("These weights are used."))

    def refuse_weights(self, weights: Path, reason: str) -> None:
        """The engine could not load these weights; the ones before stay."""
        if weights == self._looked_at:
            self._looked_at = None
            self._say(_("These weights are not used. {reason}").format(reason=reason))

    def _device_chosen(self) -> None:
        self._keep(device=DEVICES[self._ui.deviceBox.currentIndex])
        self._choice_changed()

    def _weights_chosen(self, text: str) -> None:
        weights = Path(text.strip())
        self._looked_at = weights if text.strip() and weights.is_file() else None
        self._try_weights(self._looked_at)
        if not text.strip():
            self._say("")
            self._keep(weights=None)
            self._choice_changed()
        elif self._looked_at is None:  # what is being typed is no file until the last letter
            self._say(_("There is no such file."))
        else:
            self._say(_("Looking at these weights..."))

    def _folder_typed(self) -> None:
        self._say_of_folder("")
        self._folder_is_typed = True
        self._rest.start()

    def _take_typed(self) -> None:
        self._rest.stop()
        if self._folder_is_typed:
            self._folder_is_typed = False
            self._folder_chosen()

    def _folder_chosen(self) -> None:
        text = self._ui.workingFolderEdit.currentPath.strip()
        folder = Path(text) if text else None
        if folder is not None and not folder.is_absolute():  # of which folder it is a part depends on the day
            self._say_of_folder(
                _("Write the whole path of a folder; {folder} is used.").format(folder=self.working_folder)
            )
        elif folder is not None and not host.is_there(folder, Path.is_dir):
            self._say_of_folder(_("There is no such folder; {folder} is used.").format(folder=self.working_folder))
        else:
            self._keep(working_folder=folder)
            self._folder_changed()

    def _keep(self, **changes: object) -> None:
        self.settings = dataclasses.replace(self.settings, **changes)
        settings.save(self.settings)

    def _say(self, text: str) -> None:
        self._ui.weightsStateLabel.text = text
        self._ui.weightsStateLabel.setVisible(bool(text))

    def _say_of_folder(self, text: str) -> None:
        self._ui.workingFolderStateLabel.text = text
        self._ui.workingFolderStateLabel.setVisible(bool(text))
