"""Structure sets of several frames of reference, as of a CT and an MR, and those without one of their own."""

import copy

import numpy as np
from BladderAutoContourLib.dicom.check import check_rtstruct
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from scenes import edit
from structure_edits import mixed_frames, points, put


def drawn_on_an_mr(dataset: Dataset) -> None:
    """A second structure, as planning systems write those drawn on a registered MR."""
    mixed_frames(dataset)
    frame = dataset.StructureSetROISequence[1].ReferencedFrameOfReferenceUID
    listed = copy.deepcopy(dataset.ReferencedFrameOfReferenceSequence[0])
    listed.FrameOfReferenceUID = frame
    of_mr = listed.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    of_mr.SeriesInstanceUID = generate_uid()
    drawn = dataset.ROIContourSequence[1].ContourSequence
    for image in [*of_mr.ContourImageSequence, *(one.ContourImageSequence[0] for one in drawn)]:
        image.ReferencedSOPInstanceUID = generate_uid()
        image.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    for contour in drawn:
        put(contour, points(contour) + np.array([900.0, 0, 0]))
    dataset.ReferencedFrameOfReferenceSequence.append(listed)


def test_a_set_of_two_frames_is_lawful(series, structure_set):
    """What lies in the other frame cannot be placed, and is not compared with this CT."""
    edit(structure_set, drawn_on_an_mr)
    (alone,) = check_rtstruct(structure_set, None)
    assert (alone.code, alone.severity) == ("mixed-frames", "note")
    found = [(one.code, one.severity, one.sentence) for one in check_rtstruct(structure_set, series.ct)]
    assert found[0] == ("wrong-frame", "warning", "Structure 'Other' lies in another frame of reference than the CT")
    assert [code for code, _, _ in found[1:]] == ["mixed-frames"]


def test_a_set_may_do_without_a_frame_of_its_own(series, structure_set):
    """Its module is not required of a structure set (PS3.3 A.19.3): each structure names its frame."""

    def forget(dataset: Dataset) -> None:
        del dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator

    edit(structure_set, forget)
    assert [str(finding) for finding in check_rtstruct(structure_set, series.ct)] == [
        "note: missing-attribute: FrameOfReferenceUID is missing",
        "note: missing-attribute: PositionReferenceIndicator is missing",
    ]
    edit(structure_set, lambda dataset: setattr(dataset, "FrameOfReferenceUID", ""))
    assert check_rtstruct(structure_set, series.ct)[0].severity == "error"
