"""A mask or a probability out as an RT Structure Set: traced, written, read back by other code, then put in place."""

import datetime
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset

from .. import host
from ..errors import InputError, OutputError
from ..imaging.axes import along_axes_of
from ..imaging.volume import Volume
from .contours import LEVEL, trace
from .ct_series import CtSeries
from .findings import Finding
from .keyhole import polygons
from .pydicom_versions import save
from .structure_dataset import SliceContour, StructureRequest, add_roi, new_structure_set
from .thinning import thin
from .verify import inherited_findings, verify

RECOMMENDED_NAME_LENGTH = 16
"""Some planning systems cut longer structure names."""


@dataclass(frozen=True)
class WrittenStructure:
    """What was put in place. agreement: Dice of the contours, read back and filled, with the source mask."""

    path: Path
    contours: int
    points: int
    agreement: float
    findings: tuple[Finding, ...]


def write_rtstruct(
    ct: CtSeries, field: Volume, path: Path, request: StructureRequest, *, decimate: bool = False
) -> WrittenStructure:
    """Write the region where `field` (probability or mask on the CT's grid) is at least 0.5 as a structure of `ct`.

    An empty region gives a structure without contours, and a warning. decimate: fewer points, the volume kept within
    0.1 %. Raises InputError (another grid), VerificationError (the file read back does not match; nothing is put in
    place), OutputError (unwritable, disk full).
    """
    field = on_grid_of(ct, field)
    contours = trace_slices(ct, field, decimate=decimate)
    dataset = new_structure_set(ct, request, datetime.datetime.now())
    number = add_roi(dataset, ct.frame_of_reference_uid, contours, request)
    mask = field.array >= LEVEL
    agreement = put_in_place(dataset, Path(path), lambda partial: verify(partial, ct, mask, number))
    findings = [
        Finding("taken-over", "warning", f"{finding.sentence}, as in the CT") for finding in inherited_findings(ct)
    ]
    return written(Path(path), contours, agreement, request, findings)


def written(
    path: Path,
    contours: Sequence[SliceContour],
    agreement: float,
    request: StructureRequest,
    findings: Sequence[Finding],
) -> WrittenStructure:
    """The account of a file that was put in place."""
    findings = list(findings)
    if not contours:
        findings.append(Finding("no-contours", "warning", "The mask is empty: the structure has no contours"))
    if len(request.roi_name) > RECOMMENDED_NAME_LENGTH:
        sentence = f"The structure's name is longer than {RECOMMENDED_NAME_LENGTH} characters; some systems cut it"
        findings.append(Finding("long-name", "warning", sentence))
    return WrittenStructure(
        path=path,
        contours=len(contours),
        points=sum(len(contour.points_mm) for contour in contours),
        agreement=agreement,
        findings=tuple(findings),
    )


def trace_slices(ct: CtSeries, field: Volume, *, decimate: bool = False) -> list[SliceContour]:
    """Closed contours of every slice of a field on the CT's grid, in the plane of the slice's own image.

    Holes are keyholes.
    """
    geometry = ct.volume.geometry
    axes = np.asarray(geometry.direction)[:, :2] * geometry.spacing_mm[:2]
    contours = []
    for image, values in zip(ct.slices, field.array, strict=True):
        inside = values >= LEVEL
        # `restrict` leaves slices that are a mask's among a probability's.
        curves = trace(inside if np.array_equal(values, inside) else values)
        for polygon in polygons([thin(curve) for curve in curves] if decimate else curves):
            points_mm = image.position_mm + polygon @ axes.T
            contours.append(SliceContour(image, points_mm))
    return contours


def on_grid_of(ct: CtSeries, field: Volume) -> Volume:
    """The field in the CT's own order of voxels. Raises InputError where it lies on another grid."""
    field = along_axes_of(field, ct.volume.geometry)
    if not field.geometry.same_as(ct.volume.geometry):
        raise InputError("The mask does not lie on the grid of the CT. Give the mask that was made on this series.")
    return field


def restrict(probability: Volume, mask: Volume) -> Volume:
    """The probability made to agree with a mask: at least 0.5 inside, below outside, in the mask's order of voxels.

    Its contour is smooth. A slice where they disagree becomes the mask's: values pushed just across 0.5 would draw the
    contour next to the pixel centres, half a pixel from where the mask ends. Raises InputError where the two do not lie
    on the same grid.
    """
    probability = along_axes_of(probability, mask.geometry)
    if not mask.geometry.same_as(probability.geometry):
        raise InputError(
            "The mask and the probability do not lie on one grid. Give the probability that the mask was made from."
        )
    values = probability.array.astype(np.float32)
    for layer, drawn in zip(values, mask.array, strict=True):
        inside = drawn > 0
        if ((layer >= LEVEL) != inside).any():
            layer[...] = inside
    return Volume(values, probability.geometry)


def put_in_place(dataset: FileDataset, path: Path, judge: Callable[[Path], float]) -> float:
    """Write under a temporary name, let `judge` read that file, rename it. Returns the judge's agreement."""
    # pydicom writes into memory, so that a failing disk shows as what it is.
    content = io.BytesIO()
    save(dataset, content)

    def write(partial: Path) -> float:
        partial.write_bytes(content.getbuffer())
        return judge(partial)

    try:
        if path.is_dir() or not path.name:
            raise OutputError(f"{path} is a folder. Name the file that the structure set shall be written to.", [path])
        path.parent.mkdir(parents=True, exist_ok=True)
        return host.put_file(path, write)
    except OSError as fault:
        why = "the disk is full" if host.is_disk_full(fault) else fault.strerror or str(fault)
        raise OutputError(
            f"The structure set cannot be written to {path}: {why}. Choose another folder or make room.", [path]
        ) from fault
