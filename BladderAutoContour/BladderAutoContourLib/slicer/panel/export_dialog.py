"""The last look before a contour leaves: whose it is, what it is called, where it goes; one button does it."""

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ...errors import UsageError
from ..export.destinations import Destination, ToDatabase, ToFolder, ToNode
from ..export.structure_set import LastLook, StructureNames

UI_FILE = Path(__file__).resolve().parents[3] / "Resources" / "UI" / "BladderAutoContourExport.ui"
KIND, FOLDER = "BladderAutoContour/exportTo", "BladderAutoContour/exportFolder"
PROTOCOL = "DICOM/Send/Protocol"
NODE_OF_SLICER = ("DICOM/Send/URL", "DICOM/Send/AETitle")
"""Where Slicer's own send dialog keeps its node: the clinician types it once for both."""
OWN_NODE = ("BladderAutoContour/exportAddress", "BladderAutoContour/exportTitle")
"""Where ours stands while Slicer's dialog sends to a web address."""

Confirmed = Callable[[StructureNames, Destination], None]


class ExportDialog:
    """Shows a last look; `confirmed` hears the names and the destination once, when the button is pressed.

    Usage::

        dialog = ExportDialog(last_look(contour, unopened), export_it, slicer.util.mainWindow())
        dialog.open()      # returns at once; the window behind it waits
    """

    def __init__(self, look: LastLook, confirmed: Confirmed, parent: "qt.QWidget | None" = None) -> None:
        self._confirmed = confirmed
        self.dialog = qt.QDialog(parent)
        self.dialog.setWindowTitle(_("Export RT Structure Set"))
        content = slicer.util.loadUI(str(UI_FILE))
        qt.QVBoxLayout(self.dialog).addWidget(content)
        self.ui = slicer.util.childWidgetVariables(content)
        self._show(look)
        self._show_last_destination()
        self._connect()
        self._refresh()

    def open(self) -> None:
        """Show the dialog."""
        self.dialog.open()

    def _show(self, look: LastLook) -> None:
        ui = self.ui
        ui.patientName.text = look.patient_name
        ui.patientId.text = look.patient_id
        ui.ctDate.text = look.ct_date
        ui.contour.text = look.contour
        ui.volume.text = _("{volume} mL").format(volume=f"{look.volume_ml:.1f}")
        ui.generation.text = generation_words(look.generation)
        ui.roiName.text = look.names.roi_name
        ui.setLabel.text = look.names.label
        ui.attention.text = "\n".join(attention_lines(look))
        ui.attention.setVisible(bool(ui.attention.text))

    def _show_last_destination(self) -> None:
        kept = qt.QSettings()
        self.ui.folder.text = kept.value(FOLDER, "") or ""
        address, title = _node_keys()
        self.ui.address.text = kept.value(address, "") or ""
        self.ui.aeTitle.text = kept.value(title, "") or ""
        kind = kept.value(KIND, "")
        for name, button in self._kinds.items():
            button.setChecked(name == (kind if kind in self._kinds else "folder"))

    @property
    def _kinds(self) -> dict[str, "qt.QRadioButton"]:
        return {"folder": self.ui.toFolder, "database": self.ui.toDatabase, "node": self.ui.toNode}

    def _connect(self) -> None:
        ui = self.ui
        for line in (ui.roiName, ui.setLabel, ui.folder, ui.address, ui.aeTitle):
            line.textChanged.connect(self._refresh)
        for button in self._kinds.values():
            button.toggled.connect(self._refresh)
        ui.chooseFolder.clicked.connect(self._choose_folder)
        ui.cancelButton.clicked.connect(lambda: self.dialog.reject())
        ui.confirmButton.clicked.connect(self._confirm)

    def _choose_folder(self) -> None:
        chosen = qt.QFileDialog.getExistingDirectory(
            self.dialog, _("Folder for the structure set"), self.ui.folder.text
        )
        if chosen:
            self.ui.toFolder.setChecked(True)
            self.ui.folder.text = chosen

    def _names(self) -> StructureNames:
        """Raises UsageError."""
        return StructureNames(self.ui.roiName.text.strip(), self.ui.setLabel.text.strip())

    def _destination(self) -> Destination:
        """Raises UsageError."""
        if self.ui.toNode.checked:
            return ToNode(self.ui.address.text.strip(), self.ui.aeTitle.text.strip())
        return ToDatabase() if self.ui.toDatabase.checked else ToFolder(Path(self.ui.folder.text.strip()))

    def _refresh(self, *_change: object) -> None:
        """Say what the button will do, or why it cannot."""
        ui = self.ui
        for line, button in ((ui.folder, ui.toFolder), (ui.address, ui.toNode), (ui.aeTitle, ui.toNode)):
            line.setEnabled(button.checked)
        promise, problems, hint = _("Export"), [], ""
        try:
            hint = self._names().hint
        except UsageError as fault:
            problems.append(fault.message)
        try:
            promise = self._destination().promise
        except UsageError as fault:
            problems.append(fault.message)
        ui.confirmButton.text = promise.replace("&", "&&")  # a single one would underline the letter behind it
        ui.confirmButton.setEnabled(not problems)
        ui.remark.text = "\n".join(problems) or hint

    def _confirm(self) -> None:
        names, destination = self._names(), self._destination()
        kept = qt.QSettings()
        kept.setValue(KIND, next(name for name, button in self._kinds.items() if button.checked))
        address, title = _node_keys()
        for key, line in ((FOLDER, self.ui.folder), (address, self.ui.address), (title, self.ui.aeTitle)):
            if line.text.strip():
                kept.setValue(key, line.text.strip())
        self.dialog.accept()
        self._confirmed(names, destination)


def _node_keys() -> tuple[str, str]:
    """The settings that hold address and AE title of the node."""
    return NODE_OF_SLICER if (qt.QSettings().value(PROTOCOL, "") or "DIMSE") == "DIMSE" else OWN_NODE


def generation_words(generation: str) -> str:
    """How a contour came about, in words, with the word that the file will hold."""
    words = {
        "AUTOMATIC": _("automatic, not corrected (AUTOMATIC)"),
        "SEMIAUTOMATIC": _("automatic, then corrected (SEMIAUTOMATIC)"),
        "MANUAL": _("drawn by hand (MANUAL)"),
    }
    return words[generation]


def attention_lines(look: LastLook) -> list[str]:
    """What the clinician should still look at, a sentence a line; none where all is well."""
    if not look.unopened:
        return []
    request = _("Not looked at yet. Click these warnings in the panel to see their slices:")
    return [request, *(f"• {sentence}" for sentence in look.unopened)]
