"""Whatever is wrong with the files: nothing about the patient in a line that is printed or in a name of a file."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from BladderAutoContourLib.dicom.ct_series import read_ct, survey
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.imaging.files import write_volume
from scenes import SHAPES, edit, grid, mask_volume, set_in, texture, write_series

TOLD = {
    "PatientName": "Mustermann^Erika",
    "PatientID": "PAT-4711",
    "PatientBirthDate": "19440817",
    "PatientAge": "076Y",
    "OtherPatientIDs": "ALIAS-99",
    "PatientAddress": "Heidestrasse 17",
    "AccessionNumber": "ACC-8844",
    "ReferringPhysicianName": "Quacksalber^Otto",
    "InstitutionName": "St Ethelred",
    "PatientComments": "Hat Durst",
}
"""Each value stands nowhere else."""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A series of a patient who is told apart; the values are also longer, and of other letters, than is allowed."""
    written = write_series(tmp_path / "ct")
    for file in written:
        set_in(file, **TOLD, StudyDescription=f"Becken von {TOLD['PatientName']} " * 5)
        edit(file, lambda dataset: dataset.add_new("PatientSex", "CS", TOLD["PatientName"]))
        edit(file, lambda dataset: dataset.add_new("StudyID", "SH", TOLD["PatientID"] * 9))
        edit(file, lambda dataset: dataset.add_new("ContentDate", "DA", TOLD["PatientBirthDate"] + "Erika"))
    return written


def assert_silent(*texts: object) -> None:
    words = [word for value in TOLD.values() for word in value.split("^")]
    for text in map(str, texts):
        assert [word for word in words if word in text] == []


def beside(files: list[Path]) -> None:
    """Other files of the patient: of another kind, another language, another patient, cut off."""
    other = pydicom.dcmread(files[0])
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
    other.Modality = TOLD["PatientName"]
    other.save_as(files[0].with_name("pet.dcm"))
    files[0].with_name("cut.dcm").write_bytes(files[4].read_bytes()[:900])
    edit(files[3], lambda dataset: dataset.add_new("SpecificCharacterSet", "CS", TOLD["PatientName"]))
    edit(files[7], lambda dataset: setattr(dataset, "PatientName", "Quacksalber^Otto"))
    edit(files[9], lambda dataset: setattr(dataset, "PatientSex", "M"))


def test_commands_and_their_files(program, files, tmp_path):
    beside(files)
    geometry = grid()
    write_volume(mask_volume(SHAPES["small ball"](geometry), geometry), tmp_path / "mask.nrrd")
    folder, structures = files[0].parent, tmp_path / "out" / "rs.dcm"
    runs = [
        program("inspect", folder),
        program("rtstruct", "--ct", folder, "--mask", tmp_path / "mask.nrrd", "--output", structures),
        program("check-rtstruct", structures, "--ct", folder),
        program("masks", "--ct", folder, "--rtstruct", structures, "--output", tmp_path / "out" / "masks"),
    ]
    assert [run.code for run in runs] == [1, 0, 1, 0], [run.stderr for run in runs]
    for run in runs:
        assert_silent(run.stdout, run.stderr)
    assert {"mixed-patient", "damaged", "other-object"} <= {line.split(": ")[1] for line in runs[0].lines[1:]}
    assert pydicom.dcmread(structures).PatientID == TOLD["PatientID"]
    made = [path for path in tmp_path.rglob("*") if path not in files]
    assert len(made) > 5
    assert_silent(*(path.relative_to(tmp_path) for path in made))


@pytest.mark.parametrize("keyword", ["PatientName", "PatientID", "InstitutionName"])
def test_refusals(files, keyword, capfd):
    """Where an identifier, a position or the pixels' kind is overwritten by something about the patient."""
    for attribute in ("SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "ImageType"):
        edit(files[2], lambda dataset, at=attribute: setattr(dataset, at, TOLD[keyword]))
    with pytest.raises(InputError) as caught:
        read_ct([files[0].parent])
    assert_silent(caught.value.message, *caught.value.files)
    summaries, findings = survey([files[0].parent])
    assert_silent(*summaries, *findings, *(finding for summary in summaries for finding in summary.findings))
    for file in files:
        edit(file, lambda dataset: setattr(dataset, "SeriesInstanceUID", TOLD[keyword]))
    with pytest.raises(InputError) as caught:
        read_ct([files[0].parent], "1.2.3")
    assert_silent(caught.value.message, *capfd.readouterr())


def test_a_reader_keeps_no_patient_but_in_the_header(files):
    ct = read_ct([files[0].parent])
    assert_silent(ct.slices, ct.findings, ct.volume.geometry, ct.series_uid)
    assert ct.header.PatientID == TOLD["PatientID"]
    assert np.array_equal(ct.volume.array, texture(grid()).array)
