"""A contour becomes a structure set in a folder: as it stands, verified, and nothing is left where that fails."""

import logging
import sys
import time

import numpy as np
import pydicom
import pytest
from BladderAutoContourLib.errors import InputError, OutputError
from BladderAutoContourLib.imaging.files import write_volume
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.slicer.export import destinations
from BladderAutoContourLib.slicer.export.destinations import ToFolder
from BladderAutoContourLib.slicer.export.structure_set import (
    StructureNames,
    last_look,
)
from BladderAutoContourLib.slicer.scene.segmentation import begin_by_hand, show_result
from ct_scene import drawn, grid, load_dicom, load_multi_frame, texture, write_series
from exporting import (
    DEADLINE_SECONDS,
    PATIENT_ID,
    PATIENT_NAME,
    PATIENT_WORDS,
    Ear,
    contour_from_dicom,
    dice,
    ellipsoid,
    filled,
    paint,
    voxels,
)

NAMES = StructureNames()


def test_the_contour_as_the_engine_drew_it(export, dicom_contour, target, work, warm_engine, dciodvfy_errors, caplog):
    contour, ct_files = dicom_contour
    other = target / "RTSTRUCT.dcm"
    other.write_text("somebody else's", encoding="ascii")
    with caplog.at_level(logging.DEBUG):
        ear = Ear()
        export.write(contour, StructureNames("Blase ü", "Plan A"), ToFolder(target), ear)
        assert export.busy
        assert not ear.finishes, "nothing is told before a poll"
        rs = ear.wait(export).written
    assert not export.busy
    assert set(target.iterdir()) == {other, ear.file}
    assert list(work.iterdir()) == []

    header = pydicom.dcmread(ct_files[0])
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert rs[keyword].value == header[keyword].value
    assert (str(rs.PatientName), rs.PatientID) == (PATIENT_NAME, PATIENT_ID)
    roi = rs.StructureSetROISequence[0]
    assert (roi.ROIName, rs.StructureSetLabel, roi.ROIGenerationAlgorithm) == ("Blase ü", "Plan A", "AUTOMATIC")
    assert "model generated-pelves-2" in roi.ROIDescription
    study = rs.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    referred = {item.ReferencedSOPInstanceUID for item in study.RTReferencedSeriesSequence[0].ContourImageSequence}
    assert referred == {pydicom.dcmread(file).SOPInstanceUID for file in ct_files}
    assert dice(filled(rs, ct_files), voxels(contour)) == 1.0

    told = "\n".join([ear.file.name, *warm_engine.lines, *caplog.messages])
    assert not [word for word in PATIENT_WORDS if word in told]
    assert dciodvfy_errors(ear.file) == []


def test_a_multi_frame_ct_is_referred_to_frame_by_frame(scene, export, tmp_path, target, dciodvfy_errors):
    mask = ellipsoid(grid())
    ct, file = load_multi_frame(texture(grid()), tmp_path, range(19, -1, -1))
    contour = show_result(ct, drawn(mask, grid(), tmp_path / "result"))
    ear = Ear()
    export.write(contour, NAMES, ToFolder(target), ear)
    rs = ear.wait(export).written
    assert dciodvfy_errors(ear.file) == []
    plain = sorted((tmp_path / "plain").iterdir())
    for drawn_contour in rs.ROIContourSequence[0].ContourSequence:
        (image,) = drawn_contour.ContourImageSequence
        assert image.ReferencedSOPInstanceUID == pydicom.dcmread(file).SOPInstanceUID
        # The last slice is the file's first frame.
        image.ReferencedSOPInstanceUID = pydicom.dcmread(plain[20 - image.ReferencedFrameNumber]).SOPInstanceUID
    assert dice(filled(rs, plain), voxels(contour)) == dice(filled(rs, plain), mask > 0) == 1.0


def test_a_corrected_contour_is_written_as_it_stands(export, dicom_contour, target, work):
    contour, ct_files = dicom_contour
    before = voxels(contour)
    paint(contour)
    assert last_look(contour, work).generation == "SEMIAUTOMATIC"
    ear = Ear()
    export.write(contour, NAMES, ToFolder(target), ear)
    rs = ear.wait(export).written
    roi = rs.StructureSetROISequence[0]
    assert roi.ROIGenerationAlgorithm == "SEMIAUTOMATIC"
    assert "corrected by hand in slices 4-6" in roi.ROIDescription
    assert dice(filled(rs, ct_files), voxels(contour)) == 1.0
    assert dice(filled(rs, ct_files), before) < 1.0


def test_a_contour_that_was_begun_by_hand_is_written_as_manual(export, dicom_contour, target, work):
    automatic, ct_files = dicom_contour
    contour = begin_by_hand(automatic.volume)
    with pytest.raises(InputError, match="empty"):
        last_look(contour, work)
    paint(contour)
    assert last_look(contour, work).generation == "MANUAL"
    ear = Ear()
    export.write(contour, NAMES, ToFolder(target), ear)
    rs = ear.wait(export).written
    assert rs.StructureSetROISequence[0].ROIGenerationAlgorithm == "MANUAL"
    assert dice(filled(rs, ct_files), voxels(contour)) == 1.0


@pytest.mark.parametrize(("at", "shift_mm"), [(1, 0.04), (slice(10, None), 0.15)])
def test_a_contour_begun_by_hand_on_uneven_slices_is_written(scene, export, tmp_path, target, at, shift_mm):
    """Slicer's grid of such files is another one than the engine's."""
    shifts = np.zeros(20)
    shifts[at] = shift_mm
    files = write_series(texture(grid()), tmp_path / "ct", shifts)
    contour = begin_by_hand(load_dicom(files))
    paint(contour)
    ear = Ear()
    export.write(contour, NAMES, ToFolder(target), ear)
    assert dice(filled(ear.wait(export).written, files), voxels(contour)) == 1.0


def test_the_probability_smooths_the_outline_until_somebody_edits(export, contour, target, tmp_path):
    now = voxels(contour)
    probability = tmp_path / "bladder_probability.nrrd"
    write_volume(Volume(np.where(now, 0.9, 0.3).astype(np.float32), grid()), probability)

    def outlines(**given):
        ear = Ear()
        export.write(contour, NAMES, ToFolder(target), ear, **given)
        rs = ear.wait(export).written
        return [list(map(float, one.ContourData)) for one in rs.ROIContourSequence[0].ContourSequence]

    plain, smooth = outlines(), outlines(probability=probability)
    assert len(plain) == len(smooth)
    assert plain != smooth
    assert outlines(probability=tmp_path / "gone.nrrd") == plain
    paint(contour)
    assert outlines(probability=probability) == outlines()


def test_two_exports_in_one_second_are_two_files(export, contour, target, monkeypatch):
    class Standing(destinations.datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(destinations.datetime, "datetime", Standing)
    ears = [Ear(), Ear()]
    for ear in ears:
        export.write(contour, NAMES, ToFolder(target), ear)
        ear.wait(export)
    names = [ear.file.name for ear in ears]
    assert names == ["RTSTRUCT_2026-01-02_030405.dcm", "RTSTRUCT_2026-01-02_030405_2.dcm"]
    assert ears[0].written.SOPInstanceUID != ears[1].written.SOPInstanceUID


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process's files cannot be limited from outside")
def test_a_full_disk_leaves_nothing(scene, tmp_path, export, warm_engine, target, work):
    import resource

    ragged = np.zeros(grid().shape, np.uint8)
    ragged[2:18, 2:34, 2:38] = np.random.default_rng(1).random((16, 32, 36)) > 0.5
    contour, _files = contour_from_dicom(tmp_path, ragged)
    first = Ear()
    export.write(contour, NAMES, ToFolder(target), first)
    size = first.wait(export).written and first.file.stat().st_size
    before = resource.prlimit(warm_engine.pid, resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
    ear = Ear()
    export.write(contour, NAMES, ToFolder(target), ear)
    ear.wait(export)
    resource.prlimit(warm_engine.pid, resource.RLIMIT_FSIZE, before)
    assert ear.failure.code == OutputError.code
    assert "the disk is full" in ear.failure.sentence
    assert list(target.iterdir()) == [first.file]
    assert list(work.iterdir()) == []


def test_one_at_a_time(export, contour, target):
    ear = Ear()
    export.write(contour, NAMES, ToFolder(target), ear)
    with pytest.raises(RuntimeError):
        export.write(contour, NAMES, ToFolder(target), Ear())
    assert ear.wait(export).failure is None
    assert len(list(target.iterdir())) == 1


def test_cancel_leaves_nothing(export, contour, target, work, warm_engine):
    before_the_engine = Ear()
    export.write(contour, NAMES, ToFolder(target), before_the_engine)
    export.cancel()
    assert before_the_engine.wait(export).failure.code == 130

    ear = Ear()
    export.write(contour, NAMES, ToFolder(target), ear)
    export.poll()
    assert warm_engine.busy
    export.cancel()
    assert ear.wait(export).failure.code == 130
    assert not export.busy
    assert list(target.iterdir()) == list(work.iterdir()) == []


def test_cancelled_when_the_file_was_just_written(export, contour, target, work):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not export.busy:  # on a busy machine one look may hear the beginning and the end: then once more
        for file in target.iterdir():
            file.unlink()
        ear = Ear()
        export.write(contour, NAMES, ToFolder(target), ear)
        while "write" not in ear.steps:
            assert time.monotonic() < deadline
            export.poll()
    while not list(target.glob("*.dcm")):  # nobody hears the engine meanwhile: it may have said that all is done
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)
    export.cancel()
    assert ear.wait(export).failure.code == 130
    assert list(target.iterdir()) == list(work.iterdir()) == []
