"""What a request needs, read once: CT and probability are kept, because corrections ask for them again and again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..dicom.ct_series import CtSeries, read_ct
from ..dicom.scan import files_below
from ..errors import InputError
from ..imaging.files import is_volume_file, read_volume, says_orientation
from ..imaging.volume import Volume
from .report import InputFacts
from .steps import Tell
from .warnings import QualityWarning, geometry_warning

HEADERS = (".mhd", ".nhdr")  # of volume files whose data may stand in another file
_Stamp = tuple[tuple[str, int, int], ...]


NOT_PLACED = (
    "The file does not say how the patient lies in it: head first and on the back was assumed. Where that is wrong, so "
    "is the contour. Take the DICOM series, or a file with its orientation."
)


@dataclass(frozen=True)
class ReadCt:
    """A CT that was read; `series` is None for a volume file.

    placed: whether the file says how the patient lies in it.
    """

    volume: Volume
    series: CtSeries | None
    placed: bool = True

    @property
    def warnings(self) -> tuple[QualityWarning, ...]:
        """The reader's findings, as warnings."""
        findings = self.series.findings if self.series else ()
        if not self.placed:
            return (geometry_warning(NOT_PLACED),)
        return tuple(
            geometry_warning(f"{finding.sentence}.", "note" if finding.severity == "note" else "warning")
            for finding in findings
        )

    @property
    def facts(self) -> InputFacts:
        """What the report says of it."""
        return InputFacts(self.series.series_uid if self.series else None, self.volume.geometry)


class Reader:
    """Reads CTs and volume files; the last CT and the last probability stay in memory while their files do not change.

    Not what stands in two files, a header and its data: only of the one it is known whether it changed.

    Usage::

        reader = Reader()
        ct = reader.ct((Path("ct.nrrd"),), None, lambda share: None)
        probability = reader.kept_volume(Path("bladder_probability.nrrd"))
    """

    def __init__(self) -> None:
        self._ct: tuple[tuple[_Stamp, str | None], ReadCt] | None = None
        self._volume: tuple[_Stamp, Volume] | None = None

    def ct(self, sources: Sequence[Path], series_uid: str | None, tell: Tell) -> ReadCt:
        """The CT of a folder, of DICOM files or of a volume file. Raises InputError."""
        key = (_stamp(sources), series_uid)
        if self._ct is None or self._ct[0] != key or any(map(_is_header_alone, sources)):
            self._ct = None  # not two CTs at a time
            self._ct = (key, _read(sources, series_uid, tell))
        return self._ct[1]

    def kept_volume(self, path: Path) -> Volume:
        """A volume file that the next correction will ask for again, wherever it was moved. Raises InputError."""
        key = _stamp([path], moved=True)
        if self._volume is None or self._volume[0] != key or _is_header_alone(path):
            self._volume = None
            self._volume = (key, read_volume(path))
        return self._volume[1]

    def keep_volume(self, path: Path, volume: Volume) -> None:
        """Remember what was written to `path` just now: a correction will ask for it. Raises InputError."""
        self._volume = (_stamp([path], moved=True), volume)


def _read(sources: Sequence[Path], series_uid: str | None, tell: Tell) -> ReadCt:
    if any(is_volume_file(source) for source in sources):
        if len(sources) > 1:
            raise InputError("A volume file is a whole CT: give one at a time, or DICOM files alone.", sources)
        if series_uid is not None:
            raise InputError(
                f"{sources[0].name} is one volume and holds no series to choose from: leave that out.", sources
            )
        return ReadCt(read_volume(sources[0]), None, says_orientation(sources[0]))
    series = read_ct(sources, series_uid=series_uid, progress=tell)
    return ReadCt(series.volume, series)


def _is_header_alone(path: Path) -> bool:
    return path.suffix.lower() in HEADERS


def _stamp(sources: Sequence[Path], moved: bool = False) -> _Stamp:
    """What tells that files are the same as before: names, sizes, times. Raises InputError where one is missing.

    In a folder counts what its reader looks at: files, and no link to one that is gone. moved: in place of its name
    counts what the disk knows a file by.
    """
    found = []
    for source in sources:
        try:
            inside = (folder / name for folder, names in files_below(source, lambda fault: None) for name in names)
            files = sorted(filter(Path.is_file, inside)) if source.is_dir() else [source]
            for file in files:
                status = file.stat()
                name = f"{status.st_dev} {status.st_ino}" if moved else str(file.absolute())
                found.append((name, status.st_size, status.st_mtime_ns))
        except OSError as error:
            raise InputError(f"{source.name} does not exist or cannot be read. Check the path.", [source]) from error
    return tuple(found)
