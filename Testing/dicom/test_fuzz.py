"""Damaged files are refused, told of, or read as they were: never a crash, a hang, or another patient's geometry.

Ten thousand of them stand in Testing/Benchmarks/fuzz.py; here, each kind of damage meets each kind of file.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from BladderAutoContourLib.dicom.codestream import Declared, declared
from BladderAutoContourLib.dicom.pydicom_versions import save
from fuzz_watch import study
from fuzzing import (
    DAMAGES,
    GOOD,
    STRUCTURED,
    Outcome,
    Sample,
    make_samples,
    read_damaged_ct,
    read_damaged_structures,
    run_case,
    samples,
)
from fuzzing import Case as DamagedFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.uid import RLELossless


def rle(source: Path, target: Path) -> None:
    dataset = pydicom.dcmread(source)
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(target)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Undamaged series and structure sets, for the tests to damage."""
    path = tmp_path_factory.mktemp("samples")
    make_samples(path, {"RLE": rle})
    return path


def test_undamaged_files_are_read_as_they_are(folder):
    for sample in samples(folder):
        assert read_damaged_ct(sample, sample.folder) == Outcome("equal")
        assert read_damaged_structures(sample, sample.structure_set) == Outcome("equal")


def test_the_samples_are_the_same_bytes_every_time(tmp_path):
    made = []
    for name in ("one", "other"):
        make_samples(tmp_path / name, {})
        files = sorted(file for file in (tmp_path / name).rglob("*") if file.is_file())
        made.append({file.relative_to(tmp_path / name): file.read_bytes() for file in files})
    assert made[0] == made[1]


def test_every_damage_to_every_kind_of_file(folder):
    outcomes = list(study(folder, 3, 0, len(DAMAGES) * len(samples(folder))))
    assert [one for one in outcomes if one["kind"] not in GOOD] == []
    assert {one["damage"] for one in outcomes} == {damage.__name__ for damage in DAMAGES}
    assert len({one["what"] for one in outcomes}) == 6 + len(STRUCTURED)
    counted = Counter(one["kind"] for one in outcomes)
    assert min(counted[kind] for kind in ("refused", "told", "equal")) > 10, counted


# By structure: an element's value becomes other bytes, and the file is well formed around it.

BYTES = st.one_of(
    st.sampled_from(
        [b"", b"\0\0", b"abc ", b"nan ", b"inf", b"-1e400", b"1\\2", b"1\\2\\3", b"0\\0\\0\\0\\0\\0", b"\\" * 40,
         b"9" * 40, b"\xff\xff", b"1.2.3", b"PHANTOM^SEED0000", b"\x1b$B", b"LOCALIZER\\CT", b"\xe4\xf6 "]
    ),
    st.binary(max_size=24).map(lambda value: value + b"\0" * (len(value) % 2)),
    st.floats().map(lambda value: f"{value:.9g}".encode()),
    st.lists(st.floats(-1e4, 1e4), max_size=7).map(lambda values: "\\".join(f"{one:.6g}" for one in values).encode()),
)  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """Element `place` (counted through the file, items included) gets `value`, or is removed where that is None."""

    place: float
    value: bytes | None


EDITS = st.lists(st.builds(Edit, st.floats(0, 1, exclude_max=True), st.none() | BYTES), min_size=1, max_size=3)


def elements(dataset: pydicom.Dataset) -> Iterator[tuple[pydicom.Dataset, pydicom.tag.BaseTag]]:
    for tag in list(dataset.keys()):
        yield dataset, tag
        if isinstance(tag, pydicom.tag.BaseTag) and pydicom.datadict.dictionary_VR(tag) == "SQ":
            for item in dataset[tag].value:
                yield from elements(item)


def edited(file: Path, edits: list[Edit], target: Path) -> bytes:
    dataset = pydicom.dcmread(file)
    every = list(elements(dataset))
    for edit in edits:
        owner, tag = every[int(edit.place * len(every))]
        if edit.value is None:
            owner.pop(tag, None)
        else:
            value = edit.value + b" " * (len(edit.value) % 2)
            owner[tag] = RawDataElement(tag, None, len(value), value, 0, True, True)
    save(dataset, target)
    return target.read_bytes()


@pytest.mark.parametrize("part", ["images", "enhanced images", "structure sets"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS, place=st.integers(0, 5))
def test_odd_values(folder, tmp_path, part, edits, place):
    sample = Sample(folder / ("enhanced" if part == "enhanced images" else "implicit"), ())
    files = sorted(sample.folder.iterdir())
    file = sample.structure_set if part == "structure sets" else files[place % len(files)]
    case = DamagedFile(sample, file, "odd values", edited(file, edits, tmp_path / "edited.dcm"))
    assert run_case(case).kind in GOOD


@pytest.mark.parametrize(
    ("codestream", "size"),
    [
        (b"\xff\xd8\xff\xe0\0\4AB\xff\xff\xc3\0\x0b\x10\0\x08\0\x09\1\1\x11\0", Declared(8, 9, 1)),
        (b"\xff\xd8\xff\xf7\0\x0b\x10\2\0\1\0\1\1\x11\0", Declared(512, 256, 1)),
        (
            b"\xff\x4f\xff\x51\0\x29\0\0" + b"".join(n.to_bytes(4, "big") for n in (9, 8, 0, 0, 9, 8, 0, 0)) + b"\0\1",
            Declared(8, 9, 1),
        ),
    ],
)
def test_codestreams_tell_their_size(codestream, size):
    assert declared(codestream) == size


@pytest.mark.parametrize(
    "codestream", [b"", b"\xff\xd8", b"\xff\xd8" + b"\0" * 40, b"\0" * 40, b"\xff\x4f\xff\x51\0\x29"]
)
def test_codestreams_without_a_size(codestream):
    with pytest.raises(ValueError, match=r"marker|frame header|codestream|tiles"):
        declared(codestream)
