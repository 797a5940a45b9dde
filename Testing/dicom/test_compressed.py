"""CT images in the transfer syntaxes that archives hand out, compressed by other programs."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest
from BladderAutoContourLib.dicom.structure_set import write_rtstruct
from BladderAutoContourLib.errors import InputError, OutputError
from BladderAutoContourLib.imaging.volume import Volume
from scenes import SHAPES, grid, mask_volume, offsets_mm, set_in, texture, write_series

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


LOSSY = {
    "JPEG, 8 bits": (["dcmcjpeg", "+eb"], "1.2.840.10008.1.2.4.50", 40),
    "JPEG, 12 bits": (["dcmcjpeg", "+ee"], "1.2.840.10008.1.2.4.51", 8),
    "JPEG, spectral selection": (["dcmcjpeg", "+es"], "1.2.840.10008.1.2.4.53", 8),
    "JPEG, progressive": (["dcmcjpeg", "+ep"], "1.2.840.10008.1.2.4.55", 8),
    "JPEG-LS near-lossless": (["dcmcjpls", "+en"], "1.2.840.10008.1.2.4.81", 2),
    "JPEG 2000": (["gdcmconv", "--j2k", "--lossy", "-r", "8"], "1.2.840.10008.1.2.4.91", 8),
}
"""Command, syntax, and how many HU a smooth image changes at most."""


@pytest.fixture
def compressed(tmp_path, judge):
    """The folder of a series' images compressed by an outside program, and the syntax they then have."""

    def compress(command: list[str], files: list[Path]) -> tuple[Path, str]:
        folder = tmp_path / "compressed"
        folder.mkdir()
        for file in files:
            subprocess.run([judge(command[0]), *command[1:], str(file), str(folder / file.name)], check=True)
        return folder, pydicom.dcmread(folder / files[0].name).file_meta.TransferSyntaxUID

    return compress


def test_no_room_to_unpack_is_no_damaged_ct(tmp_path, compressed, monkeypatch):
    folder, _ = compressed(SYNTAXES["JPEG lossless"][0], write_series(tmp_path / "plain", grid((32, 24, 5))))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match=r"unpacked image by image, takes no file.*Make room"):
        read_ct([folder])


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_how_values_are_shown_says_nothing_of_what_they_are(tmp_path, compressed, syntax):
    """MONOCHROME1 is shown dark for bright (PS3.3 C.7.6.3.1.2); its Hounsfield units are as they stand."""
    volume = texture(grid((32, 24, 5)))
    files = write_series(tmp_path / "plain", volume.geometry)
    for file in files:
        set_in(file, PhotometricInterpretation="MONOCHROME1")
    folder, _given = compressed(SYNTAXES[syntax][0], files)
    assert np.array_equal(read_ct([folder]).volume.array, volume.array)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pixels_and_references_are_the_same(tmp_path, compressed, syntax):
    command, uid = SYNTAXES[syntax]
    volume = texture(grid((32, 24, 5)))
    folder, given = compressed(command, write_series(tmp_path / "plain", volume.geometry))
    assert given == uid
    ct = read_ct([folder])
    assert ct.findings == ()
    assert np.array_equal(ct.volume.array, volume.array)
    assert ct.volume.geometry.same_as(volume.geometry, 1e-3)
    mask = mask_volume(SHAPES["small ball"](volume.geometry), ct.volume.geometry)
    assert write_rtstruct(ct, mask, tmp_path / "rs.dcm", StructureRequest()).agreement == 1.0


@pytest.mark.parametrize("syntax", [name for name in SYNTAXES if name not in ("JPEG-LS", "JPEG 2000")])
@pytest.mark.parametrize("signed", [0, 1])
def test_bits_beside_the_stored_ones_are_no_part_of_a_value(tmp_path, compressed, signed, syntax):
    """As old scanners kept overlays there. The sign is in the highest of the stored bits (PS3.5 8.1.1)."""
    stored = np.random.default_rng(2).integers(-1000 * signed, 2000, (5, 24, 32))
    overlay = np.random.default_rng(3).integers(0, 16, stored.shape) << 12
    files = write_series(tmp_path / "plain", grid((32, 24, 5)))
    for file, values in zip(files, (stored & 0xFFF) | overlay, strict=True):
        pixels = {"PixelRepresentation": signed, "BitsStored": 12, "HighBit": 11, "RescaleIntercept": 0}
        set_in(file, **pixels, PixelData=values.astype("<u2").tobytes())
    folder, _given = compressed(SYNTAXES[syntax][0], files)
    np.testing.assert_array_equal(read_ct([folder]).volume.array, stored)


@pytest.fixture
def smooth(tmp_path) -> tuple[Volume, list[Path]]:
    """A volume that lossy compression changes little, and its files."""
    geometry = grid((40, 32, 4))
    hu = 1000 - 40 * np.linalg.norm(offsets_mm(geometry), axis=-1)
    volume = Volume(np.clip(hu, -1000, None).astype(np.int16), geometry)
    return volume, write_ct_series(volume, tmp_path / "plain")


@pytest.mark.parametrize("syntax", LOSSY)
def test_lossy_images_are_read_and_called_lossy(smooth, compressed, syntax):
    command, uid, largest_hu = LOSSY[syntax]
    volume, files = smooth
    folder, given = compressed(command, files)
    assert given == uid
    ct = read_ct([folder])
    off = np.abs(np.subtract(ct.volume.array, volume.array, dtype=float)).max()
    assert 0 < off <= largest_hu
    (finding,) = ct.findings
    assert (finding.code, finding.severity, len(finding.files)) == ("lossy", "warning", len(files))
    assert "4 images were compressed with loss" in finding.sentence


@pytest.mark.parametrize(("said", "codes"), [("01", ["lossy"]), ("00", []), (None, [])])
def test_the_loss_outlasts_decompression(smooth, said, codes):
    _, files = smooth
    for file in files:
        if said is not None:
            set_in(file, LossyImageCompression=said)
    assert [finding.code for finding in read_ct(files).findings] == codes


def test_jpeg_2000_may_be_without_loss(smooth, compressed):
    folder, _ = compressed(["gdcmconv", "--j2k", "--lossy", "-r", "8"], smooth[1])
    for file in folder.iterdir():
        set_in(file, LossyImageCompression="00")
    assert read_ct([folder]).findings == ()


def test_lossy_jpeg_of_16_bits_is_refused(smooth, compressed):
    """There is no such thing; GDCM writes it, and reads values out of it that are 32768 off."""
    folder, _ = compressed(["gdcmconv", "--jpeg", "--lossy"], smooth[1])
    with pytest.raises(InputError, match=r"pixels of ct_0001.dcm cannot be read \(JPEG Extended"):
        read_ct([folder])
