"""`phantom`: generated pelves with their true bladder, as DICOM with a structure set, or as NRRD."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..events import Events
from ..output_files import check_output, put, unwritable
from .parser import at_least, millimetres

if TYPE_CHECKING:
    from ..imaging.volume import Volume

HELP = "Generate pelvis CTs with their true bladder."
KINDS = ("pelvis", "abdomen-pelvis", "whole-body", "chest", "abdomen", "thighs")
STRATA = ("small", "medium", "large", "very-large", "contrast", "catheter", "gas", "metal", "fluid-bowel", "rotated")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "--seed", type=at_least(0), required=True, help="the first patient; the same seed, the same patient"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="one folder in it a case")
    parser.add_argument(
        "--count", type=at_least(1), default=1, metavar="N", help="how many patients (seed, seed + 1, ...)"
    )
    parser.add_argument("--stratum", choices=STRATA, help="force one property of the bladder or its surroundings")
    parser.add_argument("--field", choices=KINDS, default="pelvis", help="which part of the patient is scanned")
    parser.add_argument(
        "--spacing", type=millimetres, nargs=3, default=(1.5, 1.5, 3.0), metavar=("X", "Y", "Z"), help="mm (1.5 1.5 3)"
    )
    parser.add_argument("--dicom", action="store_true", help="write a DICOM series and its RTSTRUCT, not NRRD")
    parser.add_argument("--preview", action="store_true", help="write a contact sheet of each case")


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Generate every case. Raises OutputError where one cannot be written, or its folder holds files already."""
    check_output(arguments.output)
    folders = {
        seed: arguments.output / f"case_{seed:04d}" for seed in range(arguments.seed, arguments.seed + arguments.count)
    }
    for folder in folders.values():
        _expect_empty(folder)
    for seed, folder in folders.items():
        _write_case(arguments, seed, folder, events)
        events.result(folder)
    return 0


def _expect_empty(folder: Path) -> None:
    """Raise OutputError for a folder with files: two series, or a CT and another's bladder, would mix there."""
    from ..errors import OutputError

    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"{folder} holds files already. Delete it, or choose another output folder.", [folder])


def _write_case(arguments: argparse.Namespace, seed: int, folder: Path, events: Events) -> None:
    from ..imaging.files import write_volume
    from ..imaging.volume import Volume
    from ..phantom.case import draw_case
    from ..phantom.fields import draw_scan
    from ..phantom.render import render

    events.progress("generate", 0.0)
    case = draw_case(seed, stratum=arguments.stratum)
    scan = draw_scan(case, arguments.field, tuple(arguments.spacing), np.random.default_rng([seed, 1]))
    rendered = render(case, scan.geometry)
    ct = Volume(rendered.stored_hu(), scan.geometry)
    bladder = Volume((rendered.bladder.numpy() >= 0.5).astype(np.uint8), scan.geometry)
    soft = Volume(rendered.bladder.numpy(), scan.geometry)
    events.progress("generate", 0.8)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    write_volume(bladder, folder / "bladder.nrrd")
    if arguments.dicom:
        _write_dicom(ct, soft, seed, folder)
    else:
        write_volume(ct, folder / "ct.nrrd")
    if arguments.preview and bladder.array.any():
        from ..pipeline.lettering import write_png
        from ..pipeline.preview import preview

        title = (
            f"seed {seed}, {case.sex}, {case.bladder.kind}, {bladder.array.sum() * bladder.geometry.voxel_ml:.0f} mL"
        )
        picture = preview(ct, bladder, soft, title)
        put(folder / "preview.png", lambda temporary: write_png(picture, temporary))
    events.progress("generate", 1.0)


def _write_dicom(ct: "Volume", soft: "Volume", seed: int, folder: Path) -> None:
    from ..dicom.ct_series import read_ct
    from ..dicom.ct_writer import write_ct_series
    from ..dicom.structure_set import StructureRequest, write_rtstruct

    write_ct_series(ct, folder / "ct", seed=seed)
    if (soft.array >= 0.5).any():
        request = StructureRequest(description="True bladder of a generated pelvis")
        write_rtstruct(read_ct([folder / "ct"]), soft, folder / "RTSTRUCT.dcm", request)
