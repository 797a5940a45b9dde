"""What the panel tells of an automatic contour, kept with it in the scene: a saved scene tells it again."""

import dataclasses
import json
import uuid
from dataclasses import dataclass

import numpy as np
import slicer

from ..process.result import Result, SliceWarning
from .kept_contour import PREFIX, fact, set_fact
from .segmentation import Contour
from .voxels import Grid, voxels_of

REPORT = "report"
OPENED = "OpenedWarnings"


@dataclass(frozen=True)
class Outcome:
    """Of the engine's report, what a clinician is shown. opened: the numbers of the warnings that were clicked.

    run: tells this run from every other; empty in scenes of older versions.
    """

    volume_ml: float
    confidence: float
    device: str
    model_name: str
    warnings: tuple[SliceWarning, ...]
    run: str = ""
    opened: frozenset[int] = frozenset()

    @property
    def unopened(self) -> tuple[str, ...]:
        """The sentences of the warnings that nobody has clicked yet."""
        return tuple(w.sentence for number, w in enumerate(self.warnings) if number not in self.opened)


def keep_outcome(contour: Contour, result: Result) -> None:
    """Write what the report says into the tags of the contour's segment."""
    run = uuid.uuid4().hex[:12]
    outcome = Outcome(result.volume_ml, result.confidence, result.device, result.model_name, result.warnings, run)
    fields = dataclasses.asdict(outcome)
    del fields["opened"]
    set_fact(_segment(contour), REPORT, json.dumps(fields))


def outcome_of(contour: Contour) -> Outcome | None:
    """What is kept with a contour; None where nothing is, as with one drawn by hand."""
    text = fact(_segment(contour), REPORT)
    if not text:
        return None
    fields = json.loads(text)
    warnings = tuple(SliceWarning(**{**one, "slices": tuple(one["slices"])}) for one in fields.pop("warnings"))
    opened = json.loads(contour.segmentation.GetAttribute(_opened_key(contour, fields.get("run", ""))) or "[]")
    return Outcome(**fields, warnings=warnings, opened=frozenset(opened))


def remember_opened(contour: Contour, number: int) -> None:
    """Somebody clicked the warning of this number."""
    outcome = outcome_of(contour)
    if outcome is None:  # the contour has no warnings any more
        return
    # An attribute of the node and no tag of the segment: undoing a stroke of the brush closes no warning again.
    # Undoing a run brings another one's warnings back: the key says of which run those are that were clicked.
    opened = sorted({*outcome.opened, number})
    contour.segmentation.SetAttribute(_opened_key(contour, outcome.run), json.dumps(opened))


def volume_ml(contour: Contour) -> float:
    """The volume of a contour as it stands now."""
    labelmap = contour.segmentation.GetBinaryLabelmapInternalRepresentation(contour.segment_id)
    if labelmap is None:
        return 0.0
    box = voxels_of(labelmap, _segment(contour).GetLabelValue())
    return float(np.count_nonzero(box.array) * Grid(box.size, box.ijk_to_ras).voxel_ml)


def _opened_key(contour: Contour, run: str) -> str:
    return f"{PREFIX}{OPENED}.{contour.segment_id}.{run}"


def _segment(contour: Contour) -> slicer.vtkSegment:
    return contour.segmentation.GetSegmentation().GetSegment(contour.segment_id)
