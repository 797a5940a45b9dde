"""Twenty thousand files in nested folders, one CT among them: how long does it take to find it, with how much memory?

Run from the repository root: `.venv/bin/python Testing/Benchmarks/many_files.py`. Prints the seconds until the first
word of progress and until the volume is there, the longest silence between two words, and the peak memory that
reading added. Files are read once before, so that the disk's cache is warm for every machine alike.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "dicom"))

from BladderAutoContourLib.dicom.ct_series import read_ct
from many_files import GEOMETRY, write_export
from scenes import texture


def peak_mb() -> float:
    """Greatest memory of this process so far (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: what writing takes is not counted.
        with ProcessPoolExecutor(1) as writer:
            export = writer.submit(write_export, Path(folder), arguments.files).result()
        told: list[float] = []
        before_mb, begun, worked = peak_mb(), time.monotonic(), time.process_time()
        ct = read_ct([Path(folder)], progress=lambda share: told.append(time.monotonic() - begun))
        seconds, processor_seconds = time.monotonic() - begun, time.process_time() - worked
    assert np.array_equal(ct.volume.array, texture(GEOMETRY).array)
    assert len(ct.slices) == len(export.ct)
    result = {
        "files": arguments.files,
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor_seconds, 1),
        "first_progress_seconds": round(told[0], 2),
        "longest_silence_seconds": round(max(np.diff([0.0, *told])), 2),
        "added_mb": round(peak_mb() - before_mb, 1),
    }
    for name, value in result.items():
        print(f"{name:<26}{value:>10}")
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
