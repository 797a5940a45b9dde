"""The last look as the clinician sees it: what it shows, what its one button says and does."""

import dataclasses
from pathlib import Path

import pytest
import qt
import slicer
from BladderAutoContourLib.slicer.export.destinations import ToDatabase, ToFolder, ToNode
from BladderAutoContourLib.slicer.export.structure_set import LastLook, StructureNames
from BladderAutoContourLib.slicer.panel.export_dialog import ExportDialog

LOOK = LastLook(
    patient_name="Müller, Jürgen = 山田, 太郎",
    patient_id="<b>4711</b>",
    ct_date="2020-01-01",
    contour="Bladder <2>",
    volume_ml=143.26,
    generation="SEMIAUTOMATIC",
    unopened=("The bladder is cut by the end of the scan.", "The contour is unsure on 3 slices."),
)


@pytest.fixture
def open_dialog(app):
    """Opens the dialog; `dialog.confirmed` is what it handed over."""

    def open_with(look: LastLook = LOOK) -> ExportDialog:
        confirmed = []
        dialog = ExportDialog(look, lambda *chosen: confirmed.append(chosen), slicer.util.mainWindow())
        dialog.confirmed = confirmed
        dialog.open()
        slicer.app.processEvents()
        return dialog

    return open_with


def choose_folder(dialog: ExportDialog, folder: Path) -> None:
    """As a user who types the path."""
    dialog.ui.toFolder.click()
    dialog.ui.folder.text = str(folder)


def test_shows_whose_contour_leaves_and_what_nobody_looked_at(open_dialog):
    ui = open_dialog().ui
    shown = (ui.patientName.text, ui.patientId.text, ui.ctDate.text, ui.volume.text)
    assert shown == ("Müller, Jürgen = 山田, 太郎", "<b>4711</b>", "2020-01-01", "143.3 mL")
    assert ui.patientId.textFormat == qt.Qt.PlainText, "a patient's ID is no markup"
    assert (ui.contour.text, ui.contour.textFormat) == ("Bladder <2>", qt.Qt.PlainText)
    assert ui.generation.text == "automatic, then corrected (SEMIAUTOMATIC)"
    assert (ui.roiName.text, ui.setLabel.text) == ("Bladder", "BladderAuto")
    lines = ui.attention.text.splitlines()
    assert lines[0].startswith("Not looked at yet.")
    assert lines[1:] == ["• The bladder is cut by the end of the scan.", "• The contour is unsure on 3 slices."]
    assert ui.attention.isVisible()


def test_all_is_well(open_dialog):
    ui = open_dialog(dataclasses.replace(LOOK, generation="AUTOMATIC", unopened=())).ui
    assert ui.generation.text == "automatic, not corrected (AUTOMATIC)"
    assert open_dialog(dataclasses.replace(LOOK, generation="MANUAL")).ui.generation.text == "drawn by hand (MANUAL)"
    assert not ui.attention.isVisible()


def test_the_button_says_what_it_will_do(open_dialog, tmp_path):
    dialog = open_dialog()
    ui = dialog.ui
    assert not ui.confirmButton.enabled
    assert ui.remark.text == "Choose the folder that the structure set goes to."
    choose_folder(dialog, tmp_path / "Pläne & Bilder")
    assert ui.confirmButton.enabled
    assert ui.confirmButton.text == "Export to folder Pläne && Bilder"
    assert ui.remark.text == ""
    ui.toDatabase.click()
    assert ui.confirmButton.text == "Add to Slicer's DICOM database"
    assert not ui.folder.enabled
    ui.toNode.click()
    assert not ui.confirmButton.enabled
    assert ui.remark.text == "Give the address as host:port, for example 192.168.0.10:104."
    ui.address.text = "planning.local:104"
    assert "AE title" in ui.remark.text
    ui.aeTitle.text = "ECLIPSE"
    assert ui.confirmButton.enabled
    assert ui.confirmButton.text == "Send to ECLIPSE at planning.local:104"


def test_names_are_judged_while_they_are_typed(open_dialog, tmp_path):
    dialog = open_dialog()
    ui = dialog.ui
    choose_folder(dialog, tmp_path)
    ui.setLabel.text = "L" * 17
    assert not ui.confirmButton.enabled
    assert ui.remark.text == "The structure set label must have 1 to 16 characters."
    ui.setLabel.text = "Plan A"
    ui.roiName.text = "Bladder\\1"
    assert not ui.confirmButton.enabled
    assert "backslash" in ui.remark.text
    ui.roiName.text = "Bladder_before_treatment"
    assert ui.confirmButton.enabled
    assert ui.remark.text == "Some planning systems cut structure names after 16 characters."


def test_all_that_is_wrong_is_said_at_once(open_dialog):
    ui = open_dialog().ui
    ui.toNode.click()
    ui.roiName.text = ""
    assert [line.split()[:3] for line in ui.remark.text.splitlines()] == [
        ["The", "structure", "name"],
        ["Give", "the", "address"],
    ]


def test_the_enter_key_in_a_field_exports_nothing(open_dialog, tmp_path):
    dialog = open_dialog()
    choose_folder(dialog, tmp_path)
    for kind in (qt.QEvent.KeyPress, qt.QEvent.KeyRelease):
        slicer.app.sendEvent(dialog.ui.roiName, qt.QKeyEvent(kind, qt.Qt.Key_Return, qt.Qt.NoModifier))
    assert dialog.confirmed == []
    assert dialog.dialog.isVisible()


@pytest.mark.parametrize("kind", ["folder", "database", "node"])
def test_one_press_confirms_once_and_the_next_dialog_remembers(open_dialog, tmp_path, kind):
    dialog = open_dialog()
    ui = dialog.ui
    if kind == "folder":
        choose_folder(dialog, tmp_path)
        expected = ToFolder(tmp_path)
    elif kind == "database":
        ui.toDatabase.click()
        expected = ToDatabase()
    else:
        ui.toNode.click()
        ui.address.text, ui.aeTitle.text = " 10.0.0.7:104 ", "ECLIPSE"
        expected = ToNode("10.0.0.7:104", "ECLIPSE")
    ui.roiName.text = " Blase "
    ui.confirmButton.click()
    assert dialog.confirmed == [(StructureNames("Blase", "BladderAuto"), expected)]
    assert not dialog.dialog.isVisible()

    again = open_dialog()
    assert again.ui.confirmButton.enabled
    again.ui.confirmButton.click()
    assert again.confirmed == [(StructureNames(), expected)]


def test_the_node_is_the_one_that_slicer_itself_sent_to(open_dialog):
    qt.QSettings().setValue("DICOM/Send/URL", "archive:11112")
    qt.QSettings().setValue("DICOM/Send/AETitle", "PACS")
    ui = open_dialog().ui
    assert (ui.address.text, ui.aeTitle.text) == ("archive:11112", "PACS")


def test_a_web_address_of_slicers_own_is_left_alone(open_dialog):
    """Its send dialog speaks DICOMweb; ours does not."""
    qt.QSettings().setValue("DICOM/Send/Protocol", "DICOMweb")
    qt.QSettings().setValue("DICOM/Send/URL", "https://archive.org:8042/dicom-web")
    ui = open_dialog().ui
    assert ui.address.text == ""
    ui.toNode.click()
    ui.address.text, ui.aeTitle.text = "https://archive.org:8042", "PACS"
    assert not ui.confirmButton.enabled
    ui.address.text = "archive:104"
    ui.confirmButton.click()
    assert qt.QSettings().value("DICOM/Send/URL") == "https://archive.org:8042/dicom-web"
    again = open_dialog().ui
    assert (again.address.text, again.aeTitle.text) == ("archive:104", "PACS")


def test_cancel_confirms_nothing(open_dialog, tmp_path):
    dialog = open_dialog()
    choose_folder(dialog, tmp_path)
    dialog.ui.cancelButton.click()
    assert dialog.confirmed == []
    assert not dialog.dialog.isVisible()
    assert open_dialog().ui.folder.text == "", "what was not confirmed is not remembered"


def test_a_folder_can_be_chosen(open_dialog, answers, tmp_path):
    dialog = open_dialog()
    ui = dialog.ui
    ui.toDatabase.click()
    answers.give(tmp_path)
    ui.chooseFolder.click()
    assert (ui.toFolder.checked, ui.folder.text) == (True, str(tmp_path))
    answers.give("")
    ui.chooseFolder.click()
    assert ui.folder.text == str(tmp_path), "nothing chosen, nothing changed"
