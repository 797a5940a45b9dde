"""A DICOM node on this machine: an Orthanc with a storage of its own, started by a test and stopped by it."""

import json
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from BladderAutoContourLib import host

START_SECONDS = 30.0
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
    host.read_lines(process.stdout.fileno(), lambda line: started.set() if STARTED in (line or STARTED) else None)
    try:
        assert started.wait(START_SECONDS), "Orthanc did not start"
        assert process.poll() is None, "Orthanc ended at once"
        yield node
    finally:
        host.end_process_tree(process)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports
