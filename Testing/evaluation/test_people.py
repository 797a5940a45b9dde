"""Who a case shows: the same person under several folders, studies and numbers; what weights keep of those shown."""

import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.dicom.structure_set import StructureRequest, write_rtstruct
from BladderAutoContourLib.evaluation.cases import find_cases
from BladderAutoContourLib.evaluation.people import identities, people, recognised, sealed
from BladderAutoContourLib.imaging.files import write_volume
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume
from links import link

GEOMETRY = Geometry((20, 18, 6), (4.0, 4.0, 5.0), (0.0, 0.0, 0.0))
HU = np.full(GEOMETRY.shape, -100, np.int16)
MASK = np.zeros(GEOMETRY.shape, np.uint8)
MASK[2:4, 5:12, 6:14] = 1


def patient(folder: Path, seed: int, patient_id: str | None = None, slices: str = "ct") -> None:
    write_ct_series(Volume(HU, GEOMETRY), folder / slices, seed=seed, patient_id=patient_id)
    if patient_id == "":
        for path in (folder / slices).iterdir():
            dataset = pydicom.dcmread(path)
            dataset.PatientID = ""
            dataset.save_as(path)
    series = read_ct([folder / slices])
    write_rtstruct(series, Volume(MASK, GEOMETRY), folder / "RTSTRUCT.dcm", StructureRequest())


def names(folder: Path) -> list[list[str]]:
    """The folders of each person."""
    return [[case.name for case in person.cases] for person in people(find_cases(folder))]


def test_one_patient_id_is_one_person(tmp_path):
    patient(tmp_path / "a", 1, "0815")
    patient(tmp_path / "b", 2, "4711")
    patient(tmp_path / "c", 3, "0815", slices=".")
    assert names(tmp_path) == [["a", "c"], ["b"]]


def test_a_linked_series_shows_whom_it_shows(tmp_path):
    """The slices lie in an archive, and the case's folder leads there."""
    for seed, name in enumerate("ab"):
        patient(tmp_path / "archive" / name, seed, "0815")
        folder = tmp_path / "cases" / name
        (folder / "ct").mkdir(parents=True)
        link(folder / "ct" / "series", tmp_path / "archive" / name / "ct", to_folder=True)
        write_volume(Volume(MASK, GEOMETRY), folder / "bladder.nrrd")
    assert names(tmp_path / "cases") == [["a", "b"]]


def test_an_empty_patient_id_is_nobodys(tmp_path):
    for number, name in enumerate("abc"):
        patient(tmp_path / name, number, "")
    assert names(tmp_path) == [["a"], ["b"], ["c"]]
    shutil.copytree(tmp_path / "b", tmp_path / "d")
    assert names(tmp_path) == [["a"], ["b", "d"], ["c"]]


def test_who_shares_one_thing_with_each_of_two_joins_them(tmp_path):
    """Study and series with the one, the number with the other."""
    patient(tmp_path / "a", 1, "old")
    patient(tmp_path / "b", 2, "new")
    patient(tmp_path / "c", 1, "new")
    assert names(tmp_path) == [["a", "b", "c"]]


def test_a_volume_file_is_known_by_its_bytes(tmp_path):
    for name, value in (("a", 0), ("b", 1), ("c", 0)):
        (tmp_path / name).mkdir()
        write_volume(Volume(HU + np.int16(value), GEOMETRY), tmp_path / name / "ct.nrrd")
        write_volume(Volume(MASK, GEOMETRY), tmp_path / name / "bladder.nrrd")
    assert names(tmp_path) == [["a", "c"], ["b"]]


def test_a_volume_files_patient_is_known_by_the_structure_set_beside_it(tmp_path):
    for seed, (name, number) in enumerate((("a", "0815"), ("b", "4711"), ("c", "0815"))):
        patient(tmp_path / name, seed, number)
        if name != "c":
            write_volume(Volume(HU + np.int16(seed), GEOMETRY), tmp_path / name / "ct.nrrd")
            shutil.rmtree(tmp_path / name / "ct")
    assert names(tmp_path) == [["a", "c"], ["b"]]


@pytest.mark.parametrize("change", ["PatientID", "StudyInstanceUID"])
def test_weights_recognise_whom_they_were_shown_and_name_nobody(tmp_path, change):
    for number, name in enumerate("abc"):
        patient(tmp_path / name, number, f"number {number}")
    shown, again, stranger = (identities(case) for case in find_cases(tmp_path))
    seal = sealed(shown | again)
    assert sealed(again | shown) == seal != sealed(shown)
    text = json.dumps(seal)
    assert not any(one.partition(" ")[2] in text for one in shown | again)
    record = {"seed": 1, "shown": seal, "start_from": {"training": {"seed": 2}}}
    later = {"start_from": {"name": "own", "training": record}}
    part = {one for one in shown if one.startswith(change)}
    assert len(part) == 1
    for training in (record, later):
        assert recognised(part, training)
        assert not recognised(stranger, training)
    assert not recognised(shown, {"seed": 1, "start_from": {"training": {"stages": []}}})
