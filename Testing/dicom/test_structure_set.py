"""Structure sets as written, judged by programs that are not ours: attributes, references, geometry, character sets."""

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from BladderAutoContourLib.dicom.check import check_rtstruct
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.dicom.pydicom_versions import save
from BladderAutoContourLib.dicom.rasterise import roi_mask
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest, add_roi, new_structure_set
from BladderAutoContourLib.dicom.structure_reader import read_structure_set
from BladderAutoContourLib.dicom.structure_set import restrict, trace_slices, write_rtstruct
from BladderAutoContourLib.dicom.verify import verify
from BladderAutoContourLib.errors import InputError, OutputError, UsageError, VerificationError
from BladderAutoContourLib.imaging.geometry import Geometry
from BladderAutoContourLib.imaging.volume import Volume
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from scenes import (
    DIRECTIONS,
    SHAPES,
    area_mm2,
    edit,
    ellipsoid,
    grid,
    mask_volume,
    offsets_mm,
    set_in,
    texture,
    write_series,
)

PATIENT = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime"),
    *("StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID"),
)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def on_grid_of(image: SimpleITK.Image, ct) -> np.ndarray:
    """Another program's mask (bool) in the CT volume's order of voxels: asked by position, whatever its own order."""
    target = SimpleITK.GetImageFromArray(ct.volume.array)
    target.SetSpacing(ct.volume.geometry.spacing_mm)
    target.SetOrigin(ct.volume.geometry.origin_mm)
    target.SetDirection(np.asarray(ct.volume.geometry.direction).ravel().tolist())
    return SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, target, SimpleITK.Transform(),
                                                          SimpleITK.sitkNearestNeighbor)) > 0  # fmt: skip


def write(series, tmp_path: Path, mask: np.ndarray | None = None, **request: str) -> Path:
    """The structure set of a mask on the shared series."""
    geometry = series.ct.volume.geometry
    mask = ellipsoid(geometry, (22, 18, 20)) if mask is None else mask
    path = tmp_path / "RTSTRUCT.dcm"
    write_rtstruct(series.ct, mask_volume(mask, geometry), path, StructureRequest(**request))
    return path


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("direction", ["axial", "feet-first", "prone", "oblique"])
def test_plastimatch_reads_the_mask_back(tmp_path, plastimatch_mask, dciodvfy_errors, direction, shape):
    geometry = grid(direction=DIRECTIONS[direction])
    write_series(tmp_path / "ct", geometry)
    ct = read_ct([tmp_path / "ct"])
    mask = shape(geometry)
    path = tmp_path / "RTSTRUCT.dcm"
    written = write_rtstruct(ct, mask_volume(mask, ct.volume.geometry), path, StructureRequest())
    assert written.agreement == 1.0
    assert dciodvfy_errors(path) == []
    gaps = shape is SHAPES["scattered"]
    assert [finding.code for finding in check_rtstruct(path, ct)] == ["slices-without-contours"] * gaps
    read = on_grid_of(plastimatch_mask(path, tmp_path / "ct", "Bladder"), ct)
    assert dice(read, mask) >= 0.999


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 3.0), (0.8, 0.8, 2.0), (1.5, 1.5, 5.0)])
def test_a_probability_keeps_volume_and_mask(tmp_path, plastimatch_mask, spacing_mm):
    size = tuple(int(np.ceil(60 / step)) for step in spacing_mm)
    geometry = grid(size, spacing_mm)
    write_series(tmp_path / "ct", geometry)
    ct = read_ct([tmp_path / "ct"])
    distance = np.linalg.norm(offsets_mm(geometry), axis=-1)
    probability = Volume((1 / (1 + np.exp(distance - 25))).astype(np.float32), ct.volume.geometry)
    path = tmp_path / "RTSTRUCT.dcm"
    write_rtstruct(ct, probability, path, StructureRequest())
    read = on_grid_of(plastimatch_mask(path, tmp_path / "ct", "Bladder"), ct)
    assert dice(read, probability.array >= 0.5) >= 0.999
    areas = [area_mm2(contour.points_mm) for contour in read_structure_set(path).rois[0].contours]
    heights = geometry.to_patient(np.column_stack([np.zeros((size[2], 2)), np.arange(size[2])]))[:, 2]
    exact = np.pi * np.clip(25**2 - (heights - geometry.centre_mm[2]) ** 2, 0, None)
    assert sum(areas) == pytest.approx(exact.sum(), rel=2e-3)


def test_a_restricted_probability_has_the_masks_region(series):
    geometry = series.ct.volume.geometry
    rng = np.random.default_rng(5)
    mask = rng.random(geometry.shape) > 0.6
    field = restrict(Volume(rng.random(geometry.shape, np.float32), geometry), mask_volume(mask, geometry))
    assert np.array_equal(field.array >= 0.5, mask)


@pytest.mark.parametrize("true_mm", [18.0, 21.0, 26.0])
def test_corrected_slices_of_a_probability_enclose_what_was_drawn(tmp_path, true_mm):
    """Far from where the probability ends, and where it ends close by: the same area, as of the mask alone."""
    geometry = grid((64, 64, 24), (1.0, 1.0, 3.0))
    write_series(tmp_path / "ct", geometry)
    ct = read_ct([tmp_path / "ct"])
    distance = np.linalg.norm(offsets_mm(geometry), axis=-1)
    probability = Volume((1 / (1 + np.exp(distance - true_mm))).astype(np.float32), ct.volume.geometry)
    mask = probability.array >= 0.5
    mask[4:12] = (distance <= 22)[4:12]
    mask[20, 30, 30] ^= True
    field = restrict(probability, mask_volume(mask, ct.volume.geometry))
    own = {image.sop_instance_uid: z for z, image in enumerate(ct.slices)}
    drawn = {}
    for name, what in (("restricted", field), ("smooth", probability)):
        write_rtstruct(ct, what, tmp_path / "rs.dcm", StructureRequest())
        areas = np.zeros(len(own))
        for contour in read_structure_set(tmp_path / "rs.dcm").rois[0].contours:
            areas[own[contour.image_uids[0]]] += area_mm2(contour.points_mm)
        drawn[name] = areas
    edited = (mask != (probability.array >= 0.5)).any(axis=(1, 2))
    assert edited.sum() >= 8
    assert drawn["restricted"][edited] == pytest.approx(mask.sum(axis=(1, 2))[edited], rel=1e-3)
    assert drawn["restricted"][~edited].tolist() == drawn["smooth"][~edited].tolist()


def test_patient_study_and_references_are_those_of_the_ct(series, tmp_path, dcentvfy_says):
    path = write(series, tmp_path)
    written, header = pydicom.dcmread(path), pydicom.dcmread(series.files[0])
    for keyword in PATIENT:
        assert written[keyword].value == header[keyword].value, keyword
    assert dcentvfy_says([*series.files, path]) == ""
    (frame,) = written.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (referenced,) = study.RTReferencedSeriesSequence
    assert frame.FrameOfReferenceUID == header.FrameOfReferenceUID
    assert study.ReferencedSOPInstanceUID == header.StudyInstanceUID
    assert referenced.SeriesInstanceUID == header.SeriesInstanceUID
    of_file = {pydicom.dcmread(file).SOPInstanceUID: file for file in series.files}
    assert [image.ReferencedSOPInstanceUID for image in referenced.ContourImageSequence] == list(of_file)
    for contour in written.ROIContourSequence[0].ContourSequence:
        (image,) = contour.ContourImageSequence
        plane = pydicom.dcmread(of_file[image.ReferencedSOPInstanceUID]).ImagePositionPatient[2]
        assert np.allclose([float(z) for z in contour.ContourData[2::3]], float(plane), atol=1e-4)
        assert len(contour.ContourData) == 3 * contour.NumberOfContourPoints
        assert contour.ContourData[:3] != contour.ContourData[-3:]


def test_attributes_of_the_checklist(series, tmp_path):
    path = write(series, tmp_path, description="lean network 1", generation="SEMIAUTOMATIC")
    again = write(series, tmp_path / "again")
    one, two = pydicom.dcmread(path), pydicom.dcmread(again)
    assert one.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
    assert one.SOPInstanceUID == one.file_meta.MediaStorageSOPInstanceUID != two.SOPInstanceUID
    assert one.SeriesInstanceUID not in (two.SeriesInstanceUID, series.ct.series_uid)
    assert (one.Modality, one.ApprovalStatus, one.StructureSetLabel) == ("RTSTRUCT", "UNAPPROVED", "BladderAuto")
    (roi,) = one.StructureSetROISequence
    assert (roi.ROIName, roi.ROIGenerationAlgorithm) == ("Bladder", "SEMIAUTOMATIC")
    assert roi.ROIDescription.endswith("lean network 1")
    assert two.StructureSetROISequence[0].ROIGenerationAlgorithm == "AUTOMATIC"
    (observation,) = one.RTROIObservationsSequence
    assert observation.RTROIInterpretedType == "ORGAN"
    (code,) = observation.RTROIIdentificationCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == ("89837001", "SCT", "Bladder")
    assert max(contour.longest_value for contour in read_structure_set(path).rois[0].contours) <= 16
    assert sorted(file.name for file in tmp_path.iterdir()) == ["RTSTRUCT.dcm", "again"]


def test_an_empty_mask_has_no_contour_sequence(series, tmp_path, dciodvfy_errors):
    path = write(series, tmp_path, mask=np.zeros(series.ct.volume.array.shape, bool))
    assert "ContourSequence" not in pydicom.dcmread(path).ROIContourSequence[0]
    assert dciodvfy_errors(path) == []


NAMES = {
    "ISO_IR 100": "Müßiggang^Gräfin",
    "ISO_IR 192": "Ångström^Øyvind=王^小东",
    "GB18030": "Wang^XiaoDong=王^小东",
    "ISO 2022 IR 87": "Yamada^Tarou=山田^太郎",
}


@pytest.mark.parametrize("roi_name", ["Bladder", "Blåsa 膀胱"], ids=["plain", "unicode"])
@pytest.mark.parametrize("character_set", NAMES)
def test_names_come_out_as_they_went_in(tmp_path, judge, dciodvfy_errors, character_set, roi_name):
    declared = ["", character_set] if "2022" in character_set else character_set
    files = write_ct_series(texture(grid()), tmp_path / "ct", patient_name=NAMES[character_set], character_set=declared)
    ct = read_ct([tmp_path / "ct"])
    path = tmp_path / "RTSTRUCT.dcm"
    mask = mask_volume(ellipsoid(ct.volume.geometry, (20, 20, 20)), ct.volume.geometry)
    write_rtstruct(ct, mask, path, StructureRequest(roi_name=roi_name))

    # DCMTK cannot convert ISO 2022 here, but hands over the bytes; Python's own codec of that name reads them.
    japanese = "2022" in character_set

    def name_by_dcmtk(file: Path, as_it_stands: bool) -> str:
        command = [judge("dcmdump"), *([] if as_it_stands else ["+U8"]), "+P", "0010,0010", str(file)]
        said = subprocess.run(command, capture_output=True, check=True).stdout
        return said.decode("iso2022_jp" if as_it_stands else "utf-8").partition("#")[0].rstrip()

    name = name_by_dcmtk(path, japanese and roi_name == "Bladder")
    assert name == name_by_dcmtk(files[0], japanese)
    assert NAMES[character_set] in name
    assert read_structure_set(path).rois[0].name == roi_name
    assert dciodvfy_errors(path) == []
    if roi_name == "Bladder":
        assert pydicom.dcmread(path).SpecificCharacterSet == declared


def test_letters_that_the_declared_character_set_lacks_are_told(tmp_path):
    write_ct_series(texture(grid()), tmp_path / "ct", patient_name="MXller^Hans", character_set="ISO_IR 192")
    for file in (tmp_path / "ct").iterdir():
        file.write_bytes(file.read_bytes().replace(b"MXller^Hans", "Müller^Hans".encode("latin-1")))
    (finding,) = [one for one in read_ct([tmp_path / "ct"]).findings if one.code == "unknown-letters"]
    assert finding.severity == "warning"
    assert finding.sentence.startswith("PatientName cannot be read in the character set")


def test_a_number_that_is_none_goes_out_as_it_came(tmp_path):
    """A number of 8 bytes has 4: pydicom reads it as they are, and would write it as nothing else than a number."""
    tag = Tag("LongitudinalTemporalOffsetFromEvent")
    files = write_ct_series(texture(grid()), tmp_path / "ct")
    for file in files:
        edit(file, lambda dataset: dataset.__setitem__(tag, RawDataElement(tag, "FD", 4, b"-12 ", 0, True, True)))
    ct, path = read_ct([tmp_path / "ct"]), tmp_path / "RTSTRUCT.dcm"
    mask = mask_volume(ellipsoid(ct.volume.geometry, (20, 20, 20)), ct.volume.geometry)
    written = write_rtstruct(ct, mask, path, StructureRequest())
    assert [finding.code for finding in written.findings] == ["taken-over"]
    assert pydicom.dcmread(path).get_item(tag).value == b"-12 "


@pytest.mark.parametrize("declared", [None, "ISO_IR_192"])
def test_letters_of_no_known_character_set_stay_what_they_are(tmp_path, declared):
    write_ct_series(texture(grid()), tmp_path / "ct", patient_name="MXller^Hans")
    name = "Müller^Hans".encode("cp1250")
    for file in (tmp_path / "ct").iterdir():
        if declared:
            set_in(file, SpecificCharacterSet=declared)
        file.write_bytes(file.read_bytes().replace(b"MXller^Hans", name))
    ct, path = read_ct([tmp_path / "ct"]), tmp_path / "RTSTRUCT.dcm"
    mask = mask_volume(ellipsoid(ct.volume.geometry, (20, 20, 20)), ct.volume.geometry)
    with pytest.raises(InputError, match="'Blåsa' cannot stand beside the letters of the patient's name and data"):
        write_rtstruct(ct, mask, path, StructureRequest(roi_name="Blåsa"))
    assert not path.exists()
    write_rtstruct(ct, mask, path, StructureRequest())
    assert name in path.read_bytes()
    assert pydicom.dcmread(path).get("SpecificCharacterSet") == declared


def test_another_grid_is_refused(series, tmp_path):
    geometry = grid(centre_mm=(0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="grid"):
        write_rtstruct(
            series.ct, mask_volume(SHAPES["shell"](geometry), geometry), tmp_path / "a.dcm", StructureRequest()
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "request_of",
    [
        {"label": "seventeen letters"},
        {"label": " "},
        {"roi_name": ""},
        {"roi_name": "x" * 65},
        {"roi_name": "a\\b"},
        {"generation": "AUTO"},
    ],
    ids=str,
)
def test_names_that_do_not_fit_are_refused(request_of):
    with pytest.raises(UsageError):
        StructureRequest(**request_of)


def test_a_file_that_does_not_match_is_not_accepted(series, tmp_path):
    mask = ellipsoid(series.ct.volume.geometry, (22, 18, 20))
    path = write(series, tmp_path, mask)
    assert verify(path, series.ct, mask, 1) == 1.0
    with pytest.raises(VerificationError, match="do not match"):
        verify(path, series.ct, np.roll(mask, 1, axis=0), 1)
    with pytest.raises(VerificationError, match="lacks"):
        verify(path, series.ct, mask, 2)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(VerificationError, match="read back"):
        verify(path, series.ct, mask, 1)


def test_contours_on_the_wrong_images_do_not_pass(series, tmp_path):
    geometry = series.ct.volume.geometry
    mask = ellipsoid(geometry, (22, 18, 20))
    path = write(series, tmp_path, mask)
    dataset = pydicom.dcmread(path)
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        contour.ContourImageSequence[0].ReferencedSOPInstanceUID = series.ct.slices[0].sop_instance_uid
    dataset.save_as(path)
    with pytest.raises(VerificationError, match="plane of the image"):
        verify(path, series.ct, mask, 1)


def test_full_disk_and_unwritable_folder_leave_nothing(series, tmp_path, full_disk):
    geometry = series.ct.volume.geometry
    comb = np.zeros(geometry.shape, bool)
    comb[:, ::2] = comb[:, :, 0] = True
    with pytest.raises(OutputError, match="the disk is full"):
        write_rtstruct(series.ct, mask_volume(comb, geometry), full_disk / "RTSTRUCT.dcm", StructureRequest())
    assert list(full_disk.iterdir()) == []
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    with pytest.raises(OutputError):
        write(series, tmp_path / "file")


def test_an_older_file_stays_where_the_new_one_fails(series, tmp_path):
    path = write(series, tmp_path)
    before = path.read_bytes()
    geometry = grid(centre_mm=(0.0, 0.0, 0.0))
    with pytest.raises(InputError):
        write_rtstruct(series.ct, mask_volume(SHAPES["shell"](geometry), geometry), path, StructureRequest())
    assert path.read_bytes() == before


def test_odd_values_of_the_ct_are_taken_over_with_a_warning(tmp_path):
    for file in write_series(tmp_path / "ct"):
        set_in(file, PatientSex="X", StudyDate="unknown", StudyID="an identifier of more than 16")
    ct = read_ct([tmp_path / "ct"])
    mask = mask_volume(ellipsoid(ct.volume.geometry, (20, 20, 20)), ct.volume.geometry)
    written = write_rtstruct(ct, mask, tmp_path / "RTSTRUCT.dcm", StructureRequest())
    assert {(finding.code, finding.severity) for finding in written.findings} == {("taken-over", "warning")}
    assert len(written.findings) == 3
    dataset = pydicom.dcmread(tmp_path / "RTSTRUCT.dcm")
    assert (dataset.PatientSex, dataset.StudyDate) == ("X", "unknown")


def test_several_structures_get_their_own_numbers(series, tmp_path):
    geometry = series.ct.volume.geometry
    dataset = new_structure_set(series.ct, StructureRequest(), pydicom.valuerep.DT("20200101120000"))
    masks = {"Bladder": SHAPES["shell"](geometry), "Other": SHAPES["small ball"](geometry)}
    for name, mask in masks.items():
        contours = trace_slices(series.ct, mask_volume(mask, geometry))
        add_roi(dataset, series.ct.frame_of_reference_uid, contours, StructureRequest(roi_name=name))
    path = tmp_path / "two.dcm"
    save(dataset, path)
    structures = read_structure_set(path)
    assert [roi.number for roi in structures.rois] == [1, 2]
    for name, mask in masks.items():
        assert np.array_equal(roi_mask(structures.roi(name), geometry)[0].array > 0, mask)


@pytest.mark.parametrize("jitter", [False, True])
def test_slices_a_little_off_the_grid_are_contoured_where_they_lie(tmp_path, jitter):
    """Up to what the reader takes: 0.28 mm sideways over the series, or back and forth."""
    files = write_series(tmp_path / "ct", Geometry((64, 64, 30), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0)))
    for number, file in enumerate(files):
        dataset = pydicom.dcmread(file)
        aside = 0.14 * (-1) ** number if jitter else 0.28 * number / (len(files) - 1)
        dataset.ImagePositionPatient[0] += aside
        dataset.save_as(file)
    ct = read_ct([tmp_path / "ct"])
    z, y, x = np.indices(ct.volume.array.shape)
    distance = np.sqrt((x - 31.3) ** 2 + (y - 30.6) ** 2 + (3 * (z - 14.2)) ** 2)
    probability = Volume((1 / (1 + np.exp(distance - 22.4))).astype(np.float32), ct.volume.geometry)
    written = write_rtstruct(ct, probability, tmp_path / "rs.dcm", StructureRequest())
    assert written.agreement == 1.0
    drawn = read_structure_set(tmp_path / "rs.dcm").rois[0].contours
    own = {image.sop_instance_uid: image.position_mm[0] for image in ct.slices}
    middles = [contour.points_mm[:, 0].min() / 2 + contour.points_mm[:, 0].max() / 2 - own[contour.image_uids[0]]
               for contour in drawn]  # fmt: skip
    assert np.ptp(middles) < 0.05  # of every contour, in its own image


def test_thinned_contours_keep_the_volume(series, tmp_path):
    geometry = series.ct.volume.geometry
    distance = np.linalg.norm(offsets_mm(geometry), axis=-1)
    field = Volume((1 / (1 + np.exp(distance - 23))).astype(np.float32), geometry)
    full = write_rtstruct(series.ct, field, tmp_path / "full.dcm", StructureRequest())
    thin = write_rtstruct(series.ct, field, tmp_path / "thin.dcm", StructureRequest(), decimate=True)
    assert thin.points < 0.65 * full.points
    assert thin.agreement == 1.0
    areas = [
        sum(area_mm2(contour.points_mm) for contour in read_structure_set(written.path).rois[0].contours)
        for written in (full, thin)
    ]
    assert areas[1] == pytest.approx(areas[0], rel=1e-3)
