"""Fine-tuning on the patients of another scanner: four are shown, four others of the same scanner judge it.

Run from the repository root: `.venv/bin/python Testing/Benchmarks/fine_tuning.py --output DIR`. Generated patients as a
scanner shows them that training never draws: CT numbers 35 HU too high, a smooth kernel with coarse noise, and in
every second patient contrast that has settled in the bladder. They are written as a hospital has them, CT and structure
set in DICOM, and `train --start-from` is run on them as a user does. Prints every held-out patient before and after, by
the whole pipeline; ends with code 1 where the mean Dice does not gain.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from BladderAutoContourLib.dicom.ct_series import read_ct
from BladderAutoContourLib.dicom.ct_writer import write_ct_series
from BladderAutoContourLib.dicom.structure_set import StructureRequest, write_rtstruct
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.networks.weights import default_weights
from BladderAutoContourLib.phantom.case import Case, draw_case
from BladderAutoContourLib.phantom.fields import draw_scan
from BladderAutoContourLib.phantom.render import render

FIRST_SEED = 780_000
SHOWN, HELD_OUT = 4, 4
OFFSET_HU = 35.0
CONTRAST_HU, CONTRAST_LAYER = 280.0, 0.5  # of every second patient: as bright as bone, in the lower half


def patient(number: int) -> Case:
    """The patient of a number, as the other scanner shows them."""
    case = draw_case(FIRST_SEED + number)
    scanner = dataclasses.replace(
        case.scanner,
        offset_hu=OFFSET_HU,
        gain=1.0,
        blur_mm=1.4,
        sharpening=0.0,
        noise_hu=32.0,
        noise_grain_mm=2.0,
        metal=(),
    )
    contents = case.contents
    if number % 2:
        contents = dataclasses.replace(contents, contrast_hu=CONTRAST_HU, layer=CONTRAST_LAYER)
    return dataclasses.replace(case, scanner=scanner, contents=contents)


def write_patient(number: int, folder: Path, spacing_mm: tuple[float, float, float]) -> str:
    """Write CT and structure set into a folder of `folder`; returns its name."""
    case = patient(number)
    name = f"patient-{number + 1}"
    place = folder / name
    if (place / "RTSTRUCT.dcm").exists():
        return name
    scan = draw_scan(case, "pelvis", spacing_mm, np.random.default_rng([case.seed, 1]))
    rendered = render(case, scan.geometry)
    ct = Volume(rendered.stored_hu(), scan.geometry)
    write_ct_series(ct, place / "ct", seed=case.seed)
    bladder = Volume(rendered.bladder.numpy(), scan.geometry)
    write_rtstruct(read_ct([place / "ct"]), bladder, place / "RTSTRUCT.dcm", StructureRequest())
    return name


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for patients and weights")
    parser.add_argument("--weights", type=Path, help="weights to start from (default: those that are shipped)")
    parser.add_argument("--steps", type=int, help="steps of each network (default: the command's own)")
    parser.add_argument("--spacing", type=float, nargs=3, default=(1.5, 1.5, 3.0), help="mm, of the CTs (1.5 1.5 3)")
    parser.add_argument("--workers", type=int, default=1, help="processes that generate samples (1)")
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    folder = arguments.output / "patients"
    names = [write_patient(number, folder, tuple(arguments.spacing)) for number in range(SHOWN + HELD_OUT)]
    written = time.perf_counter()
    weights = arguments.weights or default_weights()
    words = ["train", "--start-from", weights, "--patients", folder, "--output", arguments.output / "training"]
    words += ["--resume", "--calibrate", 0, "--workers", arguments.workers, "--device", arguments.device]
    words += [word for name in names[SHOWN:] for word in ("--hold-out", name)]
    words += ["--steps", arguments.steps] if arguments.steps else []
    done = subprocess.run(
        [sys.executable, "-m", "BladderAutoContourLib", *map(str, words)], stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        return done.returncode  # its sentence stands on standard error
    report = json.loads((arguments.output / "training" / "held-out.json").read_text(encoding="utf-8"))
    print((arguments.output / "training" / "held-out.txt").read_text(encoding="utf-8"), end="")
    before, after = (report["mean_dice"][side] for side in ("before", "after"))
    print(
        f"mean Dice of the {HELD_OUT} held-out patients {before:.4f} -> {after:.4f}; patients written in "
        f"{written - begun:.0f} s, judged and trained in {time.perf_counter() - written:.0f} s"
    )
    return 0 if after > before else 1


if __name__ == "__main__":
    sys.exit(main())
