"""Slicer's own views, drawn off screen: the bladder's colour is in them, and only where the bladder is shown."""

import matplotlib.image
import numpy as np
import pytest
import qt
import slicer
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.slicer.scene.proposal import Corrected, Proposal
from BladderAutoContourLib.slicer.scene.segmentation import as_it_stands, begin_by_hand
from BladderAutoContourLib.slicer.scene.touched import touched_of
from BladderAutoContourLib.slicer.scene.voxels import VoxelBox
from ct_scene import add_ct, grid
from standin import views

COLOUR = (222, 198, 101)  # not a grey, and none of the colours of the views themselves
SIZE = (160, 120)


@pytest.fixture
def bladder(app, scene):
    """A bladder in a body of fat, over its CT; the segmentation."""
    geometry = grid()
    z, y, x = np.indices(geometry.shape)
    ball = ((z - 10) / 5) ** 2 + ((y - 18) / 8) ** 2 + ((x - 14) / 8) ** 2 <= 1
    ct = add_ct(Volume(np.where(ball, 10, -100).astype(np.int16), geometry))
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Contours")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    segmentation.GetSegmentation().AddEmptySegment("bladder", "Bladder", [part / 255 for part in COLOUR])
    slicer.util.updateSegmentBinaryLabelmapFromArray(ball.astype(np.uint8), segmentation, "bladder", ct)
    segmentation.CreateClosedSurfaceRepresentation()
    slicer.util.setSliceViewerLayers(background=ct)
    app.layoutManager().resetSliceViews()
    bounds = np.zeros(6)
    segmentation.GetBounds(bounds)
    slicer.vtkMRMLSliceNode.JumpAllSlices(scene, *bounds.reshape(3, 2).mean(1))
    return segmentation


def coloured(picture: np.ndarray) -> float:
    """The part of a picture that is of the bladder's hue, whatever its brightness."""
    colour = np.array(COLOUR) / np.linalg.norm(COLOUR)
    pixels = picture.reshape(-1, 3).astype(float)
    lengths = np.maximum(np.linalg.norm(pixels, axis=1), 1)
    spread = pixels.max(1) - pixels.min(1)
    return float(((pixels @ colour / lengths > 0.97) & (spread > 30)).mean())


@pytest.mark.parametrize("name", ["Red", "Green", "Yellow"])
def test_a_slice_view_shows_the_bladder_in_its_colour(bladder, name):
    shown = views.slice_picture(name, SIZE)
    assert shown.shape == (120, 160, 3)
    bladder.GetDisplayNode().SetVisibility(False)
    hidden = views.slice_picture(name, SIZE)
    assert coloured(shown) > 0.03
    assert coloured(hidden) == 0
    assert hidden.std() > 10  # the CT itself


def test_the_three_d_view_shows_the_bladder_in_its_colour(bladder):
    shown = views.three_d_picture(SIZE)
    bladder.GetDisplayNode().SetVisibility(False)
    assert coloured(shown) > 0.01
    assert coloured(views.three_d_picture(SIZE)) == 0


def test_a_proposal_is_seen_as_a_yellow_outline_over_the_slices_and_not_in_three_d(bladder):
    (ct,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    proposed = slicer.util.arrayFromSegmentBinaryLabelmap(bladder, "bladder", ct) > 0
    bladder.GetDisplayNode().SetVisibility(False)
    contour = begin_by_hand(ct)
    before, grid = as_it_stands(contour)
    whole = VoxelBox(proposed, (0, 0, 0), grid.ijk_to_ras)
    proposal = Proposal(Corrected(contour, before, whole, touched_of(contour), (), grid.voxel_ml))
    seen = [yellow(views.slice_picture(name, SIZE)) for name in ("Red", "Green", "Yellow")]
    assert all(0.002 < part < 0.03 for part in seen), "a line, and no area"
    assert yellow(views.three_d_picture(SIZE)) == 0
    proposal.discard()
    assert yellow(views.slice_picture("Red", SIZE)) == 0


def yellow(picture: np.ndarray) -> float:
    """The part of a picture that is yellow, as no CT and no bladder is."""
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return float(((red > 150) & (green > 130) & (blue < 90)).mean())


def test_a_slice_view_shows_the_slice_it_was_moved_to(app, bladder):
    before = views.slice_picture("Red", SIZE)
    node = app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    node.SetSliceOffset(node.GetSliceOffset() + 24.0)  # eight slices on, past the bladder's end
    assert coloured(before) > 0.03
    assert coloured(views.slice_picture("Red", SIZE)) == 0


def test_the_window_holds_the_panel_and_the_four_views(bladder, tmp_path):
    panel = qt.QLabel("The panel")
    picture = views.window_picture(panel, 100, (400, 300))
    assert picture.save(str(tmp_path / "window.png"))
    whole = matplotlib.image.imread(tmp_path / "window.png")[..., :3] * 255
    assert whole.shape == (300, 400, 3)
    assert coloured(whole[:, :100]) == 0
    for rows in (slice(None, 150), slice(150, None)):
        for columns in (slice(100, 250), slice(250, None)):
            assert coloured(whole[rows, columns]) > 0.01
