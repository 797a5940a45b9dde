"""The way of a contour from the segment to a structure set in a folder, in Slicer's database, at a DICOM node."""

import logging
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
from BladderAutoContourLib.errors import InputError, OutputError, UsageError
from BladderAutoContourLib.imaging.files import write_volume
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.slicer import destinations
from BladderAutoContourLib.slicer.destinations import ToDatabase, ToFolder, ToNode
from BladderAutoContourLib.slicer.engine_process import EngineProcess
from BladderAutoContourLib.slicer.export import (
    NotFromDicomError,
    StructureNames,
    StructureSetExport,
    date,
    last_look,
    person_name,
    save_segmentation,
)
from BladderAutoContourLib.slicer.segmentation import show_result
from ct_scene import Editor, add_ct, blob, drawn, grid, texture
from exporting import PATIENT_ID, PATIENT_NAME, PATIENT_WORDS, Ear, contour_from_dicom, dice, filled, voxels
from orthanc import running_orthanc

NAMES = StructureNames()


@pytest.fixture(scope="module")
def engine():
    """One warm engine for all tests; `engine.lines` is what it logged."""
    lines = []
    process = EngineProcess(Path(sys.executable), lines.append)
    process.lines = lines
    yield process
    process.close()


@pytest.fixture
def work(tmp_path):
    """The working folder."""
    folder = tmp_path / "Arbeit ü"
    folder.mkdir()
    return folder


@pytest.fixture
def target(tmp_path):
    """Where the user wants the file."""
    folder = tmp_path / "Export für Strahlentherapie"
    folder.mkdir()
    return folder


@pytest.fixture
def export(engine, work):
    return StructureSetExport(engine, work)


@pytest.fixture
def dicom_contour(scene, tmp_path):
    """A contour nobody edited, on a CT from DICOM, and the CT's files."""
    return contour_from_dicom(tmp_path)


@pytest.fixture
def contour(dicom_contour):
    return dicom_contour[0]


def written(ear: Ear) -> pydicom.Dataset:
    """The file that an export told of."""
    assert ear.failure is None
    return pydicom.dcmread(ear.file)


def paint(contour) -> None:
    """A clinician's stroke."""
    stroke = np.zeros_like(voxels(contour))
    stroke[4:7, 3:9, 5:9] = True
    Editor(contour.segmentation, contour.volume).paint(contour.segment_id, stroke)


def test_the_contour_as_the_engine_drew_it(export, dicom_contour, target, work, engine, judge, caplog):
    contour, ct_files = dicom_contour
    other = target / "RTSTRUCT.dcm"
    other.write_text("somebody else's", encoding="ascii")
    with caplog.at_level(logging.DEBUG):
        ear = Ear()
        export.write(contour, StructureNames("Blase ü", "Plan A"), ToFolder(target), ear)
        assert export.busy
        assert not ear.finishes, "nothing is told before a poll"
        rs = written(ear.wait(export))
    assert not export.busy
    assert set(target.iterdir()) == {other, ear.file}
    assert list(work.iterdir()) == []

    header = pydicom.dcmread(ct_files[0])
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert rs[keyword].value == header[keyword].value
    assert (str(rs.PatientName), rs.PatientID) == (PATIENT_NAME, PATIENT_ID)
    roi = rs.StructureSetROISequence[0]
    assert (roi.ROIName, rs.StructureSetLabel, roi.ROIGenerationAlgorithm) == ("Blase ü", "Plan A", "AUTOMATIC")
    assert "model generated-pelves-1" in roi.ROIDescription
    study = rs.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    referred = {item.ReferencedSOPInstanceUID for item in study.RTReferencedSeriesSequence[0].ContourImageSequence}
    assert referred == {pydicom.dcmread(file).SOPInstanceUID for file in ct_files}
    assert dice(filled(rs, ct_files), voxels(contour)) == 1.0

    told = "\n".join([ear.file.name, *ear.notes, *engine.lines, *caplog.messages])
    assert not [word for word in PATIENT_WORDS if word in told]
    said = subprocess.run([judge("dciodvfy"), ear.file], capture_output=True, text=True, errors="replace", check=False)
    assert [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")] == []


def test_a_corrected_contour_is_written_as_it_stands(export, dicom_contour, target, work):
    contour, ct_files = dicom_contour
    before = voxels(contour)
    paint(contour)
    assert last_look(contour, work).generation == "SEMIAUTOMATIC"
    ear = Ear()
    export.write(contour, NAMES, ToFolder(target), ear)
    rs = written(ear.wait(export))
    assert rs.StructureSetROISequence[0].ROIGenerationAlgorithm == "SEMIAUTOMATIC"
    assert dice(filled(rs, ct_files), voxels(contour)) == 1.0
    assert dice(filled(rs, ct_files), before) < 1.0


def test_the_probability_smooths_the_outline_until_somebody_edits(export, contour, target, tmp_path):
    now = voxels(contour)
    probability = tmp_path / "bladder_probability.nrrd"
    write_volume(Volume(np.where(now, 0.9, 0.3).astype(np.float32), grid()), probability)

    def outlines(**given):
        ear = Ear()
        export.write(contour, NAMES, ToFolder(target), ear, **given)
        rs = written(ear.wait(export))
        return [list(map(float, one.ContourData)) for one in rs.ROIContourSequence[0].ContourSequence]

    plain, smooth = outlines(), outlines(probability=probability)
    assert len(plain) == len(smooth)
    assert plain != smooth
    assert outlines(probability=tmp_path / "gone.nrrd") == plain
    paint(contour)
    assert outlines(probability=probability) == outlines()


def test_two_exports_in_one_second_are_two_files(export, contour, target, monkeypatch):
    class Standing(destinations.datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(destinations.datetime, "datetime", Standing)
    ears = [Ear(), Ear()]
    for ear in ears:
        export.write(contour, NAMES, ToFolder(target), ear)
        ear.wait(export)
    names = [ear.file.name for ear in ears]
    assert names == ["RTSTRUCT_2026-01-02_030405.dcm", "RTSTRUCT_2026-01-02_030405_2.dcm"]
    assert written(ears[0]).SOPInstanceUID != written(ears[1]).SOPInstanceUID


def test_into_slicers_database(export, dicom_contour, work):
    contour, ct_files = dicom_contour
    before = set(slicer.dicomDatabase.allFiles())
    ear = Ear()
    export.write(contour, NAMES, ToDatabase(), ear)
    ear.wait(export)
    assert (ear.failure, ear.file) == (None, None)
    (new,) = set(slicer.dicomDatabase.allFiles()) - before
    rs = pydicom.dcmread(new)
    assert (rs.Modality, rs.StudyInstanceUID) == ("RTSTRUCT", pydicom.dcmread(ct_files[0]).StudyInstanceUID)
    assert Path(slicer.dicomDatabase.databaseDirectory) in Path(new).parents
    assert list(work.iterdir()) == []


def test_a_database_that_takes_nothing(export, contour, work, monkeypatch):
    monkeypatch.setattr(destinations.DICOMLib.DICOMUtils, "importDicom", lambda *_args, **_options: True)
    ear = Ear()
    export.write(contour, NAMES, ToDatabase(), ear)
    ear.wait(export)
    assert ear.failure.code == OutputError.code
    assert "did not take the structure set" in ear.failure.sentence
    assert list(work.iterdir()) == []


def test_no_database(export, contour, work):
    destination = ToDatabase()
    slicer.dicomDatabase.closeDatabase()
    with pytest.raises(OutputError, match="Open the DICOM module"):
        destination.knock()


@pytest.fixture
def node(judge, tmp_path):
    judge("storescu")
    folder = tmp_path / "node"
    folder.mkdir()
    with running_orthanc(judge("Orthanc"), folder) as orthanc:
        yield orthanc


def test_to_a_dicom_node(export, dicom_contour, work, node, monkeypatch):
    contour, ct_files = dicom_contour
    node.take(ct_files)
    ear = Ear()
    export.write(contour, NAMES, ToNode(node.address, node.title), ear)
    ear.wait(export)
    assert (ear.failure, ear.file) == (None, None)
    assert list(work.iterdir()) == []
    (study,) = node.ask("/studies?expand")
    assert study["MainDicomTags"]["StudyInstanceUID"] == pydicom.dcmread(ct_files[0]).StudyInstanceUID
    series = {one: node.ask(f"/series/{one}") for one in study["Series"]}
    received = {one["MainDicomTags"]["Modality"]: len(one["Instances"]) for one in series.values()}
    assert received == {"CT": len(ct_files), "RTSTRUCT": 1}

    refused = Ear()
    export.write(contour, NAMES, ToNode(node.address, "SOMEBODY"), refused)
    refused.wait(export)
    assert refused.failure.code == OutputError.code
    assert "refused the structure set. Check its AE title (SOMEBODY)" in refused.failure.sentence

    # Slicer's sender calls it a success when storescu hangs; the time that passed tells.
    monkeypatch.setattr(destinations, "SENDER_SECONDS", 0.0)
    late = Ear()
    export.write(contour, NAMES, ToNode(node.address, node.title), late)
    assert "did not answer in time" in late.wait(export).failure.sentence
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("address", ["127.0.0.1:{closed}", "no-such-host.invalid:104"])
def test_a_node_that_is_not_there(export, contour, work, engine, address):
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    address = address.format(closed=closed)
    ear = Ear()
    export.write(contour, NAMES, ToNode(address, "PLANNING"), ear)
    ear.wait(export)
    assert ear.failure.sentence.startswith(f"Nothing answers at {address}.")
    assert ear.steps == []
    assert list(work.iterdir()) == []


def test_a_node_that_stays_silent_is_given_up(export, contour, work, monkeypatch):
    """A listener whose queue is full answers no connection, as a computer that is switched off answers none."""
    monkeypatch.setattr(destinations, "KNOCK_SECONDS", 0.3)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        ear = Ear()
        export.write(contour, NAMES, ToNode(f"127.0.0.1:{port}", "PLANNING"), ear)
        export.poll()
        assert not ear.finishes
        ear.wait(export)
        for one in waiting:
            one.close()
    assert "Nothing answers" in ear.failure.sentence
    assert list(work.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a place where nobody can make a file")
def test_a_folder_that_cannot_be_written(export, contour, work):
    ear = Ear()
    export.write(contour, NAMES, ToFolder(Path("/proc")), ear)
    ear.wait(export)
    assert ear.failure.code == OutputError.code
    assert "cannot be written" in ear.failure.sentence
    assert list(work.iterdir()) == []


def test_a_folder_that_is_gone(export, contour, work, target):
    target.rmdir()
    with pytest.raises(OutputError, match="is not there"):
        export.write(contour, NAMES, ToFolder(target), Ear())
    assert not export.busy
    assert list(work.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process's files cannot be limited from outside")
def test_a_full_disk_leaves_nothing(scene, tmp_path, export, engine, target, work):
    import resource

    ragged = np.zeros(grid().shape, np.uint8)
    ragged[2:18, 2:34, 2:38] = np.random.default_rng(1).random((16, 32, 36)) > 0.5
    contour, _files = contour_from_dicom(tmp_path, ragged)
    first = Ear()
    export.write(contour, NAMES, ToFolder(target), first)
    size = written(first.wait(export)) and first.file.stat().st_size
    before = resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
    ear = Ear()
    export.write(contour, NAMES, ToFolder(target), ear)
    ear.wait(export)
    resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, before)
    assert ear.failure.code == OutputError.code
    assert "the disk is full" in ear.failure.sentence
    assert list(target.iterdir()) == [first.file]
    assert list(work.iterdir()) == []


def test_one_at_a_time(export, contour, target):
    ear = Ear()
    export.write(contour, NAMES, ToFolder(target), ear)
    with pytest.raises(RuntimeError):
        export.write(contour, NAMES, ToFolder(target), Ear())
    written(ear.wait(export))
    assert len(list(target.iterdir())) == 1


def test_last_look(contour, work):
    look = last_look(contour, work, unopened=("The bladder is cut by the end of the scan.",))
    assert (look.patient_name, look.patient_id) == ("Müller, Jürgen = 山田, 太郎", PATIENT_ID)
    assert look.ct_date == "2020-01-01"
    assert look.volume_ml == pytest.approx(np.count_nonzero(voxels(contour)) * 1.2 * 1.1 * 3.0 / 1000)
    assert (look.names.roi_name, look.names.label, look.generation) == ("Bladder", "BladderAuto", "AUTOMATIC")
    assert look.unopened == ("The bladder is cut by the end of the scan.",)
    assert list(work.iterdir()) == []


def test_what_a_ct_does_not_tell_is_said_so(scene, tmp_path, work):
    header = dict.fromkeys(("PatientName", "PatientID", "AcquisitionDate", "SeriesDate"), "")
    contour, _files = contour_from_dicom(tmp_path, header={**header, "StudyDate": "20191231"})
    look = last_look(contour, work)
    assert (look.patient_name, look.patient_id, look.ct_date) == ("not given", "not given", "2019-12-31")


def test_a_ct_from_no_dicom_is_refused_with_what_can_be_done(scene, export, tmp_path, work, target):
    geometry = grid()
    contour = show_result(add_ct(texture(geometry)), drawn(blob(geometry), geometry, tmp_path / "result"))
    for refused in (
        lambda: last_look(contour, work),
        lambda: export.write(contour, NAMES, ToFolder(target), Ear()),
    ):
        with pytest.raises(NotFromDicomError, match=r"not loaded from DICOM.*\.seg\.nrrd"):
            refused()
    assert list(target.iterdir()) == list(work.iterdir()) == []

    file = tmp_path / "Bladder ü.seg.nrrd"
    save_segmentation(contour, file)
    expected = voxels(contour)
    loaded = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    loaded.AddDefaultStorageNode()
    loaded.GetStorageNode().SetFileName(str(file))
    assert loaded.GetStorageNode().ReadData(loaded)
    segment_id = loaded.GetSegmentation().GetNthSegmentID(0)
    again = slicer.util.arrayFromSegmentBinaryLabelmap(loaded, segment_id, contour.volume) > 0
    assert np.array_equal(again, expected)
    with pytest.raises(OutputError, match="cannot be saved"):
        save_segmentation(contour, tmp_path / "no such folder" / "Bladder.seg.nrrd")


def test_what_cannot_be_exported_is_refused(export, dicom_contour, work, target):
    contour, ct_files = dicom_contour
    everything = np.ones_like(voxels(contour))

    def refusal(error=InputError):
        sentences = []
        for attempt in (
            lambda: last_look(contour, work),
            lambda: export.write(contour, NAMES, ToFolder(target), Ear()),
        ):
            with pytest.raises(error) as caught:
                attempt()
            sentences.append(caught.value.message)
        assert list(target.iterdir()) == list(work.iterdir()) == []
        assert sentences[0] == sentences[1]
        return sentences[0]

    editor = Editor(contour.segmentation, contour.volume)
    editor.erase(contour.segment_id, everything)
    assert "empty: there is nothing to export" in refusal()
    editor.logic.Undo()

    ct_files[3].rename(ct_files[3].with_suffix(".away"))
    assert "1 of the 20 DICOM files" in refusal()
    ct_files[3].with_suffix(".away").rename(ct_files[3])

    slicer.mrmlScene.RemoveNode(contour.volume)
    assert refusal().startswith("Choose a CT")


def test_a_working_folder_that_is_gone(engine, contour, tmp_path):
    with pytest.raises(OutputError, match="working folder"):
        last_look(contour, tmp_path / "none")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("", "BladderAuto"), "structure name must have 1 to 64"),
        (("B" * 65, "BladderAuto"), "structure name must have 1 to 64"),
        (("Bladder", " "), "label must have 1 to 16"),
        (("Bladder", "L" * 17), "label must have 1 to 16"),
        (("Bla\\dder", "BladderAuto"), "backslash"),
        (("Bladder", "Bladder\n"), "backslash or a line break"),
    ],
)
def test_names_that_dicom_forbids(names, words):
    with pytest.raises(UsageError, match=words):
        StructureNames(*names)


def test_long_names_are_allowed_with_a_hint():
    assert StructureNames("B" * 16, "L" * 16).hint == ""
    assert "cut structure names after 16" in StructureNames("B" * 64).hint


@pytest.mark.parametrize(
    ("address", "title", "words"),
    [
        ("planning", "AE", "host:port"),
        ("planning:", "AE", "host:port"),
        (":104", "AE", "host:port"),
        ("planning:0", "AE", "host:port"),
        ("planning:65536", "AE", "host:port"),
        ("planning:１０４x", "AE", "host:port"),
        ("planning:104", " ", "AE title"),
        ("planning:104", "T" * 17, "AE title"),
        ("planning:104", "PLÄNE", "AE title"),
        ("planning:104", "A\\B", "AE title"),
    ],
)
def test_addresses_that_are_none(address, title, words):
    with pytest.raises(UsageError, match=words):
        ToNode(address, title)


def test_an_address_of_ip_version_6():
    node = ToNode("[::1]:104", "AE")
    assert (node.host, node.port) == ("::1", "104")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("Doe^Jane", "Doe, Jane"),
        ("Doe^Jane^Mary^Dr.", "Doe, Jane Mary Dr."),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou = 山田, 太郎 = やまだ, たろう"),
        ("ANON", "ANON"),
        ("^Jane", "Jane"),
        ("", ""),
    ],
)
def test_person_names_as_people_read_them(value, read):
    assert person_name(value) == read


def test_dates():
    assert (date("20260131"), date("2026"), date("")) == ("2026-01-31", "2026", "")


def test_cancel_leaves_nothing(export, contour, target, work, engine):
    before_the_engine = Ear()
    export.write(contour, NAMES, ToFolder(target), before_the_engine)
    export.cancel()
    assert before_the_engine.wait(export).failure.code == 130

    ear = Ear()
    export.write(contour, NAMES, ToFolder(target), ear)
    export.poll()
    assert engine.busy
    export.cancel()
    assert ear.wait(export).failure.code == 130
    assert not export.busy
    assert list(target.iterdir()) == list(work.iterdir()) == []
