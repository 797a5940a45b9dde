"""Bladder Auto-Contour in 3D Slicer: the module's registration, its widget and its test. Wiring, and nothing else.

The work stands in `BladderAutoContourLib/slicer`; the engine beside it knows nothing of Slicer and runs as a process.
"""

import logging
import shutil
import sys
import time
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

LEAST_PYTHON = (3, 11)  # Slicer 5.10 and later bring a newer one
PATIENCE_SECONDS = 600.0  # longer than anything takes on the slowest computer


def engine_python() -> Path:
    """Slicer's own Python as a program; where there is no Slicer, the one that runs this."""
    return Path(shutil.which("PythonSlicer") or sys.executable)


def too_old() -> str:
    """A sentence where this Slicer's Python cannot run the module; empty where it can."""
    if sys.version_info >= LEAST_PYTHON:
        return ""
    return _("Bladder Auto-Contour needs Slicer 5.10 or later. Install a newer Slicer, then the extension in it.")


class BladderAutoContour(ScriptedLoadableModule):
    """What Slicer's module list and help show, and what other modules are told when Slicer has started."""

    def __init__(self, parent):
        super().__init__(parent)
        self.parent.title = _("Bladder Auto-Contour")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "SegmentEditor"]
        self.parent.contributors = ["Bladder Auto-Contour contributors"]
        self.parent.helpText = _(
            "Contours the bladder in pelvic CT: load a CT, click Auto-contour bladder, look at every slice and at the "
            "warnings, correct two or three slices and propagate, export. README.md in the extension's folder tells "
            "more. Research software, not a medical device: every contour must be reviewed before it is used, "
            "however certain the program says it is."
        )
        self.parent.acknowledgementText = _(
            "After X. Xu, F. Zhou, B. Liu: Automatic bladder segmentation from CT images using deep CNN and 3D fully "
            "connected CRF-RNN. Int J Comput Assist Radiol Surg 13, 967-975 (2018), doi:10.1007/s11548-018-1733-7."
        )
        slicer.app.connect("startupCompleted()", self.register)

    def register(self):
        """Offer the sample CT in Sample Data, and structure sets in Slicer's DICOM export."""
        if too_old():
            return
        from BladderAutoContourLib.slicer import sample_data
        from BladderAutoContourLib.slicer.export import plugin
        from BladderAutoContourLib.slicer.export.waiting import PluginEngine

        engine = PluginEngine(engine_python(), Path(slicer.app.temporaryPath), logging.info)
        plugin.register(engine.export, engine.wait)
        sample_data.register(engine_python(), Path(self.resourcePath("Icons/BladderAutoContour.png")))


class BladderAutoContourWidget(ScriptedLoadableModuleWidget):
    """The module's panel."""

    panel = None

    def setup(self):
        super().setup()
        if too_old():
            label = qt.QLabel(too_old())
            label.wordWrap = True
            self.layout.addWidget(label)
            self.layout.addStretch(1)
            return
        from BladderAutoContourLib.slicer.panel.panel import Panel

        widget = slicer.util.loadUI(self.resourcePath("UI/BladderAutoContour.ui"))
        self.layout.addWidget(widget)
        self.panel = Panel(slicer.util.childWidgetVariables(widget), engine_python())
        if getattr(self.parent, "isEntered", False):  # reloaded: nobody enters it once more
            self.enter()

    def enter(self):
        if self.panel:
            self.panel.enter()

    def exit(self):
        if self.panel:
            self.panel.leave()

    def cleanup(self):
        if self.panel:
            self.panel.close()

    def onReload(self):
        """Reload and Test: the library too, not this file alone."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "BladderAutoContourLib"]:
            del sys.modules[name]
        super().onReload()


class BladderAutoContourTest(ScriptedLoadableModuleTest):
    """Runs inside Slicer, by Reload and Test and by ctest: from the sample CT to the contour, through the panel."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_from_click_to_correction()

    def test_from_click_to_correction(self):
        """The sample pelvis, the big button, a plausible bladder; a slice of it corrected, propagated and accepted."""
        from BladderAutoContourLib.slicer.process.installer import torch_state
        from BladderAutoContourLib.slicer.sample_data import load_pelvis
        from DICOMLib import DICOMUtils

        if not torch_state().usable:
            self.skipTest("PyTorch is not installed in this Slicer")
        self.delayDisplay("Generating a pelvis CT")
        with DICOMUtils.TemporaryDICOMDatabase():
            ct = load_pelvis(engine_python(), slicer.app.processEvents)
            widget = BladderAutoContourWidget()
            try:
                self._contour_and_correct(widget, ct)
            finally:
                widget.cleanup()
        self.delayDisplay("The bladder is contoured and corrected")

    def _contour_and_correct(self, widget, ct):
        from BladderAutoContourLib.slicer.scene.segmentation import contours_of, is_edited

        widget.enter()
        ui, logic = widget.panel.ui, widget.panel.logic
        self.delayDisplay("Contouring its bladder")
        self.assertTrue(ui.contourButton.enabled, ui.contourButton.toolTip)
        ui.contourButton.click()
        self._wait(lambda: not logic.contouring)
        self.assertEqual(ui.messageLabel.text, "")
        (contour,) = contours_of(ct)
        self._expect_inside(contour, ct)
        self.assertFalse(is_edited(contour))
        self.delayDisplay("Correcting a slice, and carrying it on")
        drawn = slicer.util.arrayFromSegmentBinaryLabelmap(contour.segmentation, contour.segment_id, ct).copy()
        slices = drawn.any(axis=(1, 2)).nonzero()[0]
        middle = slices[len(slices) // 2]
        drawn[middle, :, 4:] |= drawn[middle, :, :-4]
        slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, contour.segmentation, contour.segment_id, ct)
        self._wait(lambda: ui.propagateButton.enabled)
        ui.propagateButton.click()
        self._wait(lambda: not logic.correcting)
        self.assertGreater(ui.proposalTable.rowCount, 0, ui.correctionLabel.text)
        ui.acceptButton.click()
        accepted = slicer.util.arrayFromSegmentBinaryLabelmap(contour.segmentation, contour.segment_id, ct)
        self.assertTrue((accepted[middle] == drawn[middle]).all())
        self.assertTrue((accepted != drawn).any())

    def _wait(self, reached):
        late = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            self.assertLess(time.monotonic(), late, "this takes too long")
            slicer.app.processEvents()

    def _expect_inside(self, contour, ct):
        centre = contour.segmentation.GetSegmentCenterRAS(contour.segment_id)
        bounds = [0.0] * 6
        ct.GetRASBounds(bounds)
        for axis in range(3):
            self.assertGreater(centre[axis], bounds[2 * axis])
            self.assertLess(centre[axis], bounds[2 * axis + 1])
