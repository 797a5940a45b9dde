"""Contours that `masks` and `contours` cannot give, or not for sure: nobody loses one without a word."""

import pydicom
from BladderAutoContourLib.commands import contours as contours_command
from BladderAutoContourLib.dicom.structure_reader import read_structure_set
from scenes import edit
from structure_edits import second_roi


def test_what_has_no_closed_contour_is_told(program, series, structure_set, tmp_path):
    """A template's structure, or one whose contours another number refers to."""
    edit(structure_set, lambda dataset: setattr(dataset.ROIContourSequence[0], "ReferencedROINumber", 9))
    done = program("masks", "--ct", series.folder, "--rtstruct", structure_set, "--output", tmp_path / "masks")
    assert done.code == 0, done.stderr
    assert "WARNING: Structure 'Bladder' has no closed contour: its mask is empty." in done.stdout
    done = program("contours", "--rtstruct", structure_set, "--roi", "Bladder", "--output", tmp_path / "text.txt")
    assert (done.code, "has no closed contour" in done.stderr) == (3, True)
    assert not (tmp_path / "text.txt").exists()


def test_contours_that_are_left_out_of_the_text_are_told(program, structure_set, tmp_path):
    def open_one(dataset: pydicom.Dataset) -> None:
        dataset.ROIContourSequence[0].ContourSequence[2].ContourGeometricType = "OPEN_PLANAR"

    edit(structure_set, open_one)
    done = program("contours", "--rtstruct", structure_set, "--roi", "Bladder", "--output", tmp_path / "text.txt")
    assert done.code == 0, done.stderr
    assert "WARNING: 1 contours of 'Bladder' left out" in done.stdout


def test_contours_of_one_number_for_two_structures_are_nobodys(program, series, structure_set, tmp_path):
    edit(structure_set, lambda dataset: second_roi(dataset, ROINumber=1))
    for command in (("masks", "--ct", series.folder), ("contours", "--roi", "Bladder")):
        done = program(*command, "--rtstruct", structure_set, "--output", tmp_path / "out")
        assert (done.code, "to several structures, 'Bladder' and 'Other'" in done.stderr) == (3, True), done.stderr


def test_contours_that_all_refer_to_one_image_are_slices_all_the_same(structure_set):
    """As of an enhanced CT without frame numbers: rings of different planes do not lie in each other."""

    def one_image(dataset: pydicom.Dataset) -> None:
        for contour in dataset.ROIContourSequence[0].ContourSequence:
            contour.ContourImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"

    before = list(contours_command.lines(read_structure_set(structure_set).rois[0]))
    edit(structure_set, one_image)
    after = list(contours_command.lines(read_structure_set(structure_set).rois[0]))
    assert [line for line in after if "image" not in line] == [line for line in before if "image" not in line]
    assert sum("image" in line for line in after) == sum("image" in line for line in before) > 3


def test_what_a_file_calls_itself_is_not_printed(program, series, tmp_path):
    named = tmp_path / "pet.dcm"
    dataset = pydicom.dcmread(series.files[0])
    dataset.Modality = "Mustermann^Erika"
    dataset.save_as(named)
    done = program("check-rtstruct", named)
    assert done.code == 3
    assert "is no RT Structure Set, but CT Image Storage." in done.stderr
    assert "Mustermann" not in done.stdout + done.stderr
