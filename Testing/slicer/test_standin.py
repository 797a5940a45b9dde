"""The stand-in refuses what PythonQt refuses, and leaves nothing behind."""

import functools
import sys
from pathlib import Path

import pytest
import qt
import slicer
from PySide6.QtWidgets import QDialog, QFileDialog
from standin.answers import ANSWERS
from standin.session import session, strict_session


@pytest.fixture
def line(app):
    return qt.QLineEdit("left")


def test_properties_are_attributes(line):
    assert line.text == "left"
    line.text = "right"
    assert line.text == "right"
    assert line.enabled
    line.enabled = False
    assert not line.isEnabled()
    line.setText("slots stay methods")
    assert line.text == "slots stay methods"
    line.alignment = qt.Qt.AlignRight
    assert line.alignment == qt.Qt.AlignRight
    with pytest.raises(TypeError):
        line.text()


def test_name_is_the_object_name(line):
    line.name = "patient"
    assert line.objectName == line.name == "patient"
    assert line.className() == "QLineEdit"
    assert line.inherits("QWidget")


def test_single_shot_is_no_property(app):
    timer = qt.QTimer()
    timer.setSingleShot(True)
    assert timer.isSingleShot()
    with pytest.raises(AttributeError):
        timer.singleShot = False
    called = []
    qt.QTimer.singleShot(0, lambda: called.append(True))
    app.processEvents()
    assert called


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("caption", "a"),  # unknown
        ("_caption", "a"),
        ("setText", "a"),  # a slot
        ("textChanged", "a"),  # a signal
        ("width", 5),  # a property that is read only
        ("text", None),  # a property of another type
        ("maxLength", "many"),
        ("cursorPosition", object()),
    ],
)
def test_what_cannot_be_set_raises(line, name, value):
    with pytest.raises(AttributeError):
        setattr(line, name, value)
    assert line.text == "left"


@pytest.mark.parametrize("name", ["caption", "_caption", "clicked", "isChecked", "emit", "foo"])
def test_what_is_not_there_raises(line, name):
    assert not hasattr(line, name)
    with pytest.raises(AttributeError):
        getattr(line, name)


def test_items_take_no_attributes(app):
    item = qt.QTableWidgetItem("a")
    with pytest.raises(AttributeError):
        item.number = 3
    assert item.text() == "a"


def test_classes_derived_in_python_have_attributes_but_not_in_place_of_properties(app):
    class Panel(qt.QWidget):
        def __init__(self):
            super().__init__()
            self.volumes = [1, 2]
            self._hidden = 3
            self.closed = False

        def closeEvent(self, event):  # noqa: N802
            self.closed = True

    panel = Panel()
    assert (panel.volumes, panel._hidden) == ([1, 2], 3)
    panel.close()
    assert panel.closed
    with pytest.raises(AttributeError):
        panel.width = 3
    with pytest.raises(AttributeError):
        panel.show = None


def test_dynamic_properties_are_attributes_once_they_are_there(line):
    with pytest.raises(AttributeError):
        line.SlicerParameterName = "volume"
    line.setProperty("SlicerParameterName", "volume")
    assert line.SlicerParameterName == line.property("SlicerParameterName") == "volume"
    line.SlicerParameterName = "weights"
    assert line.property("SlicerParameterName") == "weights"


def test_slots_take_no_keywords(line):
    with pytest.raises(TypeError):
        qt.QSettings().value("device", defaultValue="cpu")
    assert qt.QSettings().value("device", "cpu") == "cpu"


def test_slots_take_the_values_that_they_declare(app, line):
    button = qt.QPushButton()
    with pytest.raises(TypeError):
        line.clear(False)
    button.connect("clicked()", line.clear)
    button.click()
    assert line.text == ""
    assert button.disconnect("clicked()", line.clear)


def test_a_slot_connected_to_a_signal_that_brings_more_than_it_takes_raises():
    with pytest.raises(TypeError), strict_session():  # noqa: PT012
        line, button = qt.QLineEdit(), qt.QPushButton()
        button.clicked.connect(line.clear)  # brings "checked"
        button.click()


def test_lists_come_back_as_tuples(app):
    box = qt.QWidget()
    child = qt.QLabel(box)
    assert box.children() == (child,)
    assert box.findChildren(qt.QLabel) == (child,)
    settings = qt.QSettings()
    settings.setValue("names", ["a", "b"])
    assert settings.value("names") == ("a", "b")
    assert settings.allKeys() == ("names",)


def test_children_are_found_by_class_or_its_name(app):
    box = qt.QWidget()
    inner = qt.QWidget(box)
    label, other = qt.QLabel(inner), qt.QLabel(inner)
    label.name, other.name = "first", "second"
    assert box.findChild(qt.QLabel, "second") == other
    assert box.findChild("QLabel", "first") == label
    assert box.findChild(qt.QLabel) == label
    assert box.findChild(qt.QSpinBox) is None


# Signals


def test_signals_are_connected_by_attribute_or_by_what_cpp_calls_them(app):
    heard = []
    button = qt.QPushButton()
    assert button.clicked.connect(lambda: heard.append("attribute"))
    assert button.connect("clicked()", lambda: heard.append("plain"))
    assert button.connect("clicked( bool )", lambda checked: heard.append(checked))
    button.click()
    assert heard == ["attribute", "plain", False]


def test_a_bad_signal_is_reported_and_not_raised(app, capsys):
    button = qt.QPushButton()
    assert button.connect("pushed()", print) is False
    assert "signal 'pushed()' does not exist on QPushButton" in capsys.readouterr().err
    assert button.connect("clicked(QString)", print) is False
    assert button.disconnect("pushed()", print) is False
    assert "pushed()" in capsys.readouterr().err
    with pytest.raises(AttributeError):
        button.pushed.connect(print)
    with pytest.raises(TypeError):
        button.clicked.connect("print")


def test_functions_get_as_many_values_as_they_have_room_for(app):
    heard = []

    class Listener:
        def plain(self):
            heard.append("plain")

        def optional(self, checked=None):
            heard.append(checked)

    listener = Listener()
    button = qt.QPushButton()
    button.clicked.connect(listener.plain)
    button.clicked.connect(listener.optional)
    button.clicked.connect(lambda *values: heard.append(values))
    button.clicked.connect(functools.partial(heard.append))  # what is no function gets them all
    button.click()
    assert heard == ["plain", False, (False,), False]


def test_a_connection_holds_what_it_calls_until_it_ends(app):
    heard = []

    class Listener:
        def hear(self):
            heard.append(self)

    button = qt.QPushButton()
    listener = Listener()
    button.clicked.connect(listener.hear)
    hear = listener.hear
    del listener
    button.click()
    assert len(heard) == 1
    assert button.clicked.disconnect(hear)
    assert not button.clicked.disconnect(hear)
    button.click()
    assert len(heard) == 1
    button.clicked.connect(hear)
    assert button.disconnect("clicked(bool)")
    button.click()
    assert len(heard) == 1


def test_an_error_in_a_slot_comes_out_at_the_end():
    with pytest.raises(ZeroDivisionError), strict_session() as app:  # noqa: PT012
        app.startupCompleted.connect(lambda: 1 / 0)
        app.startupCompleted.emit()


# Dialogs


def test_slicers_own_dialogs_are_answered(app, answers):
    answers.give(qt.QMessageBox.Ok, qt.QMessageBox.Cancel, qt.QMessageBox.Yes, qt.QMessageBox.Ok)
    assert slicer.util.confirmOkCancelDisplay("Install PyTorch?", windowTitle="Once")
    assert not slicer.util.confirmOkCancelDisplay("Install PyTorch?")
    assert slicer.util.confirmYesNoDisplay("Sure?")
    slicer.util.errorDisplay("The disk is full.")
    assert [shown.text for shown in answers.shown] == [*["Install PyTorch?"] * 2, "Sure?", "The disk is full."]
    assert answers.shown[0].title == "Once"


def test_qts_own_dialogs_are_answered_and_file_dialogs_return_a_path(app, answers, tmp_path):
    answers.give(qt.QMessageBox.No, tmp_path, "")
    buttons = qt.QMessageBox.Yes | qt.QMessageBox.No
    assert qt.QMessageBox.question(None, "Title", "Text", buttons) == qt.QMessageBox.No
    assert qt.QFileDialog.getExistingDirectory(None, "Folder") == str(tmp_path)
    assert qt.QFileDialog.getSaveFileName(None, "File", "", "*.dcm") == ""
    assert [shown.title for shown in answers.shown] == ["Title", "Folder", "File"]


def test_a_dialog_of_the_modules_own_is_used_as_a_user_does(app, answers):
    dialog = qt.QDialog()
    dialog.windowTitle = "Last look"
    layout = qt.QVBoxLayout(dialog)
    line, button = qt.QLineEdit(), qt.QPushButton("Export")
    layout.addWidget(line)
    layout.addWidget(button)
    button.connect("clicked()", dialog.accept)

    def user(shown):
        assert shown.visible
        line.text = "Blase"
        button.click()

    answers.give(user, False)
    assert dialog.exec_() == qt.QDialog.Accepted.value
    assert line.text == "Blase"
    assert not dialog.exec_()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "nobody answers"),
        (qt.QMessageBox.Retry, "has no button"),
        (lambda box: None, "left open"),
    ],
)
def test_a_dialog_that_is_not_answered_well_fails_the_session(answer, words):
    with pytest.raises(AssertionError, match=words), strict_session():  # noqa: PT012
        if answer is not None:
            ANSWERS.give(answer)
        assert not slicer.util.confirmOkCancelDisplay("Sure?")


def test_an_answer_that_nobody_asked_for_fails_the_session():
    with pytest.raises(AssertionError, match="never asked for"), strict_session():
        ANSWERS.give("a folder")


# What is left afterwards


def test_nothing_of_a_session_is_left():
    with session() as app:
        temporary = app.temporaryPath
        assert slicer.util.mainWindow().name == "qSlicerMainWindow"
    button = qt.QPushButton("a")
    assert button.text() == "a"
    button.anything = 3
    assert button.anything == 3
    assert "standin" not in f"{QDialog.exec} {QFileDialog.getSaveFileName}"
    assert slicer.mrmlScene is not app
    assert not hasattr(slicer.app, "temporaryPath")
    assert not Path(temporary).exists()
    assert sys.excepthook is sys.__excepthook__


def test_each_session_begins_with_empty_settings_an_empty_scene_and_nobody_listening():
    started = []
    for _time in range(2):
        with session() as app:
            app.connect("startupCompleted()", lambda: started.append(True))
            app.startupCompleted.emit()
            assert qt.QSettings().allKeys() == ()
            qt.QSettings().setValue("device", "cpu")
            assert app.userSettings().value("device") == "cpu"
            assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    assert len(started) == 2


def test_the_application_tells_that_it_is_about_to_quit():
    heard = []
    with session() as app:
        app.connect("aboutToQuit()", lambda: heard.append(app.temporaryPath))
        temporary = app.temporaryPath
        assert Path(temporary).is_dir()
        assert heard == []
    assert heard == [temporary]


def test_python_packages_lack_what_slicers_lack(app):
    import ctk

    for package, name in ((qt, "Signal"), (qt, "QEnum"), (ctk, "ctkNothing"), (slicer.modules, "nothing")):
        assert not hasattr(package, name), name
