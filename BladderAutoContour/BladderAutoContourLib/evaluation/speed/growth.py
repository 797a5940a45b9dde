"""How a run's seconds and memory grow with the slices of a CT and with its matrix."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ... import host
from ...dicom.ct_writer import write_ct_series
from ...errors import InputError
from ...events import Events
from ...imaging.geometry import Geometry
from ...imaging.volume import Volume
from ...pipeline.lettering import Colour
from ..chart import Chart
from .cold import Measurement, measure
from .generated_ct import SEED

BODY_SHARE = 0.4
"""The upper share of the generated CT, above the bladder, of which longer bodies are made."""
SECONDS: Colour = (255, 196, 0)
MEMORY: Colour = (96, 180, 255)


@dataclass(frozen=True)
class Cost:
    """One run: columns and rows of its CT, slices, seconds from start to end, MiB at most."""

    matrix: int
    slices: int
    seconds: float
    peak_mb: float


def measure_growth(
    base: Volume,
    extents: Sequence[tuple[int, int]],
    folder: Path,
    options: Sequence[str | Path],
    events: Events,
    tell: Callable[[float], None],
) -> list[Cost]:
    """Run `segment` on `base` made as long as each extent (matrix, slices) says. Raises what a run ended with."""
    costs = []
    for number, (matrix, slices) in enumerate(extents):
        ct = folder / "ct"
        write_ct_series(as_large_as(base, matrix, slices), ct, seed=SEED)
        found: Measurement = measure(ct, folder / "result", options, events)
        costs.append(Cost(matrix, slices, found.seconds, found.peak_mb))
        host.remove_folder(ct)
        tell((number + 1) / len(extents))
    return costs


def as_large_as(base: Volume, matrix: int, slices: int) -> Volume:
    """The base's lowest slices; where it has too few, its upper part goes on above it, turned over again and again.

    A smaller matrix is made of means of its pixels. Raises InputError where it does not divide the base's.
    """
    if any(size % matrix for size in base.geometry.size[:2]):
        rows, columns = base.geometry.size[1::-1]
        raise InputError(
            f"A CT of {columns} x {rows} pixels cannot be made one of {matrix} x {matrix}: take one of 512 x 512."
        )
    geometry, array = base.geometry, base.array[:slices]
    above = base.array[-round(BODY_SHARE * len(base.array)) :]
    while len(array) < slices:
        above = above[::-1]
        array = np.concatenate((array, above))[:slices]
    step = geometry.size[0] // matrix
    if step > 1:
        rows, columns = (n // step for n in array.shape[1:])
        means = array.reshape(len(array), rows, step, columns, step).mean(axis=(2, 4))
        array = np.rint(means).astype(base.array.dtype)
    x_mm, y_mm, z_mm = geometry.spacing_mm
    first = geometry.to_patient(np.array([(step - 1) / 2, (step - 1) / 2, 0.0]))
    grid = Geometry(array.shape[::-1], (step * x_mm, step * y_mm, z_mm), tuple(map(float, first)), geometry.direction)
    return Volume(array, grid)


def seconds_a_slice(costs: Sequence[Cost]) -> dict[int, list[float]]:
    """For each matrix, what every further slice cost from one length to the next.

    Where time is linear in slices, they are alike.
    """
    found: dict[int, list[float]] = {}
    for matrix in sorted({cost.matrix for cost in costs}):
        row = sorted((cost for cost in costs if cost.matrix == matrix), key=lambda cost: cost.slices)
        found[matrix] = [(b.seconds - a.seconds) / (b.slices - a.slices) for a, b in itertools.pairwise(row)]
    return found


def as_data(costs: Sequence[Cost]) -> dict[str, Any]:
    """Plain data."""
    rises = {str(matrix): values for matrix, values in seconds_a_slice(costs).items()}
    return {"runs": [asdict(cost) for cost in costs], "seconds_a_further_slice": rises}


def as_text(costs: Sequence[Cost]) -> str:
    """A table for people."""
    lines = [f"{'matrix':>8}{'slices':>8}{'seconds':>9}{'peak MiB':>10}"]
    lines += [f"{cost.matrix:8}{cost.slices:8}{cost.seconds:9.2f}{cost.peak_mb:10.0f}" for cost in costs]
    return "\n".join(lines)


def plot(costs: Sequence[Cost]) -> np.ndarray:
    """Seconds (yellow), and memory in units of 100 MiB (blue), over slices; RGB uint8. The largest matrix joined."""
    most = max(max(cost.seconds, cost.peak_mb / 100) for cost in costs)
    chart = Chart(
        "segment: seconds (yellow) and memory (blue)",
        f"slices; lines: matrix {max(cost.matrix for cost in costs)}",
        "seconds; memory in 100 MiB",
        (0, 1.05 * max(cost.slices for cost in costs)),
        (0, 1.1 * most),
    )
    largest = [cost for cost in costs if cost.matrix == max(one.matrix for one in costs)]
    for colour, of in ((SECONDS, lambda cost: cost.seconds), (MEMORY, lambda cost: cost.peak_mb / 100)):
        chart.points([cost.slices for cost in costs], [of(cost) for cost in costs], colour)
        for one, other in itertools.pairwise(sorted(largest, key=lambda cost: cost.slices)):
            chart.line((one.slices, of(one)), (other.slices, of(other)), colour)
    return chart.picture
