"""CT images in the transfer syntaxes that archives hand out, compressed by other programs."""

import subprocess

import numpy as np
import pydicom
import pytest
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest
from BladderAutoContourLib.dicom.structure_set import write_rtstruct
from scenes import SHAPES, grid, mask_volume, texture, write_series

SYNTAXES = {
    "explicit": (["dcmconv", "+te"], "1.2.840.10008.1.2.1"),
    "big endian": (["dcmconv", "+tb"], "1.2.840.10008.1.2.2"),
    "deflated": (["dcmconv", "+td"], "1.2.840.10008.1.2.1.99"),
    "RLE": (["dcmcrle"], "1.2.840.10008.1.2.5"),
    "JPEG lossless": (["dcmcjpeg", "+e1"], "1.2.840.10008.1.2.4.70"),
    "JPEG lossless, any predictor": (["dcmcjpeg", "+el"], "1.2.840.10008.1.2.4.57"),
    "JPEG-LS": (["gdcmconv", "--jpegls"], "1.2.840.10008.1.2.4.80"),
    "JPEG 2000": (["gdcmconv", "--j2k"], "1.2.840.10008.1.2.4.90"),
}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pixels_and_references_are_the_same(tmp_path, judge, syntax):
    command, uid = SYNTAXES[syntax]
    volume = texture(grid((32, 24, 5)))
    files = write_series(tmp_path / "plain", volume.geometry)
    folder = tmp_path / "compressed"
    folder.mkdir()
    for file in files:
        subprocess.run([judge(command[0]), *command[1:], str(file), str(folder / file.name)], check=True)
    assert pydicom.dcmread(folder / files[0].name).file_meta.TransferSyntaxUID == uid
    ct = read_ct([folder])
    assert np.array_equal(ct.volume.array, volume.array)
    assert ct.volume.geometry.same_as(volume.geometry, 1e-3)
    mask = mask_volume(SHAPES["small ball"](volume.geometry), ct.volume.geometry)
    assert write_rtstruct(ct, mask, tmp_path / "rs.dcm", StructureRequest()).agreement == 1.0
