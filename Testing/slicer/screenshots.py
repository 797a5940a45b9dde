"""Makes the README's pictures of the module: the shipped panel, the real engine, Slicer's real views.

    python Testing/slicer/screenshots.py [FOLDER]

writes Resources/Screenshots/*.png, or into FOLDER. Needs an OpenGL that draws into memory, as the tests of the views.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

from standin.session import install, strict_session

install()

import numpy as np  # noqa: E402
import slicer  # noqa: E402
from BladderAutoContourLib.slicer.sample_data import load_pelvis  # noqa: E402
from BladderAutoContourLib.slicer.scene.segmentation import begin_by_hand, contours_of  # noqa: E402
from clinic import Clinician  # noqa: E402
from PySide6.QtGui import QImage, QPainter  # noqa: E402
from standin.segment_editor import paint  # noqa: E402
from standin.views import slice_picture, window_picture  # noqa: E402

FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Screenshots"
PANEL_WIDTH, SIZE = 440, (1280, 800)
WIDE, CLOSE = 1200, 420
"""Pixels of a whole view, and of the part around the bladder."""
SOFT_TISSUE_HU = (400, 40)
"""Window and level in which pelves are looked at."""


def main(folder: Path) -> None:
    """Go the clinician's way and take a picture at every stop."""
    folder.mkdir(parents=True, exist_ok=True)
    with strict_session() as application:
        clinician = Clinician()
        clinician.open()
        ct = load_pelvis(Path(sys.executable), application.processEvents)
        ct.GetDisplayNode().SetAutoWindowLevel(False)
        ct.GetDisplayNode().SetWindowLevel(*SOFT_TISSUE_HU)
        clinician.settle()
        _take(clinician, folder / "1-load.png")
        clinician.ui.contourButton.click()
        clinician.wait_for_result()
        _take(clinician, folder / "2-review.png")
        clinician.click_cell("warningTable", 0, 1)
        _correct(clinician, ct)
        _take(clinician, folder / "3-correct.png")
        clinician.ui.correctSection.collapsed = True
        clinician.ui.exportButton.click()
        clinician.open_dialog().toDatabase.setChecked(True)
        _take(clinician, folder / "5-export.png", dialog=True)
        _tell_propagation(clinician, ct, folder / "4-propagate.png")
        clinician.close()


def _correct(clinician: Clinician, ct: slicer.vtkMRMLScalarVolumeNode) -> None:
    """A dab of the brush at the upper end of the contour."""
    (contour,) = contours_of(ct)
    clinician.ui.correctSection.collapsed = False
    clinician.ui.segmentEditor.setActiveEffectByName("Paint")
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(contour.segmentation, contour.segment_id, ct) > 0
    top, row, column = np.argwhere(mask)[-1]
    z, y, x = np.indices(mask.shape)
    paint_here = (z > top - 2) & (z < top + 3) & (np.hypot(y - row, x - column) < 8)
    paint(clinician.ui.segmentEditor, paint_here)
    clinician.settle()


def _tell_propagation(clinician: Clinician, ct: slicer.vtkMRMLScalarVolumeNode, path: Path) -> None:
    """Three slices outlined in an empty contour, what is proposed, and what is accepted: a coronal view of each."""
    (contour,) = contours_of(ct)
    ui, whole = clinician.ui, slicer.util.arrayFromSegmentBinaryLabelmap(contour.segmentation, contour.segment_id, ct)
    slices = np.flatnonzero(whole.any(axis=(1, 2)))
    outlined = np.zeros(whole.shape, bool)
    for share in (0.2, 0.5, 0.8):
        outlined[slices[int(share * len(slices))]] = whole[slices[int(share * len(slices))]] > 0
    centre = contour.segmentation.GetSegmentCenterRAS(contour.segment_id)
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *centre)
    begin_by_hand(ct)
    contour.segmentation.GetDisplayNode().SetSegmentVisibility(contour.segment_id, False)
    clinician.settle()
    ui.contourBox.setCurrentIndex(1)
    paint(ui.segmentEditor, outlined)
    clinician.settle()
    pictures = [_near(centre)]
    ui.propagateButton.click()
    clinician.wait_until(lambda: not clinician.panel.logic.correcting)
    clinician.settle()
    pictures.append(_near(centre))
    ui.acceptButton.click()
    clinician.settle()
    pictures.append(_near(centre))
    rows, columns, _ = (story := np.concatenate(pictures, axis=1)).shape
    QImage(story.tobytes(), columns, rows, 3 * columns, QImage.Format.Format_RGB888).save(str(path))


def _near(centre: tuple[float, float, float]) -> np.ndarray:
    """The coronal view around a place, rows, columns, RGB."""
    picture = slice_picture("Green", (WIDE, WIDE))
    node = slicer.app.layoutManager().sliceWidget("Green").mrmlSliceNode()
    to_ras = slicer.util.arrayFromVTKMatrix(node.GetXYToRAS())
    column, row = (np.linalg.inv(to_ras) @ (*centre, 1))[:2].round().astype(int)
    half, row = CLOSE // 2, WIDE - row
    return np.ascontiguousarray(picture[row - half : row + half, column - half : column + half])


def _take(clinician: Clinician, path: Path, dialog: bool = False) -> None:
    picture = window_picture(clinician.window, PANEL_WIDTH, SIZE)
    if dialog:
        (shown,) = (one for one in slicer.app.topLevelWidgets() if one.inherits("QDialog") and one.isVisible())
        face = shown.grab()
        left = PANEL_WIDTH + (picture.width() - PANEL_WIDTH - face.width()) // 2
        top = (picture.height() - face.height()) // 2
        painter = QPainter(picture)
        painter.fillRect(left - 1, top - 1, face.width() + 2, face.height() + 2, "black")
        painter.drawPixmap(left, top, face)
        painter.end()
    picture.save(str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
