"""report.json: what ran, on what, what it cost, what came out, and what to look at."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import SOFTWARE_NAME, __version__
from ..imaging.components import bounding_box
from ..imaging.geometry import Geometry
from ..imaging.volume import Volume
from ..networks.plan import Plan
from .engine import Contouring
from .steps import StepCost
from .warnings import QualityWarning

SCHEMA = 1


@dataclass(frozen=True)
class InputFacts:
    """What the report says of the CT: nothing that names a patient. `series_uid` is None for a volume file."""

    series_uid: str | None
    geometry: Geometry


def report_of(
    contouring: Contouring,
    facts: InputFacts,
    plan: Plan,
    *,
    steps: tuple[StepCost, ...],
    warnings: tuple[QualityWarning, ...],
    notes: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The report as plain data; lengths in mm, boxes as (x, y, z) in LPS."""
    return {
        **report_head(facts, plan, contouring.device, steps),
        "volume_ml": round(contouring.volume_ml, 2),
        "bounding_box_mm": bounding_box_mm(contouring.mask),
        "confidence": round(contouring.confidence, 4),
        "crf_change_in_band": round(contouring.crf_change_in_band, 5),
        "warnings": [dataclasses.asdict(warning) for warning in warnings],
        "notes": list(notes),
        "first_slice": contouring.slice_features.first_slice,
        "slice_doubt": [round(doubt, 3) for doubt in contouring.slice_doubt],
        "touched_slices": [],
    }


def report_head(facts: InputFacts, plan: Plan, device: str, steps: Sequence[StepCost]) -> dict[str, Any]:
    """What every report begins with: who made it, where, from what, and what it cost."""
    return {
        "schema": SCHEMA,
        "software": {"name": SOFTWARE_NAME, "version": __version__},
        "model": {"name": plan.name, "sha256": plan.sha256, "plan": _quoted(plan)},
        "device": device,
        "input": {
            "series_uid": facts.series_uid,
            "slices": facts.geometry.size[2],
            "size": list(facts.geometry.size),
            "spacing": list(facts.geometry.spacing_mm),
        },
        "steps": [
            {"name": cost.name, "seconds": round(cost.seconds, 3), "peak_mb": round(cost.peak_mb, 1)} for cost in steps
        ],
    }


def _quoted(plan: Plan) -> dict[str, Any]:
    """The plan without the seals of the patients that it was trained on: a report goes where weights would not."""

    def unsealed(training: dict[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in training.items() if key != "shown"}
        origin = kept.get("start_from")
        if isinstance(origin, dict):
            kept["start_from"] = {**origin, "training": unsealed(origin["training"])}
        return kept

    return {**dataclasses.asdict(plan), "training": unsealed(plan.training)}


def bounding_box_mm(mask: Volume) -> dict[str, list[float]] | None:
    """The axis-aligned LPS box around the mask's voxels (their outer faces); None for an empty mask."""
    box = bounding_box(mask.array)
    if box is None:
        return None
    start = tuple(part.start for part in reversed(box))
    size = tuple(part.stop - part.start for part in reversed(box))
    lower, upper = mask.geometry.region(start, size).bounds_mm()
    return {"lower": np.round(lower, 2).tolist(), "upper": np.round(upper, 2).tolist()}


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write the report as indented JSON. Raises OSError."""
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8", newline="\n")
