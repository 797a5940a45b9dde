"""How long the export of a bladder of 150 slices takes, from the pixels in memory to the verified file in its place.

Run from the repository root: `.venv/bin/python Testing/Benchmarks/export_time.py`. A CT of 512 x 512 x 160 voxels; the
bladder is an ellipsoid with a rough surface, traced from a probability and from its mask, all points and decimated.
Prints the best of some runs by the clock and by the processor's time; ends with code 1 where an export takes more than
a second of processor time, which other programs on the machine do not lengthen as much.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "dicom"))

from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.dicom.structure_dataset import StructureRequest
from BladderAutoContourLib.dicom.structure_set import write_rtstruct
from BladderAutoContourLib.imaging.volume import Volume
from scenes import grid

SIZE, RADII_VOXELS = (512, 512, 160), (90.0, 80.0, 75.0)
SPACINGS_MM = {"1 mm pixels": (1.0, 1.0, 2.0), "0.5 mm pixels": (0.5, 0.5, 1.0)}
LONGEST_SECONDS = 1.0
RESULT = Path(__file__).parent / "results" / "export_time.json"


def bladder(scale: float) -> np.ndarray:
    """A probability (z, y, x) of 150 slices, its surface uneven; `scale` enlarges it within the slices."""
    x, y, z = (np.arange(size, dtype=np.float32) - (size - 1) / 2 for size in SIZE)
    z, y, x = np.meshgrid(z, y, x, indexing="ij", sparse=True)
    rough = 0.01 * np.sin(x / 5) * np.sin(y / 7) * np.cos(z / 6)
    radii = RADII_VOXELS[0] * scale, RADII_VOXELS[1] * scale, RADII_VOXELS[2]
    distance = np.sqrt((x / radii[0]) ** 2 + (y / radii[1]) ** 2 + (z / radii[2]) ** 2)
    return (0.5 - 0.5 * np.tanh((distance + rough - 1) * 20)).astype(np.float32)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    print(f"{'':<16}{'traced from':<14}{'points':<11}{'slices':>7}{'points':>9}{'seconds':>9}{'processor':>11}")
    for pixels, spacing_mm in SPACINGS_MM.items():
        with tempfile.TemporaryDirectory() as folder:
            write_ct_series(Volume(np.zeros(SIZE[::-1], np.int16), grid(SIZE, spacing_mm)), Path(folder) / "ct")
            ct = read_ct([Path(folder) / "ct"])
            share = bladder(0.5 if pixels == "1 mm pixels" else 1.0)
            fields = {"probability": share, "mask": (share >= 0.5).astype(np.uint8)}
            for name, array in fields.items():
                for decimate in (False, True):
                    times = []
                    for _ in range(arguments.runs):
                        clock, processor = time.perf_counter(), time.process_time()
                        written = write_rtstruct(
                            ct,
                            Volume(array, ct.volume.geometry),
                            Path(folder) / "rs.dcm",
                            StructureRequest(),
                            decimate=decimate,
                        )
                        times.append((time.perf_counter() - clock, time.process_time() - processor))
                    best = [min(values) for values in zip(*times, strict=True)]
                    row = {
                        "pixels": pixels,
                        "field": name,
                        "decimated": decimate,
                        "contours": written.contours,
                        "points": written.points,
                        "seconds": round(best[0], 3),
                        "processor_seconds": round(best[1], 3),
                    }
                    rows.append(row)
                    print(f"{pixels:<16}{name:<14}{'decimated' if decimate else 'all':<11}{row['contours']:7d}"
                          f"{row['points']:9d}{best[0]:9.3f}{best[1]:11.3f}", flush=True)  # fmt: skip
    RESULT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(row["processor_seconds"] <= LONGEST_SECONDS for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
