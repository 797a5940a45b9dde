"""How long a warm engine takes from a request to correct a contour to the written mask, at 512 x 512 x 150 voxels.

Run from the repository root: `.venv/bin/python Testing/Benchmarks/refine_time.py`. A generated DICOM CT is contoured by
`serve` as the panel starts it; then two slices are corrected, one cut to its half and one grown, and the corrections
are propagated some times over. The first time the engine reads the CT, later ones find it in memory.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.evaluation.speed.generated_ct import FULL_SIZE, FULL_SPACING_MM, generated_ct
from BladderAutoContourLib.imaging.files import read_volume, write_volume
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.pipeline.result_folder import MASK, PROBABILITY
from scipy import ndimage

RESULT = Path(__file__).parent / "results" / "refine_time.json"


class Server:
    """The engine kept warm, spoken to as the panel does."""

    def __init__(self, options: list[str]) -> None:
        command = [sys.executable, "-m", "BladderAutoContourLib", "serve", *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **fields: Any) -> float:
        """Seconds from the request to its result."""
        begun = time.perf_counter()
        self._process.stdin.write(json.dumps({"id": 1, **fields}) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            said = json.loads(line)
            if "error" in said:
                sys.exit(said["error"]["message"])
            if said.get("event") == "result":
                return time.perf_counter() - begun
        sys.exit("The engine ended without a result.")

    def close(self) -> None:
        """End it."""
        self._process.communicate(json.dumps({"request": "quit"}) + "\n", timeout=30)


def write_corrections(result: Path, folder: Path) -> dict[str, str]:
    """Edited mask and touched voxels of a result: at a third of the organ half a slice goes, at two thirds it grows."""
    mask = read_volume(result / MASK)
    slices = np.flatnonzero(mask.array.any(axis=(1, 2)))
    cut, grown = slices[len(slices) // 3], slices[2 * len(slices) // 3]
    edited, touched = mask.array.copy(), np.zeros_like(mask.array)
    touched[[cut, grown]] = 1
    edited[cut, :, : int(np.argwhere(edited[cut])[:, 1].mean())] = 0
    edited[grown] = ndimage.binary_dilation(edited[grown], iterations=4)
    files = {"mask": folder / "edited.nrrd", "touched": folder / "touched.nrrd"}
    for path, array in zip(files.values(), (edited, touched), strict=True):
        write_volume(Volume(array, mask.geometry), path)
    return {"probability": str(result / PROBABILITY), **{name: str(path) for name, path in files.items()}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_ct_series(generated_ct(FULL_SIZE, FULL_SPACING_MM), folder / "ct")
        server = Server(["--device", arguments.device])
        ct, seconds = [str(folder / "ct")], []
        server.ask(request="segment", ct=ct, output=str(folder / "result"))
        corrections = write_corrections(folder / "result", folder)
        for number in range(arguments.runs):
            seconds.append(server.ask(request="refine", ct=ct, output=str(folder / f"run {number}"), **corrections))
            report = json.loads((folder / f"run {number}" / "report.json").read_text(encoding="utf-8"))
            steps = ", ".join(f"{step['name']} {step['seconds']:.2f}" for step in report["steps"])
            print(f"run {number}: {seconds[-1]:.2f} s ({steps}), {len(report['changed_slices'])} slices change")
        server.close()
    result = {
        "size": FULL_SIZE,
        "device": report["device"],
        "model": report["model"]["name"],
        "first_seconds": round(seconds[0], 2),
        "later_median_seconds": round(float(np.median(seconds[1:])), 2),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
