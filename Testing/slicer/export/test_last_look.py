"""What a clinician sees before an export, and what is refused then and there."""

import numpy as np
import pytest
import slicer
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.errors import InputError, OutputError, UsageError
from BladderAutoContourLib.slicer.export.destinations import ToFolder
from BladderAutoContourLib.slicer.export.structure_set import (
    NotFromDicomError,
    StructureNames,
    date,
    last_look,
    person_name,
    save_segmentation,
)
from BladderAutoContourLib.slicer.scene.bond import tie
from BladderAutoContourLib.slicer.scene.segmentation import begin_by_hand, show_result
from ct_scene import Editor, add_ct, blob, drawn, grid, load_dicom, texture
from exporting import PATIENT_ID, Ear, contour_from_dicom, voxels

NAMES = StructureNames()


def test_last_look(contour, work):
    look = last_look(contour, work, unopened=("The bladder is cut by the end of the scan.",))
    assert (look.patient_name, look.patient_id) == ("Müller, Jürgen = 山田, 太郎", PATIENT_ID)
    assert look.ct_date == "2020-01-01"
    assert look.contour == "Bladder"
    assert look.volume_ml == pytest.approx(np.count_nonzero(voxels(contour)) * 1.2 * 1.1 * 3.0 / 1000)
    assert (look.names.roi_name, look.names.label, look.generation) == ("Bladder", "BladderAuto", "AUTOMATIC")
    assert look.unopened == ("The bladder is cut by the end of the scan.",)
    assert list(work.iterdir()) == []


def test_what_a_ct_does_not_tell_is_said_so(scene, tmp_path, work):
    header = dict.fromkeys(("PatientName", "PatientID", "AcquisitionDate", "SeriesDate"), "")
    contour, _files = contour_from_dicom(tmp_path, header={**header, "StudyDate": "20191231"})
    look = last_look(contour, work)
    assert (look.patient_name, look.patient_id, look.ct_date) == ("not given", "not given", "2019-12-31")


def test_a_ct_from_no_dicom_is_refused_with_what_can_be_done(scene, export, tmp_path, work, target):
    geometry = grid()
    contour = show_result(add_ct(texture(geometry)), drawn(blob(geometry), geometry, tmp_path / "result"))
    for refused in (
        lambda: last_look(contour, work),
        lambda: export.write(contour, NAMES, ToFolder(target), Ear()),
    ):
        with pytest.raises(NotFromDicomError, match=r"not loaded from DICOM.*\.seg\.nrrd"):
            refused()
    assert list(target.iterdir()) == list(work.iterdir()) == []

    file = tmp_path / "Bladder ü.seg.nrrd"
    save_segmentation(contour, file)
    expected = voxels(contour)
    loaded = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    loaded.AddDefaultStorageNode()
    loaded.GetStorageNode().SetFileName(str(file))
    assert loaded.GetStorageNode().ReadData(loaded)
    segment_id = loaded.GetSegmentation().GetNthSegmentID(0)
    again = slicer.util.arrayFromSegmentBinaryLabelmap(loaded, segment_id, contour.volume) > 0
    assert np.array_equal(again, expected)


def test_a_segmentation_is_saved_whole_or_not_at_all(contour, tmp_path, full_disk):
    file = full_disk / "Bladder ü.seg.nrrd"
    save_segmentation(contour, file)
    before = file.read_bytes()
    ragged = np.random.default_rng(1).random(voxels(contour).shape) > 0.5
    segmentation, wide = contour.segmentation, np.tile(ragged.astype(np.uint8), (4, 4, 4))
    slicer.util.updateSegmentBinaryLabelmapFromArray(wide, segmentation, contour.segment_id, contour.volume)
    for target in (file, tmp_path / "no such folder" / "Bladder.seg.nrrd"):
        with pytest.raises(OutputError, match="cannot be saved"):
            save_segmentation(contour, target)
    assert file.read_bytes() == before
    assert list(full_disk.iterdir()) == [file]


def test_a_contour_made_a_surface_is_not_saved_as_a_file_that_lacks_it(contour, tmp_path):
    contour.segmentation.SetSourceRepresentationToClosedSurface()
    with pytest.raises(OutputError, match="make Binary labelmap the source representation"):
        save_segmentation(contour, tmp_path / "Bladder.seg.nrrd")
    assert list(tmp_path.glob("*Bladder*")) == []


def test_why_a_segmentation_cannot_take_its_place_is_told(contour, tmp_path):
    taken = tmp_path / "Ziel" / "Bladder.seg.nrrd"
    taken.mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot be saved") as told:
        save_segmentation(contour, taken)
    assert isinstance(told.value.__cause__, OSError)
    assert f"({told.value.__cause__.strerror})" in told.value.message
    assert list(taken.parent.iterdir()) == [taken]


def test_what_cannot_be_exported_is_refused(export, dicom_contour, work, target):
    contour, ct_files = dicom_contour
    everything = np.ones_like(voxels(contour))

    def refusal(error=InputError):
        sentences = []
        for attempt in (
            lambda: last_look(contour, work),
            lambda: export.write(contour, NAMES, ToFolder(target), Ear()),
        ):
            with pytest.raises(error) as caught:
                attempt()
            sentences.append(caught.value.message)
        assert list(target.iterdir()) == list(work.iterdir()) == []
        assert sentences[0] == sentences[1]
        return sentences[0]

    editor = Editor(contour.segmentation, contour.volume)
    editor.erase(contour.segment_id, everything)
    assert "empty: there is nothing to export" in refusal()
    editor.logic.Undo()

    ct_files[3].rename(ct_files[3].with_suffix(".away"))
    assert "1 of the 20 DICOM files" in refusal()
    ct_files[3].with_suffix(".away").rename(ct_files[3])

    slicer.mrmlScene.RemoveNode(contour.volume)
    assert refusal().startswith("Choose a CT")


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_contour_tied_to_another_ct_is_refused(export, dicom_contour, tmp_path, work, target, by_hand):
    """As by "Specify geometry" in the Segment Editor: two series of one grid have slice beside slice."""
    contour, _files = dicom_contour
    if by_hand:
        contour = begin_by_hand(contour.volume)
        Editor(contour.segmentation, contour.volume).paint(contour.segment_id, np.ones_like(voxels(contour)))
    other = load_dicom(write_ct_series(texture(grid()), tmp_path / "other", seed=1))
    tie(contour.segmentation, other)
    with pytest.raises(InputError, match="drawn on another CT"):
        last_look(contour, work)
    with pytest.raises(InputError, match="drawn on another CT"):
        export.write(contour, NAMES, ToFolder(target), Ear())


def test_a_working_folder_that_is_gone(contour, tmp_path):
    with pytest.raises(OutputError, match="working folder"):
        last_look(contour, tmp_path / "none")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("", "BladderAuto"), "structure name must have 1 to 64"),
        (("B" * 65, "BladderAuto"), "structure name must have 1 to 64"),
        (("Bladder", " "), "label must have 1 to 16"),
        (("Bladder", "L" * 17), "label must have 1 to 16"),
        (("Bla\\dder", "BladderAuto"), "backslash"),
        (("Bladder", "Bladder\n"), "backslash or a line break"),
    ],
)
def test_names_that_dicom_forbids(names, words):
    with pytest.raises(UsageError, match=words):
        StructureNames(*names)


def test_long_names_are_allowed_with_a_hint():
    assert StructureNames("B" * 16, "L" * 16).hint == ""
    assert "cut structure names after 16" in StructureNames("B" * 64).hint


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("Doe^Jane", "Doe, Jane"),
        ("Doe^Jane^Mary^Dr.", "Doe, Jane Mary Dr."),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou = 山田, 太郎 = やまだ, たろう"),
        ("ANON", "ANON"),
        ("^Jane", "Jane"),
        ("", ""),
    ],
)
def test_person_names_as_people_read_them(value, read):
    assert person_name(value) == read


def test_dates():
    assert (date("20260131"), date("2026"), date("")) == ("2026-01-31", "2026", "")
