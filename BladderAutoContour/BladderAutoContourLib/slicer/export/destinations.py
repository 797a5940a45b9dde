"""Where a structure set goes once the engine has verified it: a folder, Slicer's DICOM database, a DICOM node."""

import contextlib
import datetime
import itertools
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import DICOMLib
import slicer
from slicer.i18n import tr as _

from ... import host
from ...errors import OutputError, UsageError

KNOCK_SECONDS = 5.0
"""How long a DICOM node may take to accept a connection, the search for its address included."""
_TURN_SECONDS = 0.002  # that long a thread may run in one look at it
SENDER_SECONDS = 30.0
"""Slicer's sender waits that long for storescu; then it goes on as if the file had arrived."""
TITLE_LENGTH = 16
SOP_INSTANCE_UID = "0008,0018"

Ready = Callable[[], bool]


class Destination(Protocol):
    """A place for the verified file. Every sentence of it is for the person at the screen."""

    @property
    def promise(self) -> str:
        """What the confirmation button says."""

    def knock(self) -> Ready:
        """Begin to look whether the place is there; the answer is asked for until it is true. Raises OutputError."""

    def file(self, working_folder: Path) -> Path:
        """The file that the engine shall write: none is there yet."""

    def take(self, file: Path) -> Path | None:
        """Bring the file to its place; where it lies then, None where it is no file any more. Raises OutputError."""


@dataclass(frozen=True)
class ToFolder:
    """A folder of the user's. The file's name tells when it was written and nothing about the patient.

    Raises UsageError with a sentence where the path is none.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not self.folder.is_absolute():
            raise UsageError(_("Choose the folder that the structure set goes to."))

    @property
    def promise(self) -> str:
        return _("Export to folder {folder}").format(folder=self.folder.name or self.folder)

    def knock(self) -> Ready:
        if not host.is_there(self.folder, Path.is_dir):
            raise OutputError(_("The folder {folder} is not there. Choose another.").format(folder=self.folder))
        return lambda: True

    def file(self, working_folder: Path) -> Path:
        return free_name(self.folder)

    def take(self, file: Path) -> Path | None:
        return file


@dataclass(frozen=True)
class ToDatabase:
    """Slicer's own DICOM database, which copies the file into its folder."""

    @property
    def promise(self) -> str:
        return _("Add to Slicer's DICOM database")

    def knock(self) -> Ready:
        if not slicer.dicomDatabase or not slicer.dicomDatabase.isOpen:
            raise OutputError(_("Slicer has no DICOM database yet. Open the DICOM module once, then export again."))
        return lambda: True

    def file(self, working_folder: Path) -> Path:
        return free_name(working_folder)

    def take(self, file: Path) -> Path | None:
        uid = slicer.dicomDatabase.fileValue(str(file), SOP_INSTANCE_UID)
        DICOMLib.DICOMUtils.importDicom(str(file.parent), copyFiles=True)
        # The indexer says nothing of a file that it could not copy or read.
        if not uid or not slicer.dicomDatabase.fileForInstance(uid):
            raise OutputError(
                _("Slicer's DICOM database did not take the structure set. Is there room on the disk that holds it?")
            )
        return None


@dataclass(frozen=True)
class ToNode:
    """A DICOM node, such as a planning system or an archive, reached by Slicer's own sender.

    Raises UsageError with a sentence where the address or the title cannot be one.
    """

    address: str
    ae_title: str

    def __post_init__(self) -> None:
        if not self.host or "/" in self.host or not self.port.isdecimal() or not 0 < int(self.port) < 65536:
            raise UsageError(_("Give the address as host:port, for example 192.168.0.10:104."))
        title = self.ae_title
        if (
            not 0 < len(title.strip()) <= TITLE_LENGTH
            or not title.isascii()
            or not title.isprintable()
            or "\\" in title
        ):
            raise UsageError(_("Give the AE title of the node: 1 to {n} plain characters.").format(n=TITLE_LENGTH))

    @property
    def host(self) -> str:
        """The node's name or IP number."""
        return self.address.rpartition(":")[0].strip("[] ")

    @property
    def port(self) -> str:
        """The port as it was typed."""
        return self.address.rpartition(":")[2].strip()

    @property
    def promise(self) -> str:
        return _("Send to {title} at {address}").format(title=self.ae_title, address=self.address)

    def knock(self) -> Ready:
        # Slicer's sender would hold the window for half a minute, and call a node that is switched off well served.
        return _Knock(self)

    def file(self, working_folder: Path) -> Path:
        return free_name(working_folder)

    def take(self, file: Path) -> Path | None:
        begun = time.monotonic()
        try:
            DICOMLib.DICOMSender([str(file)], self.address, protocol="DIMSE", aeTitle=self.ae_title)
        except UserWarning as fault:
            raise OutputError(
                _(
                    "The DICOM node {address} refused the structure set. Check its AE title ({title}), and that it "
                    "takes RT Structure Sets from this computer."
                ).format(address=self.address, title=self.ae_title)
            ) from fault
        if time.monotonic() - begun >= SENDER_SECONDS:
            raise OutputError(
                _("The DICOM node {address} did not answer in time. Look there whether the file came.").format(
                    address=self.address
                )
            )
        return None


def free_name(folder: Path) -> Path:
    """A file that is not there yet, named after the present time."""
    stem = f"RTSTRUCT_{datetime.datetime.now():%Y-%m-%d_%H%M%S}"
    names = itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2)))
    return next(path for name in names if not host.is_there(path := folder / f"{name}.dcm"))


class _Knock:
    """A connection tried without waiting: to every address that the node's name stands for, all at once.

    A thread looks the name up: a name server that does not answer holds whoever asks it for many seconds.
    """

    def __init__(self, node: ToNode) -> None:
        self._node = node
        self._deadline = time.monotonic() + KNOCK_SECONDS
        self._addresses: list[tuple[Any, ...]] = []  # as `getaddrinfo` gives them
        self._tried: list[socket.socket] = []
        self._search = threading.Thread(target=self._look_up, name="address of a DICOM node", daemon=True)
        self._search.start()

    def __call__(self) -> bool:
        self._search.join(_TURN_SECONDS)
        searching = self._search.is_alive()
        if not searching:
            self._connect()
        opened = self._opened()
        if opened or not (self._tried or searching) or time.monotonic() >= self._deadline:
            for tried in self._tried:
                tried.close()
            if not opened:
                raise OutputError(
                    _(
                        "Nothing answers at {address}. Check the address of the DICOM node, and that it is switched on."
                    ).format(address=self._node.address)
                )
        return opened

    def _look_up(self) -> None:
        with contextlib.suppress(OSError, UnicodeError):  # a name that nobody knows, or that is none
            self._addresses = socket.getaddrinfo(self._node.host, int(self._node.port), type=socket.SOCK_STREAM)

    def _connect(self) -> None:
        """Begin to connect to the addresses that were found, once."""
        addresses, self._addresses = self._addresses, []
        for family, kind, protocol, _name, address in addresses:
            with contextlib.suppress(OSError):  # an address of a kind that this computer does not speak
                self._tried.append(socket.socket(family, kind, protocol))
                self._tried[-1].setblocking(False)
                self._tried[-1].connect_ex(address)

    def _opened(self) -> bool:
        """Whether one address answered; those that refused are forgotten."""
        if not self._tried:
            return False
        _none, writable, failed = select.select([], self._tried, self._tried, 0)
        for tried in {*writable, *failed}:
            with contextlib.suppress(OSError):
                tried.getpeername()  # only a connection that stands has a peer
                return True
            tried.close()
            self._tried.remove(tried)
        return False
