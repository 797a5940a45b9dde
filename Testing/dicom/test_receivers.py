"""Programs that receive structure sets in earnest: two archives by C-STORE, and a second reader of contours."""

import numpy as np
import pydicom
import pytest
import SimpleITK
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest
from BladderAutoContourLib.dicom.structure_set import write_rtstruct
from dicom_nodes import c_store, running_orthanc, running_storescp
from other_programs import dcmrtstruct2nii_masks, on_grid_of
from scenes import DIRECTIONS, SHAPES, grid, mask_volume, write_series


def test_dcmtks_storescp_takes_it(judge, series, structure_set, tmp_path):
    received = tmp_path / "received"
    received.mkdir()
    sender = judge("storescu")
    with running_storescp(judge("storescp"), received) as port:
        c_store(sender, port, [*series.files, structure_set])
    stored = [pydicom.dcmread(file) for file in received.iterdir()]
    assert len(stored) == len(series.files) + 1
    (ours,) = [dataset for dataset in stored if dataset.Modality == "RTSTRUCT"]
    assert ours == pydicom.dcmread(structure_set)


def test_orthanc_shows_it_in_the_study_of_its_ct(judge, series, structure_set, tmp_path):
    sender = judge("storescu")
    with running_orthanc(judge("Orthanc"), tmp_path) as node:
        c_store(sender, node.dicom_port, [*series.files, structure_set], node.title)
        (study,) = node.ask("/studies?expand")
        assert study["MainDicomTags"]["StudyInstanceUID"] == pydicom.dcmread(series.files[0]).StudyInstanceUID
        held = [node.ask(f"/series/{one}") for one in study["Series"]]
        counts = {one["MainDicomTags"]["Modality"]: len(one["Instances"]) for one in held}
        assert counts == {"CT": len(series.files), "RTSTRUCT": 1}
        (ours,) = [one for one in held if one["MainDicomTags"]["Modality"] == "RTSTRUCT"]
        assert node.ask(f"/instances/{ours['Instances'][0]}/simplified-tags")["StructureSetLabel"] == "BladderAuto"


@pytest.mark.parametrize("shape", ["shell", "scattered"])
@pytest.mark.parametrize("direction", ["axial", "oblique"])
def test_dcmrtstruct2nii_reads_the_mask_back(readers, tmp_path, direction, shape):
    geometry = grid(direction=DIRECTIONS[direction])
    files = write_series(tmp_path / "ct", geometry)
    ct = read_ct([tmp_path / "ct"])
    mask = SHAPES[shape](geometry)
    path = tmp_path / "RTSTRUCT.dcm"
    write_rtstruct(ct, mask_volume(mask, ct.volume.geometry), path, StructureRequest())
    image = SimpleITK.ReadImage([str(file) for file in files])
    read = on_grid_of(dcmrtstruct2nii_masks(readers, path, tmp_path / "ct", tmp_path / "read")["Bladder"], image)
    assert np.array_equal(read, mask)
