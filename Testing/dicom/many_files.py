"""An archive's export: one CT among very many other files in nested folders, for a test and a benchmark."""

from dataclasses import dataclass
from pathlib import Path

import pydicom
from scenes import grid, write_series

GEOMETRY = grid((16, 16, 40))
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


@dataclass(frozen=True)
class Export:
    """What lies in the folder, by kind; the CT's files are `ct`."""

    ct: list[Path]
    other_images: int
    texts: int
    damaged: int


def write_export(folder: Path, files: int) -> Export:
    """`files` files: one CT, its slices far apart; the rest images of another kind, texts, and images cut off."""
    ct = write_series(folder / "ct", GEOMETRY)
    other = pydicom.dcmread(ct[0])
    other.SOPClassUID, other.Modality = MR_IMAGE, "MR"
    other.save_as(folder / "other")
    image, cut = (folder / "other").read_bytes(), ct[0].read_bytes()[:600]
    (folder / "other").unlink()
    counts = [0, 0, 0]
    for number in range(files - len(ct)):
        at = folder / f"patient {number % 7}" / f"study {number // 7 % 11}" / f"series {number // 77 % 5}"
        at.mkdir(parents=True, exist_ok=True)
        kind = 2 if number % 50 == 0 else number % 5 == 0
        counts[kind] += 1
        (at / f"I{number:05d}").write_bytes((image, b"Befund: " + b"x" * 500, cut)[kind])
    deep = sorted(path for path in folder.rglob("series *"))
    for number, file in enumerate(ct):
        ct[number] = file.rename(deep[number % len(deep)] / file.name)
    return Export(ct, *counts)
