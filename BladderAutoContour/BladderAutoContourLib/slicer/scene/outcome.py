"""What the panel tells of a contour, kept with it in the scene: a saved scene tells it again.

All functions raise InputError where the contour is gone.
"""

import dataclasses
import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..process.result import FALLBACK, Result, SliceWarning
from .kept_contour import CORRECTED_WARNINGS, PREFIX, fact, set_fact
from .segmentation import Contour
from .voxels import Grid, voxels_of

REPORT = "report"
OPENED = "OpenedWarnings"


@dataclass(frozen=True)
class Outcome:
    """Of the engine's report on an automatic contour, what a clinician is shown.

    run: tells this run from every other; empty in scenes of older versions.
    """

    volume_ml: float
    confidence: float
    device: str
    model_name: str
    warnings: tuple[SliceWarning, ...]
    run: str = ""


@dataclass(frozen=True)
class Told:
    """What to look at before a contour is used. opened: the sentences of the warnings that somebody clicked."""

    warnings: tuple[SliceWarning, ...] = ()
    opened: frozenset[str] = frozenset()

    @property
    def unopened(self) -> tuple[str, ...]:
        """The sentences of the warnings that nobody has clicked yet."""
        return tuple(warning.sentence for warning in self.warnings if warning.sentence not in self.opened)


def keep_outcome(contour: Contour, result: Result) -> None:
    """Write what the report says into the tags of the contour's segment."""
    run = uuid.uuid4().hex[:12]
    outcome = Outcome(result.volume_ml, result.confidence, result.device, result.model_name, result.warnings, run)
    set_fact(contour.segment, REPORT, json.dumps(dataclasses.asdict(outcome)))


def outcome_of(contour: Contour) -> Outcome | None:
    """What is kept of the automatic contour; None where there was none, as with one drawn by hand."""
    text = fact(contour.segment, REPORT)
    if not text:
        return None
    fields = json.loads(text)
    return Outcome(**{**fields, "warnings": _warnings(fields["warnings"])})


def keep_corrected_warnings(contour: Contour, warnings: Sequence[SliceWarning]) -> None:
    """Write what the engine says of a contour that it corrected, in the place of what it said of it before."""
    segment, new = contour.segment, news(contour, warnings)
    set_fact(segment, CORRECTED_WARNINGS, json.dumps([dataclasses.asdict(warning) for warning in new]))


def news(contour: Contour, warnings: Sequence[SliceWarning]) -> tuple[SliceWarning, ...]:
    """Those of a correction's warnings that are about the contour, and that the automatic one did not have."""
    outcome = outcome_of(contour)
    known = {FALLBACK, *(warning.code for warning in outcome.warnings)} if outcome else {FALLBACK}
    return tuple(warning for warning in warnings if warning.code not in known)


def told_of(contour: Contour) -> Told:
    """The warnings of the automatic contour, then those that a correction brought."""
    outcome = outcome_of(contour)
    automatic = outcome.warnings if outcome else ()
    corrected = _warnings(json.loads(fact(contour.segment, CORRECTED_WARNINGS) or "[]"))
    marks = (contour.segmentation.GetAttribute(_opened_key(contour)) or "").split()
    warnings = (*automatic, *corrected)
    opened = frozenset(one.sentence for one in warnings if _mark(one.sentence) in marks)
    return Told(warnings, opened)


def remember_opened(contour: Contour, sentence: str) -> None:
    """Somebody clicked the warning that says so."""
    # An attribute of the node and no tag of the segment: undoing a stroke of the brush closes no warning again.
    # Undoing a run brings another one's warnings back: the key says of which run those are that were clicked.
    key = _opened_key(contour)
    marks = (contour.segmentation.GetAttribute(key) or "").split()
    contour.segmentation.SetAttribute(key, " ".join(sorted({*marks, _mark(sentence)})))


def volume_ml(contour: Contour) -> float:
    """The volume of a contour as it stands now."""
    labelmap = contour.segmentation.GetBinaryLabelmapInternalRepresentation(contour.segment_id)
    if labelmap is None:
        return 0.0
    box = voxels_of(labelmap, contour.segment.GetLabelValue())
    return float(np.count_nonzero(box.array) * Grid(box.size, box.ijk_to_ras).voxel_ml)


def _warnings(kept: Sequence[dict]) -> tuple[SliceWarning, ...]:
    return tuple(SliceWarning(**{**one, "slices": tuple(one["slices"])}) for one in kept)


def _opened_key(contour: Contour) -> str:
    outcome = outcome_of(contour)
    return f"{PREFIX}{OPENED}.{contour.segment_id}.{outcome.run if outcome else ''}"


def _mark(sentence: str) -> str:
    """A sentence in characters that any scene file keeps."""
    return hashlib.sha256(sentence.encode()).hexdigest()[:12]
