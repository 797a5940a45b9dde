"""The engine: networks loaded once, any number of CTs contoured with them."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import NoBladderError
from ..imaging.geometry import Triple
from ..imaging.volume import Volume
from ..networks.plan import Plan
from ..networks.weights import Networks, default_weights, load_weights
from .corrections.copy_fit import copy_and_fit
from .corrections.refine import Corrections, Refinement, refine
from .decide import NOTHING_SEEN, decide
from .device import resolve_device
from .doubt import SliceFeatures, doubts, slice_features
from .fallback import Computed, Workplace
from .inference import Inference
from .localise import Candidate, localise
from .restore import restore
from .segment import Segmented, segment
from .steps import Progress, StepCost, Steps
from .suitability import check_suitable, within_scale, without_padding
from .warnings import Contoured, QualityWarning, contrast_warning, fallback_warning, geometry_warning, warnings_of

CORRECTION_MM = (2.0, 2.0, 3.0)
"""The grid (x, y, z) of the CRF-RNN in corrections where the plan has it work on the CNN's coarse one."""

HALF_CRF = (
    "Part of the bladder is bright, as with a layer of contrast medium, whose edge the last step (CRF-RNN) would take "
    "for the bladder's: the border is the mean of two methods there. Check it."
)
PADDED = (
    "The edge of this CT holds one value in place of air, as resampling or cutting out the body leaves it: that was "
    "taken as air. Take the original series where there is one."
)
WITHOUT_CRF = "The CRF-RNN was switched off: the border is the CNN's alone."


@dataclass(frozen=True)
class Contouring:
    """What the engine says of one CT; both volumes lie on the CT's grid.

    probability: float32, at least 0.5 exactly where `mask` (uint8) is 1. confidence: calibrated probability that this
    is a bladder. crf_change_in_band: share of the voxels within 5 mm of the CNN's boundary whose label the CRF-RNN
    changed. slice_doubt: one number in [0, 1] for each slice of the mask, from `slice_features.first_slice` on;
    slice_features: what it was computed from. device: where the networks ran, in words.
    """

    probability: Volume
    mask: Volume
    confidence: float
    volume_ml: float
    warnings: tuple[QualityWarning, ...]
    steps: tuple[StepCost, ...]
    crf_change_in_band: float
    slice_doubt: tuple[float, ...]
    slice_features: SliceFeatures
    device: str


@dataclass(frozen=True)
class _Seen:
    candidates: tuple[Candidate, ...]
    segmented: Segmented | None
    costs: tuple[StepCost, ...]


class Engine:
    """Contours CTs with one set of networks on one device.

    Usage::

        engine = Engine.load(None, "auto")
        contouring = engine.contour(volume, lambda step, fraction: None)
        contouring.mask, contouring.volume_ml
    """

    def __init__(self, networks: Networks, device: str = "auto") -> None:
        self._networks = networks
        self._workplace = Workplace(networks, device)

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "auto") -> "Engine":
        """An engine with the given weights, or those that are shipped.

        Raises WeightsError, and EnvironmentFault for a device that is not there.
        """
        resolve_device(device)  # the sooner said the better: before a file is read
        return cls(load_weights(weights or default_weights(), "cpu"), device)

    @property
    def plan(self) -> Plan:
        """The plan of the loaded networks."""
        return self._networks.plan

    @property
    def device(self) -> str:
        """Where the networks run, in words."""
        return self._workplace.device

    def contour(self, volume: Volume, progress: Progress, use_crf: bool = True) -> Contouring:
        """Contour the bladder in a CT (HU, any grid and orientation).

        Raises NoBladderError, InputError for a volume that cannot be a pelvic CT, and whatever `progress` raises.
        """
        given, volume = volume, _suitable(volume)
        computed = self._localise_and_segment(volume, progress, use_crf)
        candidates, segmented = computed.result.candidates, computed.result.segmented
        if segmented is None:
            raise NoBladderError(NOTHING_SEEN)
        steps = Steps(progress)
        with steps.step("restore"):
            probability = restore(segmented.probability, volume.geometry)
        with steps.step("decide") as tell:
            decision = decide(probability, segmented.evidence, self.plan.decision)
            tell(0.5)
            features = slice_features(volume, segmented.cnn_probability, decision.mask, segmented.evidence)
            slice_doubt = doubts(features, self.plan.doubt)
            masses_ml = [candidate.mass_ml for candidate in candidates]
            masses_ml.insert(0, masses_ml.pop(segmented.candidate))
            contoured = Contoured(
                volume,
                decision.mask,
                decision.volume_ml,
                tuple(masses_ml),
                features.first_slice,
                slice_doubt,
                segmented.cut,
                segmented.contradicted,
                segmented.rivals,
                segmented.scant,
            )
            found = list(warnings_of(contoured))
            if computed.fallback:
                found.append(fallback_warning(computed.fallback))
            if not use_crf:
                found.append(fallback_warning(WITHOUT_CRF))
            if segmented.layered:
                found.append(contrast_warning(HALF_CRF))
            if volume is not given:
                found.append(geometry_warning(PADDED))
        return Contouring(
            probability=decision.probability,
            mask=decision.mask,
            confidence=decision.confidence,
            volume_ml=decision.volume_ml,
            warnings=tuple(found),
            steps=computed.result.costs + steps.costs,
            crf_change_in_band=segmented.crf_change_in_band,
            slice_doubt=slice_doubt,
            slice_features=features,
            device=computed.device,
        )

    def refine(self, volume: Volume, corrections: Corrections) -> Computed[Refinement]:
        """Carry a clinician's corrections to what lies around them; see `corrections.refine`. Raises InputError."""
        ct = _suitable(volume)
        return self._workplace.compute(lambda inference: refine(ct, corrections, inference.solve, self._correction_mm))

    def copy_and_fit(self, volume: Volume, mask: Volume, source: int, target: int) -> Computed[Volume]:
        """Put the contour of one axial slice on another and snap it to the CT; see `corrections.copy_fit`.

        Raises InputError.
        """
        ct = _suitable(volume)
        return self._workplace.compute(
            lambda inference: copy_and_fit(ct, mask, source, target, inference.solve, self._correction_mm)
        )

    @property
    def _correction_mm(self) -> Triple:
        return self.plan.crf.spacing_mm or CORRECTION_MM

    def evidence(self, volume: Volume, progress: Progress) -> tuple[float, Volume | None]:
        """How sure the networks are of the best contour, accepted or not, and the CNN's probability about it.

        0 and None where there is none. What the plan's calibration is fitted on; the CRF-RNN has no say in it.
        """
        segmented = self._localise_and_segment(_suitable(volume), progress, use_crf=False).result.segmented
        return (segmented.evidence, segmented.cnn_probability) if segmented else (0.0, None)

    def _localise_and_segment(self, volume: Volume, progress: Progress, use_crf: bool) -> Computed[_Seen]:
        ct = within_scale(volume)
        return self._workplace.compute(lambda inference: _see(ct, inference, Steps(progress), use_crf))


def _suitable(volume: Volume) -> Volume:
    """What is computed with; the volume itself where nothing stands for no value in it. Raises InputError."""
    check_suitable(volume)
    return without_padding(volume)


def _see(ct: Volume, inference: Inference, steps: Steps, use_crf: bool) -> _Seen:
    # steps of its own: what a card that failed has cost is no step of the run
    with steps.step("localise") as tell:
        candidates = localise(ct, inference.plan.localiser, inference.localise, tell)
    if not candidates:
        return _Seen((), None, steps.costs)
    with steps.step("segment") as tell:
        segmented = segment(ct, candidates, inference, use_crf, tell)
    return _Seen(candidates, segmented, steps.costs)
