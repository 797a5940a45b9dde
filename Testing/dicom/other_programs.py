"""Programs of other makers that read and write structure sets, each run as its users run it, in a process of its own.

plastimatch is a program of the system. dcmrtstruct2nii and rt-utils are Python packages that need pydicom below 3:
they live in an environment of their own, whose folder the variable DICOM_READERS names. To make one:

    python -m venv FOLDER
    FOLDER/bin/python -m pip install dcmrtstruct2nii==5 rt-utils==1.2.7 "pydicom<3"
"""

import subprocess
from pathlib import Path

import numpy as np
import SimpleITK

READERS = "DICOM_READERS"
"""The variable that names the environment's folder."""

RT_UTILS = """
import sys
import numpy as np
from rt_utils import RTStructBuilder
folder, masks, path = sys.argv[1:]
structures = RTStructBuilder.create_new(dicom_series_path=folder)
for name, mask in np.load(masks).items():
    structures.add_roi(mask=np.moveaxis(mask, 0, -1), name=name, use_pin_hole=True)
structures.save(path)
"""


def _run(command: list[object]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}")


def on_grid_of(image: SimpleITK.Image, like: SimpleITK.Image) -> np.ndarray:
    """A program's mask (z, y, x) in the voxel order of another image: asked by position, whatever its own order."""
    nearest = SimpleITK.sitkNearestNeighbor
    return SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, like, SimpleITK.Transform(), nearest)) > 0


def _image(mask: np.ndarray, like: SimpleITK.Image) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    image.CopyInformation(like)
    return image


def plastimatch_masks(program: str, structure_set: Path, ct_folder: Path, folder: Path) -> dict[str, SimpleITK.Image]:
    """Every structure as plastimatch fills it, by its name; `folder` must be new."""
    _run([program, "convert", "--input", structure_set, "--referenced-ct", ct_folder, "--xor-contours",
          "--output-prefix", folder, "--prefix-format", "nrrd"])  # fmt: skip
    return {file.stem: SimpleITK.ReadImage(str(file)) for file in sorted(folder.glob("*.nrrd"))}


def plastimatch_structure_set(
    program: str, masks: dict[str, np.ndarray], like: SimpleITK.Image, ct_folder: Path, folder: Path
) -> Path:
    """The structure set that plastimatch writes of masks (z, y, x) on the grid of `like`; `folder` must be new."""
    (folder / "masks").mkdir(parents=True)
    for name, mask in masks.items():
        SimpleITK.WriteImage(_image(mask, like), str(folder / "masks" / f"{name}.nrrd"))
    _run([program, "convert", "--input-prefix", folder / "masks", "--referenced-ct", ct_folder,
          "--output-dicom", folder / "dicom"])  # fmt: skip
    (path,) = (folder / "dicom").glob("rtss*.dcm")
    return path


def dcmrtstruct2nii_masks(
    environment: Path, structure_set: Path, ct_folder: Path, folder: Path
) -> dict[str, SimpleITK.Image]:
    """Every structure as dcmrtstruct2nii fills it, by its name."""
    _run([environment / "bin" / "dcmrtstruct2nii", "convert", "-r", structure_set, "-d", ct_folder, "-o", folder,
          "-c", "false"])  # fmt: skip
    return {
        file.name.removeprefix("mask_").removesuffix(".nii.gz"): SimpleITK.ReadImage(str(file))
        for file in sorted(folder.glob("mask_*.nii.gz"))
    }


def rt_utils_structure_set(environment: Path, masks: dict[str, np.ndarray], ct_folder: Path, path: Path) -> Path:
    """The structure set (ending in .dcm) that rt-utils writes of masks (z, y, x) in the order of its sorted slices."""
    arrays = path.with_suffix(".npz")
    np.savez(arrays, **masks)
    _run([environment / "bin" / "python", "-c", RT_UTILS, ct_folder, arrays, path])
    arrays.unlink()
    return path
