"""Damaged DICOM files and what the readers make of them: shared by the fuzz test and the fuzz benchmark.

As a program it works through a range of cases in a folder made by `make_samples` and prints a JSON line for each:
`python fuzzing.py FOLDER SEED FIRST END`. Whoever started it sees a crash or a hang by the lines that are missing.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pydicom
from BladderAutoContourLib.commands.contours import lines
from BladderAutoContourLib.dicom.check import check_rtstruct
from BladderAutoContourLib.dicom.ct_series import CtSeries, read_ct
from BladderAutoContourLib.dicom.pydicom_versions import save
from BladderAutoContourLib.dicom.rasterise import roi_mask
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest
from BladderAutoContourLib.dicom.structure_reader import StructureSet, read_structure_set
from BladderAutoContourLib.dicom.structure_set import write_rtstruct
from BladderAutoContourLib.errors import BladderError
from multi_frame import write_enhanced
from scenes import grid, mask_volume, offsets_mm, write_series

GEOMETRY = grid((9, 8, 6), (4.0, 4.5, 3.0))
PATIENT = "PHANTOM"
SAME_MM = 0.02
"""Positions nearer than this are equal; the reader tells of slices that are off by 0.01 mm."""
STRUCTURE_SET = "RTSTRUCT.dcm"
ENCODED = {
    "explicit": pydicom.uid.ExplicitVRLittleEndian,
    "big endian": pydicom.uid.ExplicitVRBigEndian,
    "deflated": pydicom.uid.DeflatedExplicitVRLittleEndian,
}
STRUCTURED, STRUCTURE_SHARE = ("implicit", "enhanced", *ENCODED), 3
"""Kinds whose structure sets are damaged too, and how much more often than a kind of image."""
GOOD = ("refused", "told", "equal", "believed")


@dataclass(frozen=True)
class Outcome:
    """refused, told (a finding says that something is amiss), equal; or what must not be: silent, crash, leak, hang.

    believed: the one file that holds a whole multi-frame series says another geometry or identifier, and nothing in
    or beside it could contradict it.
    """

    kind: str
    detail: str = ""


@dataclass(frozen=True)
class Sample:
    """An undamaged series with its structure set; `damaged` are the files of it that a case may hit."""

    folder: Path
    damaged: tuple[Path, ...]

    @property
    def structure_set(self) -> Path:
        """The structure set of the series; it lies beside the CT's folder."""
        return self.folder.with_name(self.folder.name + " rs") / STRUCTURE_SET

    @cached_property
    def ct(self) -> CtSeries:
        """The series as it is read undamaged."""
        return read_ct([self.folder])

    @cached_property
    def structures(self) -> StructureSet:
        """The structure set as it is read undamaged."""
        return read_structure_set(self.structure_set)


def make_samples(folder: Path, compress: dict[str, Callable[[Path, Path], object]]) -> None:
    """A series of each kind with a structure set below `folder`, the same bytes every time.

    compress: kinds of files made from plain ones.
    """
    for kind in ("implicit", "enhanced", *ENCODED, *compress):
        files = write_series(folder / kind, GEOMETRY)
        if kind in ENCODED:
            for file in files:
                _encode(file, ENCODED[kind])
        elif kind == "enhanced":
            write_enhanced(folder / kind / "ct.dcm", files, (3, 0, 5, 1, 4, 2))
            for file in files:
                file.unlink()
        elif kind in compress:
            for file in files:
                compress[kind](file, file.with_suffix(".new"))
                file.with_suffix(".new").replace(file)
        sample = Sample(folder / kind, ())
        distance = np.linalg.norm(offsets_mm(GEOMETRY), axis=-1)
        hollow = (distance <= 13) & ((distance > 6) | (distance < 2))
        write_rtstruct(sample.ct, mask_volume(hollow, GEOMETRY), sample.structure_set, StructureRequest())
        _restamp(sample.structure_set, kind)
        if kind in ENCODED:
            _encode(sample.structure_set, ENCODED[kind])


def _restamp(file: Path, kind: str) -> None:
    """What the clock, chance and the software's version put in becomes the same every time: damage hits by place."""
    dataset = pydicom.dcmread(file)
    instance, series = (pydicom.uid.generate_uid(entropy_srcs=[kind, name]) for name in ("instance", "series"))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = instance
    dataset.SeriesInstanceUID = series
    dataset.SeriesDate = dataset.InstanceCreationDate = dataset.StructureSetDate = "20260102"
    dataset.SeriesTime = dataset.InstanceCreationTime = dataset.StructureSetTime = "030405"
    dataset.SoftwareVersions = dataset.StructureSetROISequence[0].ROIDescription = "1.0"
    save(dataset, file)


def _encode(file: Path, syntax: pydicom.uid.UID) -> None:
    dataset = pydicom.dcmread(file)
    if "PixelData" in dataset and not syntax.is_little_endian:
        dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()  # pydicom writes them as they come
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.walk(lambda item, element: None)  # every value out of the bytes in which it stood
    save(dataset, file)


def samples(folder: Path) -> list[Sample]:
    """What `make_samples` made: each kind's images, and each kind's structure set."""
    kinds = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.endswith(" rs"))
    images = [Sample(kind, tuple(sorted(kind.iterdir()))) for kind in kinds]
    structures = [Sample(one.folder, (one.structure_set,)) for one in images if one.folder.name in STRUCTURED]
    return [*images, *structures * STRUCTURE_SHARE]


# Damage: each takes the bytes and returns others.


def flip_bits(data: bytearray, rng: np.random.Generator) -> bytearray:
    """One to eight bits."""
    for at in rng.integers(0, len(data), rng.integers(1, 9)):
        data[at] ^= 1 << int(rng.integers(8))
    return data


def change_bytes(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A run of up to sixteen bytes becomes noise."""
    at, count = int(rng.integers(len(data))), int(rng.integers(1, 17))
    data[at : at + count] = rng.bytes(len(data[at : at + count]))
    return data


def change_digit(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A digit of a number or identifier becomes another: nothing looks damaged."""
    places = np.flatnonzero(np.isin(np.frombuffer(bytes(data), np.uint8), list(b"0123456789")))
    data[int(rng.choice(places))] = int(rng.choice(list(b"0123456789")))
    return data


def cut_end(data: bytearray, rng: np.random.Generator) -> bytearray:
    """The file ends somewhere."""
    return data[: int(rng.integers(len(data)))]


def cut_out(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A run is missing."""
    at, count = int(rng.integers(len(data))), int(2 ** rng.uniform(0, 10))
    return data[:at] + data[at + count :]


def put_in(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A run of the file stands a second time somewhere else."""
    at, source, count = int(rng.integers(len(data))), int(rng.integers(len(data))), int(2 ** rng.uniform(0, 9))
    return data[:at] + data[source : source + count] + data[at:]


def blank(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A run becomes zeros or ones, as after a failed transfer."""
    at, count = int(rng.integers(len(data))), int(2 ** rng.uniform(0, 11))
    data[at : at + count] = (b"\0" if rng.random() < 0.5 else b"\xff") * len(data[at : at + count])
    return data


def element_head(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Tag, kind or length of an element changes: found by the group numbers that elements begin with."""
    pairs = np.frombuffer(bytes(data), np.uint8)
    heads = np.flatnonzero((pairs[1:] == 0) & np.isin(pairs[:-1], (0x02, 0x08, 0x10, 0x18, 0x20, 0x28, 0x06, 0xFE)))
    at = int(rng.choice(heads)) + int(rng.integers(8))
    if at < len(data):
        data[at] = int(rng.choice((0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, int(rng.integers(256)))))
    return data


DAMAGES = (flip_bits, change_bytes, change_digit, cut_end, cut_out, put_in, blank, element_head)


@dataclass(frozen=True)
class Case:
    """One damaged file: everything follows from the seed and the number."""

    sample: Sample
    file: Path
    damage: str
    content: bytes


def make_case(all_samples: list[Sample], seed: int, number: int) -> Case:
    """Case `number` of a study."""
    rng = np.random.default_rng([seed, number])
    sample = all_samples[number % len(all_samples)]
    file = sample.damaged[int(rng.integers(len(sample.damaged)))]
    damage = DAMAGES[number // len(all_samples) % len(DAMAGES)]
    original = file.read_bytes()
    # The preamble is 128 bytes that nobody reads.
    content = original
    while content == original:
        content = original[:128] + bytes(damage(bytearray(original[128:]), rng))
    return Case(sample, file, damage.__name__, content)


def run_case(case: Case) -> Outcome:
    """Put the damaged file in the place of the good one, read, judge, and put the good one back."""
    original = case.file.read_bytes()
    reading = read_damaged_structures if case.file == case.sample.structure_set else read_damaged_ct
    _ = case.sample.ct, case.sample.structures
    try:
        case.file.write_bytes(case.content)
        return reading(case.sample, case.file)
    finally:
        case.file.write_bytes(original)


def read_damaged_ct(sample: Sample, hit: Path) -> Outcome:
    """What the reader makes of a series in which the file `hit` is damaged."""
    try:
        ct = read_ct([sample.folder])
    except BladderError as error:
        return _leak([error.message]) or Outcome("refused", error.message[:60])
    except Exception as error:  # noqa: BLE001 - whatever else comes out is what is looked for
        return Outcome("crash", repr(error)[:300])
    leak = _leak(finding.sentence for finding in ct.findings)
    return leak or _compare_ct(sample.ct, ct, hit)


def _compare_ct(good: CtSeries, ct: CtSeries, hit: Path) -> Outcome:
    place = {(one.sop_instance_uid, one.frame_number): z for z, one in enumerate(good.slices)}
    for z, one in enumerate(ct.slices):
        known = place.get((one.sop_instance_uid, one.frame_number))
        if one.path != hit and not np.array_equal(ct.volume.array[z], good.volume.array[known]):
            return Outcome("silent", f"the values of {one.path.name} differ, which was not hit")
    differences = [
        *(["geometry"] if not ct.volume.geometry.same_as(good.volume.geometry, SAME_MM) else []),
        *(["slices"] if [one.path.name for one in ct.slices] != [one.path.name for one in good.slices] else []),
        *(["references"] if _references(ct) != _references(good) else []),
    ]
    if set(ct.findings) - set(good.findings):
        return Outcome("told", ct.findings[0].code)
    if differences:
        alone = len({one.path for one in good.slices}) == 1
        return Outcome("believed" if alone else "silent", " and ".join(differences))
    return Outcome("equal")


def _references(ct: CtSeries) -> list[object]:
    return [ct.series_uid, ct.frame_of_reference_uid, str(ct.header.StudyInstanceUID),
            *((one.sop_class_uid, one.sop_instance_uid, one.frame_number) for one in ct.slices)]  # fmt: skip


def read_damaged_structures(sample: Sample, hit: Path) -> Outcome:
    """What reader, checker and rasteriser make of a damaged structure set."""
    try:
        structures = read_structure_set(hit)
        findings = check_rtstruct(hit, sample.ct)
        for roi in structures.rois:
            findings.extend(roi_mask(roi, sample.ct.volume.geometry)[1])
            list(lines(roi))
    except BladderError as error:
        return _leak([error.message]) or Outcome("refused", error.message[:60])
    except Exception as error:  # noqa: BLE001 - whatever else comes out is what is looked for
        return Outcome("crash", repr(error)[:300])
    if findings:
        return _leak(finding.sentence for finding in findings) or Outcome("told", findings[0].code)
    if _drawn(structures) != _drawn(sample.structures):
        return Outcome("silent", "contours or their references differ")
    return Outcome("equal")


def _drawn(structures: StructureSet) -> list[object]:
    """Which structures there are, and on which images they are drawn with how many points."""
    return [
        (roi.number, roi.frame_uid, [(one.geometric_type, one.images, one.points_mm.shape) for one in roi.contours])
        for roi in structures.rois
    ]


def _leak(sentences: Iterable[str]) -> Outcome | None:
    leaking = [sentence for sentence in sentences if PATIENT in sentence]
    return Outcome("leak", leaking[0][:300]) if leaking else None


def main() -> None:
    with tempfile.TemporaryDirectory() as copy:
        # A process that is ended in the middle of a case leaves its damaged file in its own copy alone.
        folder = Path(shutil.copytree(sys.argv[1], Path(copy, "samples")))
        every, seed = samples(folder), int(sys.argv[2])
        for number in range(int(sys.argv[3]), int(sys.argv[4])):
            case = make_case(every, seed, number)
            part = "structure set" if case.file == case.sample.structure_set else "CT image"
            what = f"{part}, {case.sample.folder.name}"
            print(json.dumps({"case": number, "what": what, "begun": case.damage}), flush=True)
            begun = time.monotonic()
            outcome = run_case(case)
            print(json.dumps({
                "case": number, "what": what, "damage": case.damage, "kind": outcome.kind, "detail": outcome.detail,
                "seconds": round(time.monotonic() - begun, 3),
            }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
