"""What the commands say of structure sets, refusals included: no word of the patient in a line, event or file name."""

from pathlib import Path

import pytest
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest
from BladderAutoContourLib.dicom.structure_set import write_rtstruct
from BladderAutoContourLib.imaging.files import write_volume
from scenes import ellipsoid, grid, mask_volume, set_in, write_series

PATIENT = {
    "PatientName": "Zebedaeus^Quirin",
    "PatientID": "MRN-7301-A-NUMBER-LONGER-THAN-THE-SIXTY-FOUR-LETTERS-THAT-DICOM-ALLOWS",
    "PatientBirthDate": "19530413x",  # no date: what judges values must not quote it
    "PatientSex": "Q",
    "AccessionNumber": "ACC558812345678901",
    "StudyDescription": "Zystektomie",
    "StudyID": "case 91826 of Dr Meissner",
    "ReferringPhysicianName": "Meissner^Ottilie",
    "PatientComments": "Korsakow",
    "StudyDate": "18990101",
}
WORDS = ("zebedaeus", "quirin", "mrn-7301", "19530413", "acc5588", "zystektomie", "91826", "meissner", "korsakow",
         "18990101")  # fmt: skip


@pytest.fixture
def places(tmp_path) -> dict[str, Path]:
    """The patient's CT, a mask, a structure set, and a CT of somebody else."""
    geometry = grid((40, 36, 8))
    mask = ellipsoid(geometry, (14, 12, 9))
    for name in ("ct", "other"):
        for file in write_series(tmp_path / name, geometry, seed=name):
            set_in(file, **PATIENT)
            if name == "other":
                set_in(file, PatientName="Zebedaeus^Other", PatientID="MRN-7301-B")
    write_volume(mask_volume(mask, geometry), tmp_path / "mask.nrrd")
    write_volume(mask_volume(mask[:, ::-1, :-2], grid((38, 36, 8))), tmp_path / "another grid.nrrd")
    ct = read_ct([tmp_path / "ct"])
    write_rtstruct(ct, mask_volume(mask, ct.volume.geometry), tmp_path / "rs.dcm", StructureRequest(roi_name="Old"))
    return {file.name: file for file in tmp_path.iterdir()}


def test_nothing_about_the_patient_is_said(program, places, tmp_path):
    out = tmp_path / "out"
    ct, other, mask, rs = (places[name] for name in ("ct", "other", "mask.nrrd", "rs.dcm"))
    damaged = places["rs.dcm"].with_name("damaged.dcm")
    damaged.write_bytes(rs.read_bytes()[: rs.stat().st_size // 2])
    runs = {
        ("rtstruct", "--ct", ct, "--mask", mask, "--output", out / "merged.dcm", "--merge", rs): 0,
        ("rtstruct", "--ct", other, "--mask", mask, "--output", out / "no.dcm", "--merge", rs): 3,
        ("rtstruct", "--ct", ct, "--mask", places["another grid.nrrd"], "--output", out / "no.dcm"): 3,
        ("check-rtstruct", rs, "--ct", other): 1,
        ("check-rtstruct", damaged, "--ct", ct): 3,
        ("contours", "--rtstruct", rs, "--roi", "Old", "--output", out / "old.txt"): 0,
        ("contours", "--rtstruct", rs, "--roi", "Bladder", "--output", out / "no.txt"): 3,
    }
    for arguments, code in runs.items():
        done = program(*arguments)
        assert done.code == code, (arguments, done.stdout, done.stderr)
        said = (done.stdout + done.stderr).casefold()
        assert said.strip(), arguments
        assert not [word for word in WORDS if word in said], (arguments, said)
    assert sorted(file.name for file in out.iterdir()) == ["merged.dcm", "old.txt"]
    text = (out / "old.txt").read_text(encoding="utf-8").casefold()
    assert not [word for word in WORDS if word in text]
