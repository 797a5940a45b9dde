"""A sheet of the cases with the lowest Dice, to look at: image, reference and result side by side."""

from dataclasses import dataclass

import numpy as np

from ..imaging.components import bounding_box
from ..imaging.volume import Volume
from ..pipeline.lettering import Colour, draw_text
from ..pipeline.preview import AXIAL, AXIAL_PX, CONTOUR, GAP_PX, LETTERS, MARGIN_MM, SMALLEST_VIEW_MM, section

SHOWN = 6
TITLE_PX = 34
REFERENCE: Colour = (80, 220, 255)
_LARGEST_VIEW_MM = 400.0


@dataclass(frozen=True)
class _Strip:
    dice: float
    name: str
    picture: np.ndarray


class WorstCases:
    """Sees one case after the other and keeps pictures, not volumes, of those with the lowest Dice.

    Usage::

        worst = WorstCases()
        worst.see("case 1", 0.71, ct, reference, result)
        worst.sheet()
    """

    def __init__(self, shown: int = SHOWN) -> None:
        self._shown = shown
        self._strips: list[_Strip] = []

    def see(self, name: str, dice: float, ct: Volume, reference: np.ndarray, result: np.ndarray) -> None:
        """Keep the case if it is among the worst; the masks: boolean, on its grid, not both empty."""
        last = self._strips[-1].dice if len(self._strips) == self._shown else np.inf
        if dice < last:
            self._strips.append(_Strip(dice, name, _strip(name, dice, ct, reference, result)))
            self._strips.sort(key=lambda strip: (strip.dice, strip.name))
            del self._strips[self._shown :]

    def sheet(self) -> np.ndarray | None:
        """The worst case first, RGB uint8 (rows, columns, 3); None where no case was seen."""
        return np.concatenate([strip.picture for strip in self._strips]) if self._strips else None


def _strip(name: str, dice: float, ct: Volume, reference: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Three pictures of the slice where the masks differ most (of the largest slice where they are the same)."""
    union = reference | result
    differing = (reference != result).sum(axis=(1, 2))
    number = int(np.argmax(differing if differing.any() else union.sum(axis=(1, 2))))
    _, rows, columns = bounding_box(union[number : number + 1])
    ends = np.array([(columns.start, rows.start), (columns.stop - 1, rows.stop - 1)])
    centre_mm = ct.geometry.to_patient(np.array([*ends.mean(axis=0), number]))
    extent_mm = ((ends[1] - ends[0]) * ct.geometry.spacing_mm[:2]).max()
    side_mm = float(np.clip(extent_mm + 2 * MARGIN_MM, SMALLEST_VIEW_MM, _LARGEST_VIEW_MM))
    picture = np.zeros((TITLE_PX + AXIAL_PX + GAP_PX, 3 * (AXIAL_PX + GAP_PX) - GAP_PX, 3), dtype=np.uint8)
    tiles = (("image", None, LETTERS), ("reference", reference, REFERENCE), ("result", result, CONTOUR))
    for place, (title, mask, colour) in enumerate(tiles):
        inside = None if mask is None else Volume(mask.astype(np.uint8), ct.geometry)
        tile = section(ct, inside, AXIAL, centre_mm, side_mm, AXIAL_PX, colour)
        label = f"{title}, z {centre_mm[2]:+.1f} mm" if mask is None else f"{title}, {_volume(mask, ct)}"
        draw_text(tile, label, 6, 8, 17, colour)
        column = place * (AXIAL_PX + GAP_PX)
        picture[TITLE_PX : TITLE_PX + AXIAL_PX, column : column + AXIAL_PX] = tile
    draw_text(picture, f"{name}: Dice {dice:.3f}", 7, 10, 20, LETTERS)
    return picture


def _volume(mask: np.ndarray, ct: Volume) -> str:
    return f"{mask.sum() * ct.geometry.voxel_ml:.0f} mL" if mask.any() else "none"
