"""DICOM nodes on this machine, on loopback: an Orthanc and DCMTK's storescp, started by a test and stopped by it."""

import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from BladderAutoContourLib import host, streams

START_SECONDS = 60.0
STARTED = "Orthanc has started"
TITLE = "PLANNING"


@dataclass(frozen=True)
class Orthanc:
    """A node that listens on loopback. It takes only what is sent to its AE title."""

    dicom_port: int
    http_port: int
    title: str = TITLE

    @property
    def address(self) -> str:
        """Where it receives DICOM."""
        return f"127.0.0.1:{self.dicom_port}"

    def ask(self, path: str, content: bytes | None = None) -> Any:
        """An answer of its web interface."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=content)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def take(self, files: list[Path]) -> None:
        """Put files into its storage, as another system would have."""
        for file in files:
            self.ask("/instances", file.read_bytes())


@contextmanager
def running_orthanc(program: str, folder: Path) -> Iterator[Orthanc]:
    """An Orthanc that has started; gone with all it stored at the end."""
    node = Orthanc(*_free_ports(2))
    configuration = folder / "orthanc.json"
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [],
        "HttpPort": node.http_port,
        "DicomPort": node.dicom_port,
        "DicomAet": node.title,
        "DicomCheckCalledAet": True,
    }
    configuration.write_text(json.dumps(settings), encoding="utf-8")
    process = host.popen_group([program, configuration], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    started = threading.Event()
    streams.read_lines(process.stdout.fileno(), lambda line: started.set() if STARTED in (line or STARTED) else None)
    try:
        assert started.wait(START_SECONDS), "Orthanc did not start"
        assert process.poll() is None, "Orthanc ended at once"
        yield node
    finally:
        host.end_process_tree(process)


@contextmanager
def running_storescp(program: str, folder: Path) -> Iterator[int]:
    """A storescp that puts what it receives into `folder`; the port on which it listens."""
    (port,) = _free_ports(1)
    process = host.popen_group([program, "--output-directory", folder, str(port)])
    try:
        _wait_for(port)
        yield port
    finally:
        host.end_process_tree(process)


def c_store(program: str, port: int, files: Sequence[Path], title: str = TITLE) -> None:
    """Send files by C-STORE with DCMTK's storescu, which ends with an error where the node takes one of them not."""
    command = [program, "--call", title, "127.0.0.1", str(port), *map(str, files)]
    sent = subprocess.run(command, capture_output=True, text=True, check=False)
    assert sent.returncode == 0, sent.stdout + sent.stderr


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nobody listens on port {port}")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports
