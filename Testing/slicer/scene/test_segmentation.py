"""The engine's result as a segmentation: where it lies, how it looks, what it remembers."""

import datetime

import numpy as np
import pytest
import slicer
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.errors import InputError
from BladderAutoContourLib.imaging.files import read_volume
from BladderAutoContourLib.slicer.export.structure_set import generation_of
from BladderAutoContourLib.slicer.scene.kept_contour import fact
from BladderAutoContourLib.slicer.scene.outcome import outcome_of, told_of
from BladderAutoContourLib.slicer.scene.segmentation import (
    contours_of,
    is_edited,
    restore_automatic,
    show_result,
    write_mask,
)
from BladderAutoContourLib.slicer.scene.slices import slice_position_ras
from ct_scene import (
    DIRECTIONS,
    RAS,
    add_ct,
    blob,
    drawn,
    grid,
    load_dicom,
    texture,
    voxels,
    write_series,
)
from ct_scene import OBLIQUE as GRID


def test_the_result_stands_beside_its_ct(ct, result):
    before = datetime.datetime.now().astimezone().replace(microsecond=0)
    contour = show_result(ct, result)
    node, segment = contour.segmentation, contour.segment
    assert node.GetName() == "Pelvis bladder"
    assert contour.volume is ct
    assert (contour.segment_id, segment.GetName()) == ("Bladder", "Bladder")
    assert "~SCT^123037004^Anatomical Structure~SCT^89837001^Bladder~" in segment.GetTerminology()
    assert np.rint(np.multiply(segment.GetColor(), 255)).tolist() == [222, 154, 132]
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.GetSegmentStatus(segment) == logic.InProgress
    facts = {name: fact(segment, name) for name in ("model", "model_sha256", "series_uid")}
    assert facts == {"model": "generated-pelves-2", "model_sha256": "ab" * 32, "series_uid": "1.2.826.0.1"}
    assert before <= datetime.datetime.fromisoformat(fact(segment, "time")) <= datetime.datetime.now().astimezone()
    assert not is_edited(contour)


def test_it_is_seen_over_the_slices_and_in_3d(ct, result):
    contour = show_result(ct, result)
    display = contour.segmentation.GetDisplayNode()
    assert display.GetVisibility()
    assert display.GetVisibility3D()
    assert 0 < display.GetOpacity2DFill() <= 0.3
    assert display.GetOpacity2DOutline() == 1.0
    assert display.GetDisplayRepresentationName3D() == "Closed surface"
    assert display.GetDisplayRepresentationName2D() == "Binary labelmap"
    surface = contour.segmentation.GetClosedSurfaceInternalRepresentation(contour.segment_id)
    assert surface.GetNumberOfCells() > 100
    k, j, i = np.nonzero(blob(GRID))
    places = GRID.to_patient(np.stack([i, j, k], axis=-1)) * (-1, -1, 1)
    bounds = np.reshape(surface.GetBounds(), (3, 2)).T
    np.testing.assert_allclose(bounds, [places.min(axis=0), places.max(axis=0)], atol=3.0)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_it_is_voxel_exact_both_ways(tmp_path, direction):
    geometry = grid(DIRECTIONS[direction])
    mask = blob(geometry)
    ct = add_ct(texture(geometry))
    contour = show_result(ct, drawn(mask, geometry, tmp_path / "result"))
    np.testing.assert_array_equal(voxels(contour, ct), mask)
    path = tmp_path / "Maske ü.nrrd"
    volume_ml = write_mask(contour, path)
    written = read_volume(path)
    assert written.array.dtype == np.uint8
    np.testing.assert_array_equal(written.array, mask)
    assert written.geometry.same_as(geometry, tolerance_mm=1e-6)
    assert volume_ml == pytest.approx(mask.sum() * 1.2 * 1.1 * 3.0 / 1000)


@pytest.mark.parametrize("axes", [(2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("flips", [(), (0,), (0, 1, 2)])
def test_the_scene_may_count_the_voxels_along_other_axes(tmp_path, axes, flips):
    """The engine's grid and Slicer's are the same voxels, whichever way each runs through them."""
    mask, volume = blob(GRID), texture(GRID)
    to_scene = np.zeros((4, 4))
    to_scene[3, 3] = 1
    array, seen = np.flip(volume.array.transpose(axes), flips), np.flip(mask.transpose(axes), flips)
    for new, old in enumerate(axes):  # numpy's axes are k, j, i, the matrix's columns i, j, k
        to_scene[2 - old, 2 - new] = -1 if new in flips else 1
        to_scene[2 - old, 3] = array.shape[new] - 1 if new in flips else 0
    ct = slicer.util.addVolumeFromArray(np.ascontiguousarray(array), ijkToRAS=RAS @ GRID.matrix @ to_scene)
    contour = show_result(ct, drawn(mask, GRID, tmp_path / "result"))
    np.testing.assert_array_equal(voxels(contour, ct), seen)
    write_mask(contour, tmp_path / "mask.nrrd")
    written = read_volume(tmp_path / "mask.nrrd")
    np.testing.assert_array_equal(written.array, mask)
    assert written.geometry.same_as(GRID)


@pytest.mark.parametrize("direction", ["axial", "oblique", "feet first"])
def test_a_ct_from_dicom_gets_its_contour_under_its_study(tmp_path, direction):
    files = write_series(texture(grid(DIRECTIONS[direction])), tmp_path / "ct")
    ct = load_dicom(files)
    engine = read_ct(files).volume
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(ct), engine.array)
    mask = blob(engine.geometry)
    contour = show_result(ct, drawn(mask, engine.geometry, tmp_path / "result"))
    np.testing.assert_array_equal(voxels(contour, ct), mask)
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    study = tree.GetItemParent(tree.GetItemByDataNode(contour.segmentation))
    assert study == tree.GetItemParent(tree.GetItemByDataNode(ct))
    assert tree.GetItemLevel(study) == "Study"
    write_mask(contour, tmp_path / "mask.nrrd")
    written = read_volume(tmp_path / "mask.nrrd")
    assert written.geometry.same_as(engine.geometry)
    np.testing.assert_array_equal(written.array, mask)


def test_a_contour_follows_the_slices_that_slicer_bent(tmp_path):
    """Slices off a regular grid by hundredths of a millimetre: the scene shows them where they were taken."""
    shifts = np.random.default_rng(1).uniform(-0.04, 0.04, 20)
    files = write_series(texture(grid()), tmp_path / "ct", shifts)
    ct, engine = load_dicom(files), read_ct(files)
    mask = blob(engine.volume.geometry)
    contour = show_result(ct, drawn(mask, engine.volume.geometry, tmp_path / "result"))
    assert contour.segmentation.GetParentTransformNode() is ct.GetParentTransformNode() is not None
    np.testing.assert_array_equal(voxels(contour, ct), mask)
    for index in (0, 7, 19):
        assert slice_position_ras(contour, index)[2] == pytest.approx(engine.slices[index].position_mm[2], abs=1e-3)
    write_mask(contour, tmp_path / "mask.nrrd")
    written = read_volume(tmp_path / "mask.nrrd")
    assert written.geometry.same_as(engine.volume.geometry)
    np.testing.assert_array_equal(written.array, mask)


def test_a_slice_spacing_that_was_rounded_keeps_slice_with_slice(ct, result, tmp_path):
    """As where the spacing is taken from the first two slices: 0.01 mm off, 0.2 mm at the last one."""
    ct.SetSpacing(1.2, 1.1, 3.01)
    contour = show_result(ct, result)
    np.testing.assert_array_equal(voxels(contour, ct), blob(GRID))
    write_mask(contour, tmp_path / "mask.nrrd")
    written = read_volume(tmp_path / "mask.nrrd")
    assert written.geometry.same_as(GRID)
    np.testing.assert_array_equal(written.array, blob(GRID))


def test_a_warning_leads_to_its_slice(ct, result):
    contour = show_result(ct, result)
    for index in (0, 9, 19):
        place = np.array(slice_position_ras(contour, index)) * (-1, -1, 1)
        i, j, k = GRID.to_index(place)
        assert k == pytest.approx(index, abs=1e-6)
        assert 6 <= i <= 30  # in the midst of the bladder
        assert 8 <= j <= 29


@pytest.mark.parametrize("end", ["closed", "removed"])
def test_a_ct_or_contour_that_is_gone_is_told(ct, result, tmp_path, end):
    contour = show_result(ct, result)
    if end == "closed":
        slicer.mrmlScene.Clear(False)
    else:
        slicer.mrmlScene.RemoveNode(ct)
        assert contour.volume is None
        with pytest.raises(InputError, match="CT is no longer in the scene"):
            write_mask(contour, tmp_path / "mask.nrrd")
        slicer.mrmlScene.RemoveNode(contour.segmentation)
    with pytest.raises(InputError, match="CT is no longer in the scene"):
        show_result(ct, result)
    with pytest.raises(InputError, match="contour is no longer in the scene"):
        write_mask(contour, tmp_path / "mask.nrrd")
    for ask in (is_edited, restore_automatic):
        with pytest.raises(InputError, match="contour is no longer in the scene"):
            ask(contour)
    with pytest.raises(InputError, match="contour is no longer in the scene"):
        slice_position_ras(contour, 3)
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_a_deleted_segment_is_told(ct, result, tmp_path):
    contour = show_result(ct, result)
    contour.segmentation.RemoveSegment(contour.segment_id)
    with pytest.raises(InputError, match="contour is no longer in the scene"):
        write_mask(contour, tmp_path / "mask.nrrd")
    for ask in (outcome_of, told_of, generation_of):
        with pytest.raises(InputError, match="contour is no longer in the scene"):
            ask(contour)
    assert contours_of(ct) == []


@pytest.mark.parametrize("fault", ["missing", "damaged", "empty", "other size", "moved"])
def test_a_result_that_does_not_fit_leaves_the_scene_as_it_was(ct, tmp_path, fault):
    geometry = grid(size=(40, 36, 21)) if fault == "other size" else GRID
    mask = np.zeros(geometry.shape, np.uint8) if fault == "empty" else blob(geometry)
    result = drawn(mask, geometry, tmp_path / "result")
    if fault == "missing":
        result.mask.unlink()
    elif fault == "damaged":
        result.mask.write_bytes(result.mask.read_bytes()[:300])
    elif fault == "moved":
        ct.SetOrigin(0, 0, 0)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(InputError, match="Contour"):
        show_result(ct, result)
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
