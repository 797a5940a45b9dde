"""Where a structure set goes: a folder, Slicer's DICOM database, a DICOM node on this machine."""

import socket
import sys
import threading
import time
from pathlib import Path

import pydicom
import pytest
import slicer
from BladderAutoContourLib.errors import OutputError, UsageError
from BladderAutoContourLib.slicer.export import destinations
from BladderAutoContourLib.slicer.export.destinations import ToDatabase, ToFolder, ToNode
from BladderAutoContourLib.slicer.export.structure_set import (
    StructureNames,
)
from dicom_nodes import running_orthanc
from exporting import Ear

NAMES = StructureNames()


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


@pytest.mark.parametrize("address", ["127.0.0.1:{closed}", "no-such-host.invalid:104", "192.168..10:104"])
def test_a_node_that_is_not_there(export, contour, work, address):
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    address = address.format(closed=closed)
    ear = Ear()
    export.write(contour, NAMES, ToNode(address, "PLANNING"), ear)
    ear.wait(export)
    assert ear.failure.sentence.startswith(f"Nothing answers at {address}.")
    assert ear.steps == []
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("end", ["given up", "cancelled", "found"])
def test_a_name_server_that_does_not_answer_holds_nobody(export, contour, work, monkeypatch, end):
    answered = threading.Event()

    def getaddrinfo(_host: str, port: int, **_options: int) -> list[tuple]:
        assert answered.wait(60)
        return look_up("127.0.0.1", port, type=socket.SOCK_STREAM)

    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(destinations, "KNOCK_SECONDS", 1.0 if end == "given up" else 60.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        node = ToNode(f"planning.invalid:{server.getsockname()[1]}", "PLANNING")
        ready = node.knock()
        begun = time.monotonic()
        assert not ready()
        assert time.monotonic() - begun < 0.5
        ear = Ear()
        export.write(contour, NAMES, node, ear)
        export.poll()
        assert not ear.finishes
        if end == "cancelled":
            export.cancel()
            assert ear.failure.code == 130
        elif end == "given up":
            assert "Nothing answers at planning.invalid" in ear.wait(export).failure.sentence
        else:
            answered.set()
            begun = time.monotonic()
            while not ready():
                assert time.monotonic() - begun < 10
            export.cancel()
    answered.set()
    assert list(work.iterdir()) == []


def test_a_node_that_stays_silent_is_given_up(export, contour, work, monkeypatch):
    """A listener whose queue is full answers no connection, as a computer that is switched off answers none."""
    monkeypatch.setattr(destinations, "KNOCK_SECONDS", 2.0)
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
