"""The panel's offer to install PyTorch, seen only where it is missing or too old."""

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ...errors import BladderError
from ..process.installer import download_recipe, install_torch, install_torch_from, torch_state


class InstallSection:
    """Offers the installation, from the internet or from a folder; the user is asked before anything is changed.

    `installed` is called once PyTorch can be used.

    Usage::

        section = InstallSection(ui, installed=panel.enter)
        section.refresh()
        section.needed      # True: nothing can be contoured yet
    """

    def __init__(self, ui: object, installed: Callable[[], None]) -> None:
        self._ui, self._installed = ui, installed
        self.needed = False
        ui.installFolderButton.toolTip = _(
            "For a computer without internet: choose the folder that holds the packages of PyTorch. {recipe}"
        ).format(recipe=download_recipe())
        ui.installButton.clicked.connect(lambda: self._install(lambda: install_torch(self._ask)))
        ui.installFolderButton.clicked.connect(lambda: self._install_from_folder())
        self.refresh()

    def refresh(self) -> None:
        """Look whether PyTorch is there."""
        state = torch_state()
        self.needed = not state.usable
        self._ui.installFrame.setVisible(self.needed)
        self._ui.installLabel.text = (
            _("The PyTorch in this Slicer is too old for the contouring. A newer one has to be installed once.")
            if state.installed
            else _("PyTorch is missing. The contouring needs this free software; it has to be installed once.")
        )

    def _install_from_folder(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Folder with the packages of PyTorch"), str(Path.home())
        )
        if folder:
            self._install(lambda: install_torch_from(Path(folder), self._ask))

    def _install(self, install: Callable[[], bool]) -> None:
        buttons = (self._ui.installButton, self._ui.installFolderButton)
        for button in buttons:  # the window stays alive meanwhile: nobody shall install twice at a time
            button.setEnabled(False)
        try:
            done = install()
        except BladderError as error:
            self._ui.installLabel.text = error.message
            return
        finally:
            for button in buttons:
                button.setEnabled(True)
        self.refresh()
        if done:
            self._installed()

    def _ask(self, question: str) -> bool:
        agreed = slicer.util.confirmYesNoDisplay(question, windowTitle=_("Install PyTorch"))
        if agreed:
            self._ui.installLabel.text = _("PyTorch is being installed. This takes some minutes.")
        return agreed
