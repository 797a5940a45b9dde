"""Cases as a planning system exports them: one folder a patient, slices and structure set under any names."""

from pathlib import Path

import numpy as np
import pytest
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.dicom.structure_set import StructureRequest, write_rtstruct
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.evaluation.cases import find_cases, read_case
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume


def export(folder: Path, slices: str, name: str = "RS.1.2.3.dcm") -> np.ndarray:
    """A patient's folder, the slices in its sub-folder `slices`; returns the bladder's mask (z, y, x)."""
    geometry = Geometry((40, 36, 12), (2.0, 2.0, 3.0), (0.0, 0.0, 0.0))
    hu = np.full(geometry.shape, -100, np.int16)
    mask = np.zeros(geometry.shape, np.uint8)
    mask[3:9, 10:24, 12:28] = 1
    write_ct_series(Volume(hu, geometry), folder / slices)
    write_rtstruct(read_ct([folder / slices]), Volume(mask, geometry), folder / name, StructureRequest())
    return mask > 0


@pytest.mark.parametrize("slices", [".", "CT", "Serie 1/Bilder"])
def test_a_folder_with_slices_and_a_structure_set_is_a_case(slices, tmp_path):
    bladder = export(tmp_path / "Müller", slices)
    (tmp_path / "Müller" / "readme.txt").write_text("exported")
    (case,) = find_cases(tmp_path)
    assert case.name == "Müller"
    known = read_case(case, "Bladder")
    assert np.array_equal(known.bladder, bladder)


def test_of_two_structure_sets_none_is_guessed(tmp_path):
    export(tmp_path / "one", "CT")
    (tmp_path / "one" / "RS.old.dcm").write_bytes((tmp_path / "one" / "RS.1.2.3.dcm").read_bytes())
    with pytest.raises(InputError, match=r"RS\.1\.2\.3\.dcm, RS\.old\.dcm"):
        find_cases(tmp_path)


def test_slices_without_a_structure_set_are_no_case(tmp_path):
    export(tmp_path / "one", ".")
    (tmp_path / "one" / "RS.1.2.3.dcm").unlink()
    with pytest.raises(InputError, match="no case"):
        find_cases(tmp_path)
