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
from BladderAutoContourLib.slicer.scene.segmentation import contours_of  # noqa: E402
from clinic import Clinician  # noqa: E402
from PySide6.QtGui import QPainter  # noqa: E402
from standin.segment_editor import paint  # noqa: E402
from standin.views import window_picture  # noqa: E402

FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Screenshots"
PANEL_WIDTH, SIZE = 440, (1280, 800)
SOFT_TISSUE_HU = (400, 40)
"""Window and level in which pelves are looked at."""


def main(folder: Path) -> None:
    """Go the clinician's way and take a picture at every stop."""
    with strict_session() as application:
        clinician = Clinician()
        clinician.open()
        ct = load_pelvis(Path(sys.executable), application.processEvents)
        ct.GetDisplayNode().SetAutoWindowLevel(False)
        ct.GetDisplayNode().SetWindowLevel(*SOFT_TISSUE_HU)
        clinician.settle()
        _take(clinician, folder / "1-load.png")
        clinician.ui.contourButton.click()
        clinician.wait_for_step("Drawing the contour")
        _take(clinician, folder / "2-contour.png")
        clinician.wait_for_result()
        _take(clinician, folder / "3-review.png")
        clinician.click_cell("warningTable", 0, 1)
        _correct(clinician, ct)
        _take(clinician, folder / "4-correct.png")
        clinician.ui.correctSection.collapsed = True
        clinician.ui.exportButton.click()
        clinician.open_dialog().toDatabase.setChecked(True)
        _take(clinician, folder / "5-export.png", dialog=True)
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
