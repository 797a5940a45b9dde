"""The plan: one description of a run, saved beside the weights and quoted in every report.

Triples are (x, y, z), in millimetres or voxels as their names say. A plan is plain data:
`Plan.from_json(plan.to_json())` equals `plan`.
"""

import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..imaging.geometry import Triple

SCALINGS = ("window", "minmax")
NORMALISATIONS = ("instance", "batch", "none")


def expect(what: str, holds: bool) -> None:
    """Raise ValueError with the sentence where it does not hold."""
    if not holds:
        raise ValueError(what)


def is_number(value: object, above: float = -math.inf) -> bool:
    """Whether it is a finite number greater than `above`."""
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and above < value and abs(value) <= sys.float_info.max  # JSON writes whole numbers of any length


def is_from_zero(value: object, to: float = sys.float_info.max) -> bool:
    """Whether it is a number from 0 to `to`, both included."""
    return is_number(value) and 0 <= value <= to


def is_whole(value: object, least: int) -> bool:
    """Whether it is a whole number, `least` or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _are_widths(values: Sequence[object]) -> bool:
    return len(values) == 3 and all(is_number(value, above=0) for value in values)


def _is_window(values: Sequence[object]) -> bool:
    return len(values) == 2 and all(map(is_number, values)) and values[0] < values[1]


class UnknownRequestError(ValueError):
    """A plan of another version of the program: without what it asks for, its weights would give something else."""


@dataclass(frozen=True)
class IntensityPlan:
    """From HU to channels. `scaling` is "window" (fixed) or "minmax" (the paper's, per crop); ValueError otherwise."""

    window_hu: tuple[float, float] = (-200.0, 300.0)
    scaling: str = "window"
    density_map: bool = True
    density_centre_hu: float = 10.0
    density_width_hu: float = 30.0

    def __post_init__(self) -> None:
        if self.scaling not in SCALINGS:
            raise ValueError(f"the scaling {self.scaling!r} is not one of {', '.join(SCALINGS)}")
        expect(f"window_hu is {self.window_hu}: two numbers, the second greater", _is_window(self.window_hu))
        expect(f"density_map is {self.density_map!r}: true or false", isinstance(self.density_map, bool))
        expect("density_centre_hu is a number", is_number(self.density_centre_hu))
        expect("density_width_hu is a number above 0", is_number(self.density_width_hu, above=0))

    @property
    def channels(self) -> int:
        """How many channels the network sees."""
        return 2 if self.density_map else 1


@dataclass(frozen=True)
class NetworkPlan:
    """The V-Net's size; the paper's is width 16, kernel 5. normalisation: "instance", "batch" (current) or "none"."""

    width: int = 8
    kernel: int = 3
    normalisation: str = "instance"
    classes: int = 2

    def __post_init__(self) -> None:
        expect(f"width is {self.width!r}: a whole number from 1 on", is_whole(self.width, 1))
        expect(f"kernel is {self.kernel!r}: an odd number", is_whole(self.kernel, 1) and self.kernel % 2 == 1)
        known = ", ".join(NORMALISATIONS)
        expect(f"the normalisation {self.normalisation!r} is not one of {known}", self.normalisation in NORMALISATIONS)
        expect(f"classes is {self.classes!r}: a whole number from 2 on", is_whole(self.classes, 2))


@dataclass(frozen=True)
class StagePlan:
    """One network and the grid it works on: `crop_voxels` (x, y, z) of `spacing_mm` (x, y, z).

    shift_voxels: unless 0, the segmenter looks at work, though not in training, a second time: mirrored left to right,
    about what it has seen, and so many voxels away along every axis at least; the mean logits count.
    closer_below_ml: what it finds smaller than this, it looks at once more at work, about its middle and on a finer
    grid; the mean logits count. 0: never.
    """

    spacing_mm: Triple
    crop_voxels: tuple[int, int, int]
    intensity: IntensityPlan = IntensityPlan()
    network: NetworkPlan = NetworkPlan()
    shift_voxels: int = 0
    closer_below_ml: float = 0.0

    def __post_init__(self) -> None:
        expect(f"spacing_mm is {self.spacing_mm}: three numbers above 0", _are_widths(self.spacing_mm))
        three = len(self.crop_voxels) == 3 and all(is_whole(size, 0) for size in self.crop_voxels)
        expect(f"crop_voxels is {self.crop_voxels}: three whole numbers", three)
        expect(f"shift_voxels is {self.shift_voxels!r}: a whole number from 0 on", is_whole(self.shift_voxels, 0))
        smaller = self.closer_below_ml
        expect(f"closer_below_ml is {smaller!r}: a number from 0 on", is_from_zero(smaller))


@dataclass(frozen=True)
class CrfPlan:
    """The fully connected CRF: kernel widths in millimetres and HU, so that results do not depend on the voxel size.

    `window_hu` clamps the intensity that the appearance kernel compares. Weights and temperature are starting values;
    the learned ones are in the weights file. spacing_mm: of the grid that the CRF works on, finer than the CNN's, to
    which its logits are interpolated; None: the CNN's own. temperature: what the refined logits are divided by, which
    undoes mean field's certainty; None: nothing, as in the paper.
    """

    theta_alpha_mm: Triple = (6.0, 6.0, 6.0)
    theta_beta_hu: float = 30.0
    theta_gamma_mm: Triple = (2.0, 2.0, 3.0)
    window_hu: tuple[float, float] = (-200.0, 300.0)
    iterations: int = 3
    spatial_weight: float = 1.0
    bilateral_weight: float = 3.0
    spacing_mm: Triple | None = None
    temperature: float | None = None

    def __post_init__(self) -> None:
        for name in ("theta_alpha_mm", "theta_gamma_mm", "spacing_mm"):
            values = getattr(self, name)
            is_none = name == "spacing_mm" and values is None
            expect(f"the CRF's {name} is {values}: three numbers above 0", is_none or _are_widths(values))
        for name in ("theta_beta_hu", "temperature"):
            value = getattr(self, name)
            is_none = name == "temperature" and value is None
            expect(f"the CRF's {name} is {value!r}: a number above 0", is_none or is_number(value, above=0))
        expect(f"the CRF's window_hu is {self.window_hu}: two numbers, the second greater", _is_window(self.window_hu))
        expect(f"the CRF's iterations is {self.iterations!r}: a whole number from 0 on", is_whole(self.iterations, 0))
        expect("the CRF's weights are numbers", is_number(self.spatial_weight) and is_number(self.bilateral_weight))


@dataclass(frozen=True)
class DecisionPlan:
    """When a contour is given at all. `minimum_confidence` is the calibrated probability that a bladder was found."""

    minimum_confidence: float = 0.5
    minimum_volume_ml: float = 8.0
    calibration_slope: float = 1.0
    calibration_offset: float = 0.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            expect(f"{name} is {value!r}: a number", is_number(value))


@dataclass(frozen=True)
class DoubtPlan:
    """The logistic curve of a slice's doubt: a weight for each of `pipeline.doubt.FEATURES` that counts, an offset."""

    weights: dict[str, float] = field(default_factory=lambda: {"isoline_mm": 3.0})
    offset: float = -4.0

    def __post_init__(self) -> None:
        expect("the weights of the doubt are numbers, each with a name", isinstance(self.weights, dict))
        for name, value in (*self.weights.items(), ("offset", self.offset)):
            expect(f"{name} of the doubt is {value!r}: a number", is_number(value))


@dataclass(frozen=True)
class Plan:
    """Everything that prediction needs besides the weights themselves, and how those came about."""

    name: str
    localiser: StagePlan
    segmenter: StagePlan
    crf: CrfPlan = CrfPlan()
    decision: DecisionPlan = DecisionPlan()
    doubt: DoubtPlan = field(default_factory=DoubtPlan)
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""

    def to_json(self) -> str:
        """The plan as indented JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """The plan of a JSON text.

        Raises ValueError, TypeError or KeyError where it is not one, UnknownRequestError where it asks for more than
        this version can do.
        """
        raw = json.loads(text)
        _known(cls, raw)
        return cls(
            name=str(raw["name"]),
            localiser=_stage(raw["localiser"]),
            segmenter=_stage(raw["segmenter"]),
            crf=_dataclass(CrfPlan, raw.get("crf", {})),
            decision=_dataclass(DecisionPlan, raw.get("decision", {})),
            doubt=_dataclass(DoubtPlan, raw.get("doubt", {})),
            training=dict(raw.get("training", {})),
            scores=dict(raw.get("scores", {})),
            sha256=str(raw.get("sha256", "")),
        )


def _known(kind: type, raw: dict[str, Any]) -> dict[str, Any]:
    """The fields of `kind`. Another version's may be there, too, switched off; raises UnknownRequestError otherwise."""
    if not isinstance(raw, dict):
        raise TypeError(f"a {kind.__name__} is an object of JSON")
    names = {part.name for part in dataclasses.fields(kind)}
    unknown = sorted(key for key in raw if key not in names and raw[key])
    if unknown:
        raise UnknownRequestError(f"it asks for {', '.join(unknown)}, which this version of the program does not know")
    return {key: raw[key] for key in raw if key in names}


def _dataclass(kind: type, raw: dict[str, Any]) -> Any:
    known = _known(kind, raw)
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in known.items()})


def _stage(raw: dict[str, Any]) -> StagePlan:
    known = _known(StagePlan, raw)
    parts = {
        "intensity": _dataclass(IntensityPlan, known.get("intensity", {})),
        "network": _dataclass(NetworkPlan, known.get("network", {})),
    }
    stage = _dataclass(StagePlan, {**known, **parts})
    return replace(stage, spacing_mm=tuple(map(float, stage.spacing_mm)))  # a file may say 3 for 3.0
