"""Bladder Auto-Contour in 3D Slicer: the module's registration, its widget and its test entry.

This version registers the module and says how to contour from the command line; the engine in `BladderAutoContourLib`
knows nothing of Slicer.
"""

import qt
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


class BladderAutoContour(ScriptedLoadableModule):
    """What Slicer's module list and help show."""

    def __init__(self, parent):
        super().__init__(parent)
        self.parent.title = _("Bladder Auto-Contour")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["Bladder Auto-Contour contributors"]
        self.parent.helpText = _(
            "Contours the bladder in pelvic CT. Research software, not a medical device: "
            "every contour must be reviewed before it is used."
        )
        self.parent.acknowledgementText = _(
            "After X. Xu, F. Zhou, B. Liu: Automatic bladder segmentation from CT images using deep CNN and 3D fully "
            "connected CRF-RNN. Int J Comput Assist Radiol Surg 13, 967-975 (2018), doi:10.1007/s11548-018-1733-7."
        )


class BladderAutoContourWidget(ScriptedLoadableModuleWidget):
    """Says what this version can do. The panel comes with the next one."""

    def setup(self):
        super().setup()
        notice = qt.QLabel(
            _(
                "The panel comes with the next version. This one contours from a terminal; the result folder holds the "
                "mask, which you can load here, and the RTSTRUCT:"
            )
        )
        notice.wordWrap = True
        command = qt.QLineEdit("PythonSlicer -m BladderAutoContourLib segment <CT folder> --output <result folder>")
        command.readOnly = True
        command.toolTip = _("PythonSlicer lies in the folder bin of Slicer.")
        self.layout.addWidget(notice)
        self.layout.addWidget(command)
        self.layout.addStretch(1)


class BladderAutoContourTest(ScriptedLoadableModuleTest):
    """Run inside Slicer: by Reload and Test, and by ctest."""

    def runTest(self):
        self.test_engine_answers()

    def test_engine_answers(self):
        """Slicer's own Python finds the engine, and the engine's rooms that need no PyTorch work there."""
        from BladderAutoContourLib.imaging.geometry import Geometry

        grid = Geometry(size=(4, 5, 6), spacing_mm=(1.0, 2.0, 3.0))
        self.assertEqual(grid.shape, (6, 5, 4))
        self.assertAlmostEqual(grid.voxel_ml, 0.006)
