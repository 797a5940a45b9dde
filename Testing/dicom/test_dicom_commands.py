"""The DICOM commands as processes: files, lines, exit codes, and nothing about the patient."""

import argparse
import copy
import io
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from BladderAutoContourLib.commands import contours as contours_command
from BladderAutoContourLib.commands import masks, rtstruct
from BladderAutoContourLib.dicom.rasterise import roi_mask
from BladderAutoContourLib.dicom.structure_reader import Contour, Roi, read_structure_set
from BladderAutoContourLib.errors import Cancelled
from BladderAutoContourLib.events import Cancellation, Events
from BladderAutoContourLib.imaging.files import read_volume, to_sitk, write_volume
from BladderAutoContourLib.imaging.volume import Volume
from scenes import DIRECTIONS, SHAPES, edit, grid, mask_volume, offsets_mm, write_series


@pytest.fixture
def mask_file(series, tmp_path) -> Path:
    geometry = series.ct.volume.geometry
    path = tmp_path / "Maske é.nrrd"
    write_volume(mask_volume(SHAPES["shell"](geometry), geometry), path)
    return path


def test_mask_to_structure_set_and_back(program, series, mask_file, tmp_path):
    path = tmp_path / "out put" / "RTSTRUCT.dcm"
    done = program("rtstruct", "--ct", series.folder, "--mask", mask_file, "--output", path, "--name", "Blåsa")
    assert done.code == 0, done.stderr
    assert "Dice 1.0000" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == {"event": "result", "folder": str(path.parent)}
    assert "PHANTOM" not in done.stdout + done.stderr
    checked = program("check-rtstruct", path, "--ct", series.folder)
    assert (checked.code, checked.lines) == (0, [])
    back = program("masks", "--ct", series.folder, "--rtstruct", path, "--output", tmp_path / "masks")
    assert back.code == 0, back.stderr
    assert [file.name for file in (tmp_path / "masks").iterdir()] == ["Blåsa.nrrd"]
    mask, again = read_volume(mask_file), read_volume(tmp_path / "masks" / "Blåsa.nrrd")
    assert again.geometry.same_as(mask.geometry)
    assert np.array_equal(again.array, mask.array)


def test_a_probability_gives_the_masks_region(program, series, mask_file, tmp_path):
    geometry = series.ct.volume.geometry
    distance = np.linalg.norm(offsets_mm(geometry), axis=-1)
    write_volume(Volume((1 / (1 + np.exp(distance - 20))).astype(np.float32), geometry), tmp_path / "p.nrrd")
    path = tmp_path / "rs.dcm"
    done = program(
        *("rtstruct", "--ct", series.folder, "--mask", mask_file, "--probability", tmp_path / "p.nrrd"),
        *("--output", path, "--generation", "SEMIAUTOMATIC", "--label", "edited"),
    )
    assert done.code == 0, done.stderr
    assert "Dice 1.0000" in done.stdout


def test_a_mask_of_another_grid_is_refused(program, series, tmp_path):
    geometry = grid((30, 30, 10))
    write_volume(mask_volume(SHAPES["small ball"](geometry), geometry), tmp_path / "m.nrrd")
    done = program("rtstruct", "--ct", series.folder, "--mask", tmp_path / "m.nrrd", "--output", tmp_path / "rs.dcm")
    assert done.code == 3
    assert "grid" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["error"]["kind"] == "input"
    assert not (tmp_path / "rs.dcm").exists()


def test_a_probability_of_another_grid_is_refused(program, series, mask_file, tmp_path):
    small = grid((30, 30, 10))
    write_volume(Volume(np.zeros(small.shape, dtype=np.float32), small), tmp_path / "small.nrrd")
    done = program(
        *("rtstruct", "--ct", series.folder, "--mask", mask_file, "--probability", tmp_path / "small.nrrd"),
        *("--output", tmp_path / "rs.dcm"),
    )
    assert done.code == 3, done.stderr
    assert "one grid" in done.stderr
    assert not (tmp_path / "rs.dcm").exists()


@pytest.mark.parametrize("orientation", ["LAS", "RAI", "SPL"])
def test_a_mask_may_count_its_voxels_in_another_order(program, series, mask_file, tmp_path, orientation):
    """As files of converters do (dcm2niix flips the rows): the same voxels, each in its place."""
    mask = read_volume(mask_file)
    turned, probability = tmp_path / "turned.nii.gz", tmp_path / "probability.mha"
    sitk.WriteImage(sitk.DICOMOrient(to_sitk(mask), orientation), str(turned))
    distance = np.linalg.norm(offsets_mm(mask.geometry), axis=-1)
    ball = Volume((1 / (1 + np.exp(distance - 20))).astype(np.float32), mask.geometry)
    sitk.WriteImage(sitk.DICOMOrient(to_sitk(ball), orientation[::-1]), str(probability))
    for options in ([], ["--probability", probability]):
        path = tmp_path / "rs.dcm"
        done = program("rtstruct", "--ct", series.folder, "--mask", turned, "--output", path, *options)
        assert done.code == 0, done.stderr
        assert "Dice 1.0000" in done.stdout
        (roi,) = read_structure_set(path).rois
        assert np.array_equal(roi_mask(roi, series.ct.volume.geometry)[0].array, mask.array)


def test_an_empty_mask_is_told(program, series, tmp_path):
    geometry = series.ct.volume.geometry
    write_volume(mask_volume(np.zeros(geometry.shape, bool), geometry), tmp_path / "m.nrrd")
    done = program("rtstruct", "--ct", series.folder, "--mask", tmp_path / "m.nrrd", "--output", tmp_path / "rs.dcm")
    assert done.code == 0, done.stderr
    assert "WARNING: The mask is empty: the structure has no contours." in done.stdout
    assert "Dice" not in done.stdout


def test_a_name_that_some_systems_cut_is_told(program, series, mask_file, tmp_path):
    options = ("rtstruct", "--ct", series.folder, "--mask", mask_file, "--output", tmp_path / "rs.dcm")
    assert "WARNING" not in program(*options, "--name", "Bladder of 16 ch").stdout
    cut = program(*options, "--name", "Bladder, 17 chars")
    assert cut.code == 0
    assert "WARNING: The structure's name is longer than 16 characters; some systems cut it." in cut.stdout


def test_blanks_around_names_are_no_part_of_them(program, series, mask_file, tmp_path):
    path = tmp_path / "rs.dcm"
    words = ("rtstruct", "--ct", series.folder, "--mask", mask_file, "--output", path)
    assert program(*words, "--name", "  Bladder ", "--label", " Mine ").code == 0
    written = path.read_bytes()
    assert b" Bladder" not in written
    assert b" Mine" not in written
    assert pydicom.dcmread(path).StructureSetLabel == "Mine"


@pytest.mark.parametrize("labels", [(1.0, 2.0), (0.2, 0.9)])
def test_a_file_of_several_values_is_no_mask(program, series, mask_file, tmp_path, labels):
    mask = read_volume(mask_file)
    values = np.where(mask.array > 0, np.float32(labels[0]), np.float32(0))
    values[:, : values.shape[1] // 2] *= labels[1] / labels[0]
    write_volume(Volume(values, mask.geometry), tmp_path / "labels.nrrd")
    done = program(
        "rtstruct", "--ct", series.folder, "--mask", tmp_path / "labels.nrrd", "--output", tmp_path / "r.dcm"
    )
    assert done.code == 3
    assert "no mask of one structure" in done.stderr
    assert not (tmp_path / "r.dcm").exists()


def test_what_it_is_made_from_is_never_replaced(program, tmp_path, mask_file, structure_set):
    own = write_series(tmp_path / "own")
    made_from = (own[3], mask_file, structure_set)
    before = [path.read_bytes() for path in made_from]
    arguments = ("rtstruct", "--ct", tmp_path / "own", "--mask", mask_file, "--merge", structure_set, "--replace")
    for path in made_from:
        done = program(*arguments, "--output", path)
        assert (done.code, "would be replaced" in done.stderr) == (6, True)
    done = program(*arguments[:5], "--output", tmp_path)
    assert (done.code, "is a folder" in done.stderr) == (6, True)
    assert [path.read_bytes() for path in made_from] == before


@pytest.mark.parametrize("option", ["--mask", "--probability", "--merge"])
def test_a_missing_input_is_told_though_the_output_is(program, series, mask_file, structure_set, tmp_path, option):
    missing = tmp_path / "missing file"
    words = ("rtstruct", "--ct", series.folder, "--mask", mask_file, "--output", structure_set)
    done = program(*words, option, missing)
    assert done.code == 3, done.stderr
    assert "missing file" in done.stderr


def test_masks_tell_of_an_output_that_cannot_be_before_they_read(program, structure_set, series, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    output = tmp_path / "file" / "masks"
    done = program("masks", "--ct", series.folder, "--rtstruct", structure_set, "--output", output)
    assert done.code == 6
    assert "is a file, not a folder. Choose another output folder." in done.stderr
    assert '"progress"' not in done.stdout


def test_a_structure_set_of_another_patient_gives_no_masks(program, structure_set, series, tmp_path):
    edit(structure_set, lambda dataset: setattr(dataset, "PatientID", "SOMEBODY ELSE"))
    done = program("masks", "--ct", series.folder, "--rtstruct", structure_set, "--output", tmp_path / "masks")
    assert done.code == 3
    assert "does not belong to this CT" in done.stderr
    assert "SOMEBODY" not in done.stdout + done.stderr
    assert not (tmp_path / "masks").exists()


def test_structures_of_another_frame_are_left_out_unless_asked_for(program, structure_set, series, tmp_path):
    def add_elsewhere(dataset: pydicom.Dataset) -> None:
        for keyword in ("StructureSetROISequence", "ROIContourSequence", "RTROIObservationsSequence"):
            item = copy.deepcopy(dataset[keyword].value[0])
            setattr(item, "ROINumber" if "ROINumber" in item else "ReferencedROINumber", 2)
            dataset[keyword].value.append(item)
        dataset.RTROIObservationsSequence[1].ObservationNumber = 2
        dataset.StructureSetROISequence[1].ROIName = "GTV_MR"
        dataset.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = pydicom.uid.generate_uid()

    edit(structure_set, add_elsewhere)
    words = ("masks", "--ct", series.folder, "--rtstruct", structure_set, "--output", tmp_path / "masks")
    for asked in (["--roi", "GTV_MR"], ["--roi", "Bladder", "--roi", "GTV_MR"]):
        done = program(*words, *asked)
        assert (done.code, "another frame of reference" in done.stderr) == (3, True)
        assert not (tmp_path / "masks").exists()
    done = program(*words)
    assert done.code == 0, done.stderr
    assert "WARNING: Structure 'GTV_MR' lies in another frame of reference than the CT; left out." in done.stdout
    assert [file.name for file in (tmp_path / "masks").iterdir()] == ["Bladder.nrrd"]


def test_masks_never_go_into_a_result_folder(program, structure_set, series, tmp_path):
    (tmp_path / "report.json").write_text("{}", encoding="utf-8")
    done = program("masks", "--ct", series.folder, "--rtstruct", structure_set, "--output", tmp_path)
    assert done.code == 6
    assert "holds the result of a contouring" in done.stderr
    assert not (tmp_path / "Bladder.nrrd").exists()


@pytest.mark.parametrize("name", ["CON", "aux.", "Nul.old", "COM1"])
def test_a_mask_is_no_device_of_windows(name):
    assert masks.file_name(name, set()).partition(".")[0] == f"_{name.partition('.')[0]}"
    assert masks.file_name("Contour", set()) == "Contour"


def test_masks_say_where_slices_were_left_out(program, structure_set, series, tmp_path):
    def leave_out(dataset: pydicom.Dataset) -> None:
        drawn = dataset.ROIContourSequence[0]
        heights = sorted({contour.ContourData[2] for contour in drawn.ContourSequence})
        drawn.ContourSequence = [one for one in drawn.ContourSequence if one.ContourData[2] in heights[::2]]

    edit(structure_set, leave_out)
    done = program("masks", "--ct", series.folder, "--rtstruct", structure_set, "--output", tmp_path / "masks")
    assert done.code == 0, done.stderr
    assert "slices between the contours of 'Bladder' have none" in done.stdout
    checked = program("check-rtstruct", structure_set, "--ct", series.folder)
    assert [line.split(": ")[:2] for line in checked.lines] == [["note", "slices-without-contours"]]
    assert checked.code == 0


def test_replace_without_merge_is_a_usage_error(program, series, mask_file, tmp_path):
    done = program("rtstruct", "--ct", series.folder, "--mask", mask_file, "--output", tmp_path / "r.dcm", "--replace")
    assert done.code == 2


def test_merge_says_what_it_did(program, series, mask_file, structure_set, tmp_path):
    path = tmp_path / "merged.dcm"
    arguments = ("rtstruct", "--ct", series.folder, "--mask", mask_file, "--output", path, "--merge", structure_set)
    assert program(*arguments).code == 3
    edit(structure_set, lambda dataset: setattr(dataset, "ApprovalStatus", "APPROVED"))
    done = program(*arguments, "--replace", "--decimate")
    assert done.code == 0, done.stderr
    assert "WARNING: The structure set merged into was APPROVED" in done.stdout
    assert program("check-rtstruct", path, "--ct", series.folder).code == 0


def test_findings_one_a_line_and_code_1(program, series, structure_set):
    edit(structure_set, lambda dataset: setattr(dataset, "StructureSetLabel", "a label of more than 16"))
    edit(structure_set, lambda dataset: delattr(dataset, "StructureSetTime"))
    done = program("check-rtstruct", structure_set, "--ct", series.folder)
    assert done.code == 1
    assert [line.split(": ")[:2] for line in done.lines] == [["error", "missing-attribute"], ["error", "long-value"]]
    assert len(program("check-rtstruct", structure_set).lines) == 2


def test_what_does_not_verify_is_not_put_in_place(program, tmp_path):
    """Pixels smaller than what a coordinate's decimals resolve: no contour can follow them."""
    geometry = grid((30, 30, 4), (0.00006, 0.00006, 1.0))
    write_series(tmp_path / "ct", geometry)
    mask = np.zeros(geometry.shape, bool)
    mask[1:3, 5:25, 6:24] = True
    mask[1:3, 8:20:3, 9:20:3] = False
    write_volume(mask_volume(mask, geometry), tmp_path / "mask.nrrd")
    path = tmp_path / "out" / "rs.dcm"
    path.parent.mkdir()
    path.write_bytes(b"an older file")
    done = program("rtstruct", "--ct", tmp_path / "ct", "--mask", tmp_path / "mask.nrrd", "--output", path)
    assert done.code == 9, done.stdout + done.stderr
    assert "not put in place" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["error"]["kind"] == "verification"
    assert [file.read_bytes() for file in path.parent.iterdir()] == [b"an older file"]


def test_contours_as_text(program, series, structure_set, tmp_path):
    path = tmp_path / "contours.txt"
    done = program("contours", "--rtstruct", structure_set, "--roi", "bladder", "--output", path)
    assert done.code == 0, done.stderr
    lines = path.read_text(encoding="utf-8").splitlines()
    slices = [line for line in lines if line.startswith("slice")]
    assert len(slices) == int(SHAPES["shell"](series.ct.volume.geometry).any(axis=(1, 2)).sum())
    kinds = [line.split() for line in lines if line.startswith(("outer", "inner"))]
    coordinates = [line for line in lines if not line.startswith(("#", "slice", "outer", "inner"))]
    assert sum(int(count) for _, count in kinds) == len(coordinates)
    inner = [kind for kind, _ in kinds].count("inner")
    hollow = (np.linalg.norm(offsets_mm(series.ct.volume.geometry), axis=-1) <= 11).any(axis=(1, 2)).sum()
    assert inner == hollow
    assert program("contours", "--rtstruct", structure_set, "--roi", "Liver", "--output", path).code == 3
    for folder in (tmp_path, Path()):
        refused = program("contours", "--rtstruct", structure_set, "--roi", "bladder", "--output", folder)
        assert refused.code == 6
        assert f"{folder} is a folder. Name the file to write to." in refused.stderr


def test_contours_that_were_cut_off_are_told(program, structure_set, tmp_path):
    def cut(dataset: pydicom.Dataset) -> None:
        contour = dataset.ROIContourSequence[0].ContourSequence[0]
        contour.ContourData = list(contour.ContourData)[:-3]

    edit(structure_set, cut)
    done = program("contours", "--rtstruct", structure_set, "--roi", "Bladder", "--output", tmp_path / "contours.txt")
    assert done.code == 0, done.stderr
    assert "WARNING: 1 contours of 'Bladder' declare another number of points than they have." in done.stdout


@pytest.mark.parametrize("direction", [*DIRECTIONS, "sagittal"])
def test_contours_without_references_are_grouped_by_plane(direction):
    """In whichever direction the slices lie, and where rounding may part one plane: at the middle of its steps."""
    sagittal = ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
    geometry = grid((40, 40, 8), (1.0, 1.0, 1.25), DIRECTIONS.get(direction, sagittal), (0.0, 0.0, -803.005))
    contours = []
    for z in range(2, 6):
        for x, y in ((5, 5), (18, 9), (21, 30)):
            ring = [(x, y, z), (x + 6, y, z), (x + 6, y + 5.2, z), (x, y + 3.1, z)]
            contours.append(Contour("CLOSED_PLANAR", geometry.to_patient(np.array(ring)).round(4), ()))
    text = list(contours_command.lines(Roi(1, "Bladder", "", tuple(contours))))
    parts = " ".join(line.split()[0] for line in text if line[0] in "so").split("slice")[1:]
    assert parts == [" outer outer outer "] * 3 + [" outer outer outer"]


def test_inspect_lists_series_and_findings(program, tmp_path):
    write_series(tmp_path / "a", seed=1)
    done = program("inspect", tmp_path)
    assert done.code == 0
    assert len(done.lines) == 1
    assert "64 x 56 x 20, 1.2 x 1.1 x 3 mm" in done.lines[0]
    write_series(tmp_path / "b", seed=2)[7].unlink()
    (tmp_path / "note.txt").write_text("hello", encoding="ascii")
    done = program("inspect", tmp_path)
    assert done.code == 1
    assert [line.split(":")[0] for line in done.lines] == ["series", "series", "note", "error"]
    assert "gap" in done.lines[-1]
    assert "PHANTOM" not in done.stdout


def test_inspect_of_nothing(program, tmp_path):
    assert program("inspect", tmp_path / "missing").code == 3
    (tmp_path / "note.txt").write_text("hello", encoding="ascii")
    nothing = program("inspect", tmp_path)
    assert nothing.code == 1
    assert "no CT series" in nothing.stdout


@pytest.mark.parametrize("name", ["ct.nrrd", "CT.NII.GZ"])
def test_a_folder_with_a_volume_file_alone_says_what_to_give(program, mask_file, tmp_path, name):
    folder = tmp_path / "patient"
    folder.mkdir()
    (folder / name).write_bytes(mask_file.read_bytes())
    words = ("--mask", mask_file, "--output", tmp_path / "rs.dcm")
    assert f"To contour {name}, give that file itself." in program("rtstruct", "--ct", folder, *words).stderr
    assert "itself" not in program("rtstruct", "--ct", folder / name, *words).stderr


def test_contours_are_not_written_over_the_structure_set_that_they_are_read_from(program, series, mask_file, tmp_path):
    path = tmp_path / "RTSTRUCT.dcm"
    assert program("rtstruct", "--ct", series.folder, "--mask", mask_file, "--output", path).code == 0
    before = path.read_bytes()
    assert program("contours", "--rtstruct", path, "--roi", "Bladder", "--output", path).code == 6
    assert path.read_bytes() == before


@pytest.mark.parametrize("late", [True, False])
def test_a_cancel_is_told_unless_the_file_lies_there_already(series, mask_file, tmp_path, late):
    path = tmp_path / "RTSTRUCT.dcm"

    class Asked(Cancellation):
        """Somebody asks to stop once the file is in its place, or before anything."""

        def check(self) -> None:
            if path.exists() or not late:
                raise Cancelled("Cancelled: no result was written.")

    parser = argparse.ArgumentParser()
    rtstruct.add_arguments(parser)
    words = ["--ct", series.folder, "--mask", mask_file, "--output", path]
    arguments, heard = parser.parse_args([str(word) for word in words]), io.StringIO()
    if late:
        assert rtstruct.run(arguments, Events(heard, Asked())) == 0
        assert json.loads(heard.getvalue().splitlines()[-1])["event"] == "result"
    else:
        with pytest.raises(Cancelled):
            rtstruct.run(arguments, Events(heard, Asked()))
    assert path.exists() == late
