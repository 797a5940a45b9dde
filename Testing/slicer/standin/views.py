"""Pictures of the scene: Slicer's own displayable managers draw its slice views and its 3-D view, off screen.

Needs an OpenGL that draws into memory (EGL); `.ci/run` names the packages that hold it.
"""

from typing import Any

import numpy as np
import slicer
import vtk
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication, QWidget
from vtk.util.numpy_support import vtk_to_numpy

SLICE_MANAGERS = (slicer.vtkMRMLModelSliceDisplayableManager, slicer.vtkMRMLSegmentationsDisplayableManager2D)
THREE_D_MANAGERS = (
    *(slicer.vtkMRMLCameraDisplayableManager, slicer.vtkMRMLViewDisplayableManager),
    *(slicer.vtkMRMLModelDisplayableManager, slicer.vtkMRMLSegmentationsDisplayableManager3D),
)
# Slicer's slice images are already coloured: shown as they are.
WHOLE_WINDOW, MIDDLE_LEVEL = 255.0, 127.5
# Slicer's arrangement of four views, with the colours of their bars: column, row.
FOUR_UP = {"Red": (0, 0, "#f34a33"), "Green": (0, 1, "#6eb04b"), "Yellow": (1, 1, "#edd54c")}
BAR, GAP = 14, 4


def slice_picture(name: str, size: tuple[int, int] = (400, 400)) -> np.ndarray:
    """What a slice view ("Red", "Green", "Yellow") shows, fitted to its background volume: rows, columns, RGB."""
    widget = slicer.app.layoutManager().sliceWidget(name)
    logic, node = widget.sliceLogic(), widget.mrmlSliceNode()
    node.SetDimensions(*size, 1)
    offset = logic.GetSliceOffset()
    logic.FitSliceToBackground()
    logic.SetSliceOffset(offset)
    logic.UpdateImageData()
    renderer, window = _window(size)
    if logic.GetSliceCompositeNode().GetBackgroundVolumeID():
        # Before the managers' actors, which would lie behind it otherwise.
        renderer.AddViewProp(_image(logic))
    renderer.GetActiveCamera().ParallelProjectionOn()
    return _draw(renderer, window, SLICE_MANAGERS, node)


def three_d_picture(size: tuple[int, int] = (400, 400)) -> np.ndarray:
    """What the 3-D view shows, looked at as a whole: rows, columns, RGB."""
    renderer, window = _window(size)
    node = slicer.app.layoutManager().threeDWidget(0).mrmlViewNode()
    return _draw(renderer, window, THREE_D_MANAGERS, node, whole=True)


def window_picture(panel: QWidget, panel_width: int = 440, size: tuple[int, int] = (1440, 900)) -> QImage:
    """The panel with the four views beside it, as the main window shows them."""
    width, height = size
    panel.resize(panel_width, height)
    panel.show()
    QApplication.processEvents()
    picture = QImage(width, height, QImage.Format.Format_RGB888)
    picture.fill(QColor("#efefef"))
    painter = QPainter(picture)
    painter.drawPixmap(0, 0, panel.grab())
    view = ((width - panel_width - 2 * GAP) // 2, (height - GAP) // 2)
    inner = (view[0], view[1] - BAR)
    left, step = panel_width + GAP, (view[0] + GAP, view[1] + GAP)
    for name, (column, row, colour) in FOUR_UP.items():
        x, y = left + column * step[0], row * step[1]
        painter.fillRect(x, y, view[0], BAR, QColor(colour))
        painter.drawText(x + 4, y, view[0], BAR, Qt.AlignmentFlag.AlignVCenter, name[0])
        painter.drawImage(x, y + BAR, _as_image(slice_picture(name, inner)))
    painter.fillRect(left + step[0], 0, view[0], BAR, QColor("#7c7ccf"))
    painter.drawImage(left + step[0], BAR, _as_image(three_d_picture(inner)))
    painter.end()
    return picture


def _as_image(picture: np.ndarray) -> QImage:
    rows, columns, _ = picture.shape
    return QImage(picture.tobytes(), columns, rows, 3 * columns, QImage.Format.Format_RGB888).copy()


def _window(size: tuple[int, int]) -> tuple[vtk.vtkRenderer, vtk.vtkRenderWindow]:
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetMultiSamples(0)
    window.SetSize(*size)
    renderer = vtk.vtkRenderer()
    window.AddRenderer(renderer)
    # Managers ask for an interactor and never use it here.
    interactor = vtk.vtkGenericRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    return renderer, window


def _image(logic: Any) -> vtk.vtkActor2D:
    mapper = vtk.vtkImageMapper()
    mapper.SetInputConnection(logic.GetImageDataConnection())
    mapper.SetColorWindow(WHOLE_WINDOW)
    mapper.SetColorLevel(MIDDLE_LEVEL)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetDisplayLocationToBackground()
    return actor


def _draw(
    renderer: vtk.vtkRenderer, window: vtk.vtkRenderWindow, kinds: tuple[type, ...], node: Any, whole: bool = False
) -> np.ndarray:
    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.SetRenderer(renderer)
    for kind in kinds:
        manager = kind()
        manager.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        group.AddDisplayableManager(manager)
    group.GetInteractor()
    group.SetMRMLDisplayableNode(node)
    if whole:
        renderer.ResetCamera()
    window.Render()
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(window)
    grabber.ReadFrontBufferOff()
    grabber.Update()
    image = grabber.GetOutput()
    columns, rows, _ = image.GetDimensions()
    picture = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3].copy()
    group.SetMRMLDisplayableNode(None)
    window.Finalize()
    return picture
