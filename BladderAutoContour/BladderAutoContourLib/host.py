"""The machine underneath: the only file that asks which operating system runs.

Windows, Linux and macOS behave alike for everybody who calls these functions.
"""

import contextlib
import ctypes
import errno
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

WINDOWS = sys.platform == "win32"
_QUERY_LIMITED_INFORMATION = 0x1000
REPLACE_SECONDS = 2.0
PIPE_SECONDS = 0.02
"""How often a pipe is looked at on Windows."""
LAST_WORDS_SECONDS = 0.25
"""How long the last words of a process that must end may take."""
TURNS = 15

_DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_WINDOWS_DISK_FULL = {39, 112, 1295}  # ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED
_DRIVE_LOST = {getattr(errno, name, errno.EIO) for name in ("EIO", "ENXIO", "ENODEV", "ESTALE", "ETIMEDOUT")}
# ERROR_NOT_READY, CRC, GEN_FAILURE, DEV_NOT_EXIST, UNEXP_NET_ERR, NETNAME_DELETED, SEM_TIMEOUT, NO_SUCH_DEVICE,
# IO_DEVICE, DEVICE_NOT_CONNECTED
_WINDOWS_DRIVE_LOST = {21, 23, 31, 55, 59, 64, 121, 433, 1117, 1167}
_WINDOWS_PAGE_FILE_TOO_SMALL = 1455  # ERROR_COMMITMENT_LIMIT
# torch and SimpleITK raise plain RuntimeErrors: only their words tell memory from other failures
_MEMORY_WORDS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "failed to allocate memory",
    "bad_alloc",
)
_WINDOWS_LIBRARY_MISSING = {126, 127, 193, 1114}  # ERROR_MOD_NOT_FOUND, PROC_NOT_FOUND, BAD_EXE_FORMAT, DLL_INIT_FAILED


Result = TypeVar("Result")


class Cancellable(Protocol):
    """What a stop signal raises."""

    def cancel(self) -> None: ...


# Processor, memory and cores


def is_intel_mac() -> bool:
    """Whether this program was built for Macs with an Intel processor; those of Apple's own run it too."""
    return sys.platform == "darwin" and platform.machine() == "x86_64"


def peak_memory_mb(process_id: int | None = None) -> float:
    """The most memory that this process, or a running one of that number, has held resident so far, in MiB.

    Of another process on macOS: what it holds now. 0 for one that has ended.
    """
    if WINDOWS:
        return _windows_peak_bytes(process_id) / 2**20
    if sys.platform == "linux":
        # Not getrusage there: its figure begins at the size of the process that started this one.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            status = Path("/proc", str(process_id or "self"), "status")
            for line in status.read_text(encoding="ascii", errors="replace").splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        if process_id is not None:
            return 0.0
    if process_id is not None:
        words = ["ps", "-o", "rss=", "-p", str(process_id)]
        return int(subprocess.run(words, capture_output=True, text=True, check=False).stdout or 0) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


class _ProcessMemoryCounters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of psapi.h."""

    _fields_ = [("cb", ctypes.c_uint32), ("PageFaultCount", ctypes.c_uint32)] + [
        (name, ctypes.c_size_t)
        for name in (
            "PeakWorkingSetSize",
            "WorkingSetSize",
            "QuotaPeakPagedPoolUsage",
            "QuotaPagedPoolUsage",
            "QuotaPeakNonPagedPoolUsage",
            "QuotaNonPagedPoolUsage",
            "PagefileUsage",
            "PeakPagefileUsage",
        )
    ]


def _windows_peak_bytes(process_id: int | None) -> int:
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.GetCurrentProcess.restype = kernel.OpenProcess.restype = ctypes.c_void_p
    kernel.K32GetProcessMemoryInfo.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32]
    kernel.CloseHandle.argtypes = [ctypes.c_void_p]
    counters = _ProcessMemoryCounters(cb=ctypes.sizeof(_ProcessMemoryCounters))
    if process_id is None:
        if not kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.cb):
            raise ctypes.WinError(ctypes.get_last_error())
        return int(counters.PeakWorkingSetSize)
    process = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, process_id)
    if process:
        kernel.K32GetProcessMemoryInfo(process, ctypes.byref(counters), counters.cb)
        kernel.CloseHandle(process)
    return int(counters.PeakWorkingSetSize)


def available_cores() -> int:
    """The processor cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(len(os.sched_getaffinity(0)), 1)
    return os.cpu_count() or 1


# Stopping


def install_stop_signals(cancellation: Cancellable) -> None:
    """Ctrl-C, SIGTERM, SIGHUP and Windows' Ctrl-Break raise `cancellation` instead of ending the process.

    What the process was started to ignore (`nohup`) stays ignored. Call from the main thread. A thread takes the
    signals, so that one that arrives while the main thread stands in a native call is heard at once.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    stops: set[int] = set()
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            # The wake-up socket carries the news; Python still asks for a handler, or the default one acts.
            signal.signal(number, lambda _number, _frame: None)
            stops.add(int(number))

    def listen() -> None:
        # the socket tells of every signal that Python handles, of a worker's end (SIGCHLD) too
        while (heard := reader.recv(1)) and writer:  # `writer` is named so that it lives as long as this thread
            if heard[0] in stops:
                cancellation.cancel()

    def forget() -> None:
        signal.set_wakeup_fd(-1)
        for number in stops:
            signal.signal(number, signal.SIG_DFL)

    if hasattr(os, "register_at_fork"):  # a forked worker shares the socket: its own end must not cancel its parent
        os.register_at_fork(after_in_child=forget)
    threading.Thread(target=listen, name="stop signals", daemon=True).start()


def forget_children() -> None:
    """Let the end of a child go unnoticed from now on. Call from the main thread.

    While torch's processes make samples, it raises of such an end wherever the main thread stands.
    """
    if not WINDOWS:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def join_in_turns(thread: threading.Thread, seconds: float) -> None:
    """Wait for a thread, that long at most, in many short waits.

    Where a native call holds the interpreter for longer than that, one wait would be over before the thread had a turn.
    """
    for _ in range(TURNS):
        thread.join(seconds / TURNS)
        if not thread.is_alive():
            return


def end_soon(code: int, seconds: float, last_words: Callable[[], None], unless: threading.Event | None = None) -> None:
    """End this process with `code` after `seconds`, hung native calls or not, unless the event is set before.

    `last_words` (remove the temporary folder, write the last line) runs before; it gets LAST_WORDS_SECONDS.
    """
    came_back = unless or threading.Event()

    def watch() -> None:
        if came_back.wait(seconds):
            return
        # On a thread: a reader that does not empty its pipe must not keep the process alive.
        words = threading.Thread(target=last_words, name="last words", daemon=True)
        words.start()
        join_in_turns(words, LAST_WORDS_SECONDS)
        os._exit(code)

    threading.Thread(target=watch, name="watchdog", daemon=True).start()


def end_now(code: int) -> NoReturn:
    """End this process with `code`: what was written goes out, the interpreter clears nothing away."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


# Processes


def popen_group(arguments: Sequence[str | Path], **options: Any) -> subprocess.Popen:
    """Start a process in a group of its own, so that `end_process_tree` can end it with all its children."""
    if WINDOWS:
        options["creationflags"] = options.get("creationflags", 0) | subprocess.CREATE_NEW_PROCESS_GROUP
        options["startupinfo"] = _without_window()
    else:
        options["start_new_session"] = True
    return subprocess.Popen([str(argument) for argument in arguments], **options)


def _without_window() -> Any:
    """Windows opens a console window for what a program without one starts, such as Slicer; it shall not be seen."""
    return subprocess.STARTUPINFO(dwFlags=subprocess.STARTF_USESHOWWINDOW, wShowWindow=subprocess.SW_HIDE)


def end_process_tree(process: subprocess.Popen) -> None:
    """End a process of `popen_group` and all its children; returns when it is gone."""
    if WINDOWS:
        if process.poll() is None:
            with contextlib.suppress(OSError):  # a computer may lack taskkill, or forbid it: then the children stay
                subprocess.run(
                    ["taskkill", "/T", "/F", "/PID", str(process.pid)],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    startupinfo=_without_window(),
                    check=False,
                )
            with contextlib.suppress(PermissionError):  # Windows' word for one that is ending already
                process.kill()
    else:
        # Also when the process itself is gone: its group lives as long as a child of it does.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# Files


def is_there(path: Path, ask: Callable[[Path], bool] = Path.exists, otherwise: bool = False) -> bool:
    """`ask` of a path; `otherwise` where the system does not say, as of what lies in a folder closed to the user."""
    try:
        return ask(path)
    except OSError:
        return otherwise


def try_to_write(folder: Path) -> None:
    """Make a file in `folder` and remove it again. Raises OSError where that is refused.

    Not by tempfile: until Python 3.13 it takes a refusal on Windows for a name that is taken, and tries two thousand
    million others (CPython's issue 66305).
    """
    file = folder / f".writable-{uuid.uuid4().hex[:12]}"
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    file.unlink()


def replace_file(temporary: Path, target: Path) -> None:
    """Put `temporary` in the place of `target`, whole or not at all.

    On Windows a viewer or a virus scanner may hold the target for a moment: it is tried again for REPLACE_SECONDS.
    Raises OSError.
    """
    deadline = time.monotonic() + (REPLACE_SECONDS if WINDOWS else 0.0)
    while True:
        try:
            temporary.replace(target)
            return
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)


def put_file(path: Path, write: Callable[[Path], Result]) -> Result:
    """Have `write` make a file whole or not at all: under another name first, then in its place.

    Returns what `write` does. Raises OSError. A process ended from outside leaves `unfinished(path)`, which the next
    one replaces.
    """
    temporary = unfinished(path)
    try:
        result = write(temporary)
        replace_file(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return result


def put_text(path: Path, text: str) -> None:
    """Write a small text file whole or not at all: UTF-8, the same bytes on every system. Raises OSError."""
    put_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))


def unfinished(path: Path) -> Path:
    """What a file is called until it is whole, beside its place."""
    return path.with_name(f".{path.name}.part")


def path_for_libraries(path: Path) -> str:
    """The path of a file for a library that opens names in the system's code page only, as ITK does (its issue 6739).

    On Windows a folder beyond ASCII (the temporary files of a user called Müller lie in one) goes by its short 8.3
    name, where the disk keeps such names. The file's own name stays: its ending says the format.
    """
    if not WINDOWS or str(path.parent.absolute()).isascii():
        return str(path)
    return str(Path(_windows_short_name(path.parent.absolute()), path.name))


def _windows_short_name(folder: Path) -> str:
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.GetShortPathNameW.argtypes = [ctypes.c_wchar_p, ctypes.c_wchar_p, ctypes.c_uint32]
    characters = kernel.GetShortPathNameW(str(folder), None, 0)
    name = ctypes.create_unicode_buffer(characters + 1)
    known = characters and kernel.GetShortPathNameW(str(folder), name, characters + 1)
    return name.value if known else str(folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all in it; none there is well. What another process holds open on Windows stays."""
    shutil.rmtree(folder, ignore_errors=True)


def is_disk_full(error: OSError) -> bool:
    """Whether the disk, or the user's share of it, had no room left."""
    return error.errno in _DISK_FULL or getattr(error, "winerror", None) in _WINDOWS_DISK_FULL


def is_drive_lost(error: OSError) -> bool:
    """Whether a disk failed, was pulled out, or a share of the network went away while it was read or written."""
    return error.errno in _DRIVE_LOST or getattr(error, "winerror", None) in _WINDOWS_DRIVE_LOST


def is_memory_short(error: BaseException) -> bool:
    """Whether the system had no memory left (on Windows, no room in its page file), whoever says so."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM or getattr(error, "winerror", None) == _WINDOWS_PAGE_FILE_TOO_SMALL
    words = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(phrase in words for phrase in _MEMORY_WORDS)
    )


def is_library_missing(error: OSError) -> bool:
    """Whether Windows could not load a DLL of a package (torch raises that as OSError, not as ImportError)."""
    return getattr(error, "winerror", None) in _WINDOWS_LIBRARY_MISSING


# Pipes


def await_input(descriptor: int) -> None:
    """On Windows, return when a pipe holds something or has ended; elsewhere, and of what is no pipe, at once.

    While a thread waits there inside a read of standard input, every look at that handle waits behind it, and loading
    numpy looks at it (numpy's issue 24290): the process would stand still until somebody writes.
    """
    if not WINDOWS:
        return
    import msvcrt

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.PeekNamedPipe.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, *[ctypes.c_void_p] * 3]
    handle, held = msvcrt.get_osfhandle(descriptor), ctypes.c_uint32(0)
    while kernel.PeekNamedPipe(handle, None, 0, None, ctypes.byref(held), None) and not held.value:
        time.sleep(PIPE_SECONDS)
