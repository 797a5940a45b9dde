"""What the engine is given for a CT of the scene, and what it is refused."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import slicer
import vtk
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.errors import InputError, OutputError
from BladderAutoContourLib.imaging.files import read_volume
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.slicer.scene.ct_source import (
    candidates,
    reason_against,
    reason_against_painting,
    shown_ct,
    source_of,
)
from BladderAutoContourLib.slicer.scene.segmentation import begin_by_hand
from BladderAutoContourLib.slicer.scene.voxels import grid_of
from ct_scene import DIRECTIONS, RAS, add_ct, grid, load_dicom, load_multi_frame, texture, write_series
from standin.dicom import ctkDICOMDatabase


@pytest.fixture
def series(scene, tmp_path):
    """Files of an oblique series, and the node that was loaded from them."""
    files = write_series(texture(grid(DIRECTIONS["oblique"])), tmp_path / "Röntgen 膀胱")
    return files, load_dicom(files)


def move(node, *, degrees: float = 0.0, millimetres: float = 0.0) -> slicer.vtkMRMLLinearTransformNode:
    transform = vtk.vtkTransform()
    transform.RotateZ(degrees)
    transform.Translate(0, 0, millimetres)
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    parent.SetMatrixTransformToParent(transform.GetMatrix())
    node.SetAndObserveTransformNodeID(parent.GetID())
    return parent


@pytest.mark.parametrize("direction", ["axial", "oblique", "feet first"])
def test_a_ct_from_dicom_is_read_from_its_own_files(scene, tmp_path, direction):
    files = write_series(texture(grid(DIRECTIONS[direction])), tmp_path / "ct")
    source = source_of(load_dicom(files), tmp_path / "work")
    assert source.from_dicom
    assert source.paths == tuple(files)
    assert source.series_uid == pydicom.dcmread(files[0]).SeriesInstanceUID
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_ct_from_no_file_is_written_voxel_for_voxel(scene, tmp_path, direction, dtype):
    volume = texture(grid(DIRECTIONS[direction]))
    volume = Volume(volume.array.astype(dtype), volume.geometry)
    node = add_ct(volume, name="Müller, Anna")
    node.SetAttribute("DICOM.PatientName", "Müller")
    source = source_of(node, tmp_path)
    assert not source.from_dicom
    assert source.series_uid is None
    assert "not loaded from DICOM" in source.why_not_dicom
    (path,) = source.paths
    written = read_volume(path)
    assert written.array.dtype == dtype
    np.testing.assert_array_equal(written.array, volume.array)
    assert written.geometry.same_as(volume.geometry, tolerance_mm=1e-6)
    assert b"ller" not in path.read_bytes()[:2000]
    assert "ller" not in path.name
    assert sitk.ReadImage(str(path)).GetSize() == volume.geometry.size


def test_each_ct_gets_a_file_of_its_own(scene, tmp_path):
    node = add_ct(texture(grid()))
    assert source_of(node, tmp_path).paths != source_of(node, tmp_path).paths


def test_a_working_folder_that_is_none_is_told(scene, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="working folder"):
        source_of(add_ct(texture(grid())), tmp_path / "file")


def test_a_full_disk_is_told_and_leaves_nothing(scene, full_disk):
    with pytest.raises(OutputError, match="disk is full"):
        source_of(add_ct(texture(grid(size=(64, 64, 40)))), full_disk)
    assert list(full_disk.iterdir()) == []


def test_files_that_are_gone_are_told(series, tmp_path):
    files, node = series
    files[3].unlink()
    with pytest.raises(InputError, match="1 of the 20 DICOM files") as told:
        source_of(node, tmp_path)
    assert told.value.files == (str(files[3]),)


@pytest.mark.parametrize("how", ["other database", "closed", "none"])
def test_a_series_that_the_database_does_not_know_is_read_from_the_scene(series, tmp_path, how):
    files, node = series
    if how == "other database":
        slicer.dicomDatabase = ctkDICOMDatabase(tmp_path)
    elif how == "closed":
        slicer.dicomDatabase.closeDatabase()
    else:
        slicer.dicomDatabase = None
    source = source_of(node, tmp_path)
    assert not source.from_dicom
    assert "not in Slicer's DICOM database" in source.why_not_dicom
    written, truth = read_volume(source.paths[0]), read_ct(files).volume
    np.testing.assert_array_equal(written.array, truth.array)
    assert written.geometry.same_as(truth.geometry)


def test_a_hardened_transform_makes_the_volume_the_source(series, tmp_path):
    _, node = series
    move(node, millimetres=2.0)
    node.HardenTransform()
    source = source_of(node, tmp_path)
    assert "moved, cropped or resampled" in source.why_not_dicom
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    assert read_volume(source.paths[0]).geometry.origin_mm[2] == pytest.approx(matrix.GetElement(2, 3))


def test_a_resampled_volume_is_read_from_the_scene(series, tmp_path):
    _, node = series
    array = slicer.util.arrayFromVolume(node)[:, :-1].copy()
    slicer.util.updateVolumeFromArray(node, array)
    source = source_of(node, tmp_path)
    assert "moved, cropped or resampled" in source.why_not_dicom
    np.testing.assert_array_equal(read_volume(source.paths[0]).array, array)


@pytest.mark.parametrize("direction", ["axial", "oblique", "feet first"])
@pytest.mark.parametrize("order", [range(20), range(19, -1, -1)], ids=["up", "down"])
def test_a_multi_frame_ct_is_read_from_its_own_file(scene, tmp_path, direction, order):
    volume = texture(grid(DIRECTIONS[direction]))
    node, file = load_multi_frame(volume, tmp_path, order)
    source = source_of(node, tmp_path)
    assert source.from_dicom
    assert source.paths == (file,)
    assert source.series_uid == pydicom.dcmread(file).SeriesInstanceUID
    # The engine sees it as Slicer shows it: a contour of one lies right on the other.
    seen = read_ct(source.paths, source.series_uid).volume
    np.testing.assert_array_equal(seen.array, slicer.util.arrayFromVolume(node))
    np.testing.assert_allclose(RAS @ seen.geometry.matrix, grid_of(node).ijk_to_ras, atol=1e-3)


def test_frames_that_slicer_cannot_order_are_told(scene, tmp_path):
    node, _ = load_multi_frame(texture(grid()), tmp_path, [0, 1, 2, 3, 5, 4, *range(6, 20)])
    assert "Slicer cannot order its frames" in source_of(node, tmp_path).why_not_dicom


@pytest.mark.parametrize("how", ["moved", "cropped", "without its frames' places"])
def test_a_multi_frame_ct_that_is_not_as_its_file_is_read_from_the_scene(scene, tmp_path, how):
    node, file = load_multi_frame(texture(grid()), tmp_path)
    if how == "moved":
        move(node, millimetres=2.0)
        node.HardenTransform()
    elif how == "cropped":
        slicer.util.updateVolumeFromArray(node, slicer.util.arrayFromVolume(node)[:, :-1].copy())
    else:
        dataset = pydicom.dcmread(file)
        del dataset.PerFrameFunctionalGroupsSequence
        dataset.save_as(file)
    source = source_of(node, tmp_path)
    assert "one multi-frame DICOM file" in source.why_not_dicom
    np.testing.assert_array_equal(read_volume(source.paths[0]).array, slicer.util.arrayFromVolume(node))


def test_a_multi_frame_file_that_is_damaged_is_told(scene, tmp_path):
    node, file = load_multi_frame(texture(grid()), tmp_path)
    file.write_bytes(b"lost")
    with pytest.raises(InputError, match="cannot be read") as told:
        source_of(node, tmp_path)
    assert told.value.files == (str(file),)


@pytest.mark.parametrize(("degrees", "millimetres"), [(10.0, 0.0), (0.0, 1.0)])
def test_a_moved_ct_is_refused(series, tmp_path, degrees, millimetres):
    _, node = series
    move(node, degrees=degrees, millimetres=millimetres)
    assert "moved by a transform" in reason_against(node)
    with pytest.raises(InputError, match="moved by a transform"):
        source_of(node, tmp_path)
    assert candidates(slicer.mrmlScene) == [node]  # it may be chosen, and then says why not


def test_a_transform_that_moves_nothing_is_none(series, tmp_path):
    files, node = series
    move(node)
    assert reason_against(node) is None
    assert source_of(node, tmp_path).paths == tuple(files)


def test_a_bent_ct_is_refused(scene, tmp_path):
    node = add_ct(texture(grid()))
    bend = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    bend.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    node.SetAndObserveTransformNodeID(bend.GetID())
    with pytest.raises(InputError, match="bent by a transform"):
        source_of(node, tmp_path)


def test_slices_that_a_scanner_rounded_are_read_from_the_files(scene, tmp_path):
    """Slicer bends the volume by hundredths of a millimetre; the engine takes such series."""
    shifts = np.random.default_rng(1).uniform(-0.02, 0.02, 20)
    files = write_series(texture(grid()), tmp_path / "ct", shifts)
    node = load_dicom(files)
    assert node.GetParentTransformNode() is not None
    assert reason_against(node) is None
    source = source_of(node, tmp_path)
    assert source.paths == tuple(files)
    assert read_ct(source.paths, source.series_uid).volume.geometry.size == (40, 36, 20)


def test_uneven_slices_are_left_to_the_engine_to_refuse(scene, tmp_path):
    files = write_series(texture(grid()), tmp_path / "ct", np.where(np.arange(20) < 10, 0.0, 1.4 * np.arange(20)))
    node = load_dicom(files)
    assert node.GetParentTransformNode() is not None
    source = source_of(node, tmp_path)
    assert source.paths == tuple(files)
    with pytest.raises(InputError, match="not evenly spaced"):
        read_ct(source.paths, source.series_uid)


def test_uneven_slices_without_their_files_are_refused(scene, tmp_path):
    node = load_dicom(write_series(texture(grid()), tmp_path / "ct", 0.05 * (np.arange(20) % 3)))
    slicer.dicomDatabase = None
    with pytest.raises(InputError, match="uneven slices"):
        source_of(node, tmp_path)


@pytest.mark.parametrize(("shift_mm", "paintable"), [(0.05, True), (2.0, False)])
def test_a_ct_that_slicer_bent_far_is_not_painted_on(scene, tmp_path, shift_mm, paintable):
    """Slicer's brush passes over the bend: it would draw on another slice than the one that is seen."""
    shifts_mm = shift_mm * (np.arange(20) % 3 == 1)
    node = load_dicom(write_series(texture(grid()), tmp_path / "ct", shifts_mm))
    assert (reason_against_painting(node) is None) is paintable
    if paintable:
        assert begin_by_hand(node).volume is node
        return
    with pytest.raises(InputError, match="would draw in other places"):
        begin_by_hand(node)


def test_an_acquisition_transform_that_somebody_moved_is_refused(scene, tmp_path):
    node = load_dicom(write_series(texture(grid()), tmp_path / "ct", 0.05 * (np.arange(20) % 3)))
    move(node.GetParentTransformNode(), millimetres=3.0)
    assert "bent by a transform" in reason_against(node)


def test_what_is_no_ct_is_refused_with_a_reason(scene, tmp_path):
    ct = add_ct(texture(grid()))
    labels = slicer.util.addVolumeFromArray(np.zeros((9, 9, 9), np.uint8), nodeClassName="vtkMRMLLabelMapVolumeNode")
    colours = slicer.util.addVolumeFromArray(np.zeros((9, 9, 9, 3), np.uint8), nodeClassName="vtkMRMLVectorVolumeNode")
    slice_ = slicer.util.addVolumeFromArray(np.zeros((1, 9, 9), np.int16))
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    gone = add_ct(texture(grid()))
    scene.RemoveNode(gone)
    reasons = {
        labels: "not a labelmap",
        colours: "colour image",
        slice_: "too few slices (1)",
        empty: "no image",
        gone: "Choose a CT",
        None: "Choose a CT",
    }
    for node, words in reasons.items():
        assert words in reason_against(node)
        with pytest.raises(InputError) as told:
            source_of(node, tmp_path)
        assert words in str(told.value)
    assert candidates(scene) == [ct]
    assert reason_against(ct) is None
    assert list(tmp_path.iterdir()) == []


def test_an_mr_image_is_refused(series):
    _, node = series
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    assert candidates(slicer.mrmlScene) == [node]
    tree.SetItemAttribute(tree.GetItemByDataNode(node), "DICOM.Modality", "MR")
    assert "MR image" in reason_against(node)
    assert candidates(slicer.mrmlScene) == []


def test_the_ct_of_the_red_view_is_the_one_shown(scene):
    first, second = add_ct(texture(grid()), "first"), add_ct(texture(grid()), "second")
    assert shown_ct(scene) is None
    for name, shown in (("Green", first), ("Red", second)):
        view = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
        view.SetLayoutName(name)
        view.SetBackgroundVolumeID(shown.GetID())
    assert shown_ct(scene) is second
    second.SetHideFromEditors(True)
    assert shown_ct(scene) is None
    assert candidates(scene) == [first]
    scene.Clear(False)
    assert shown_ct(scene) is None
