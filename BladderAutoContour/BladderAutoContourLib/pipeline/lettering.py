"""Text as pixels and pictures as PNG files, without a window system."""

import struct
import zlib
from pathlib import Path

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkRenderingCore import vtkTextProperty
from vtkmodules.vtkRenderingFreeType import vtkFreeTypeTools

Colour = tuple[int, int, int]
_DOTS_PER_INCH = 72  # a point is a pixel


def text_opacity(text: str, height_px: int) -> np.ndarray:
    """Opacity (rows, columns) in [0, 1] of a line of text whose capitals and descenders fit `height_px` rows."""
    style = vtkTextProperty()
    style.SetFontFamilyToArial()
    style.SetFontSize(round(height_px * 0.8))
    style.SetColor(1, 1, 1)
    image = vtkImageData()
    vtkFreeTypeTools.GetInstance().RenderString(style, text, _DOTS_PER_INCH, image)
    scalars = image.GetPointData().GetScalars()
    if scalars is None:  # nothing to draw
        return np.zeros((1, 1))
    columns, rows, _ = image.GetDimensions()
    pixels = vtk_to_numpy(scalars).reshape(rows, columns, -1)
    opacity = pixels[::-1, :, -1] / 255.0  # VTK's rows run upwards
    used = np.flatnonzero(opacity.any(axis=0))
    filled = np.flatnonzero(opacity.any(axis=1))
    return opacity[filled[0] : filled[-1] + 1, : used[-1] + 1] if used.size else np.zeros((1, 1))


def draw_text(picture: np.ndarray, text: str, row: int, column: int, height_px: int, colour: Colour) -> None:
    """Draw a line of text into an RGB picture (rows, columns, 3), its top left corner at `row`, `column`.

    A dark rim keeps it readable on bone.
    """
    letters = np.pad(text_opacity(text, height_px), 2)
    rim = letters
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        rim = np.maximum(rim, np.roll(rim, step, axis=axis))
    part = picture[max(row - 2, 0) :, max(column - 2, 0) :]
    blend(part, rim * 0.8, (0, 0, 0))
    blend(part, letters, colour)


def blend(picture: np.ndarray, opacity: np.ndarray, colour: Colour) -> None:
    """Mix `colour` into the top left of `picture` where `opacity` says, in place; what lies outside is left out."""
    rows, columns = (min(a, b) for a, b in zip(picture.shape[:2], opacity.shape, strict=True))
    part = picture[:rows, :columns]
    weight = opacity[:rows, :columns, None]
    part[...] = np.round(part * (1 - weight) + np.asarray(colour) * weight).astype(np.uint8)


def write_png(picture: np.ndarray, path: Path) -> None:
    """Write an RGB picture (rows, columns, 3; uint8) as PNG (ISO/IEC 15948). Raises OSError.

    Not by ITK or VTK: their writers end without a word when the disk is full.
    """

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows, columns = picture.shape[:2]
    differences = picture.astype(np.uint8)
    differences[:, 1:] -= picture[:, :-1]  # filter type 1: each pixel less its left neighbour
    lines = np.insert(differences.reshape(rows, columns * 3), 0, 1, axis=1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    content += chunk(b"IDAT", zlib.compress(lines.tobytes(), 3)) + chunk(b"IEND", b"")
    path.write_bytes(content)
