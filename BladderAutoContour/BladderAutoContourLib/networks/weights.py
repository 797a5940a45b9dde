"""Weights on disk: `<name>.pt`, a half-precision state dict, beside `<name>.json`, the plan that holds its SHA-256.

The pair belongs together: whatever interrupted writing it or altered a file afterwards, the hash tells.
"""

import dataclasses
import hashlib
import io
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from .. import host
from ..errors import WeightsError
from .crf_rnn import CrfRnn
from .plan import Plan, StagePlan, UnknownRequestError
from .vnet import VNet

MODELS = Path(__file__).resolve().parents[2] / "Resources" / "Models"
_REPAIR = "Install the program again, or choose another weights file."
# what reading and filling in a file that is not a state dict of this plan may raise, in torch's hands and ours
NO_STATE_DICT = (
    pickle.UnpicklingError,
    struct.error,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Networks:
    """The trained modules of a plan."""

    plan: Plan
    localiser: VNet
    segmenter: VNet
    crf: CrfRnn

    def modules(self) -> nn.ModuleDict:
        """All of them under the prefixes of the weights file: "localiser.", "segmenter.", "crf."."""
        return nn.ModuleDict({"localiser": self.localiser, "segmenter": self.segmenter, "crf": self.crf})


def build_networks(plan: Plan) -> Networks:
    """Networks of a plan, not trained yet. Raises ValueError for a plan that describes none."""

    def vnet(stage: StagePlan) -> VNet:
        return VNet(stage.intensity.channels, stage.network)

    return Networks(plan, vnet(plan.localiser), vnet(plan.segmenter), CrfRnn(plan.crf, plan.segmenter.network.classes))


def save_weights(networks: Networks, path: Path) -> Plan:
    """Write `path` (.pt) and the plan beside it; returns the plan with the file's hash filled in.

    Each file appears whole or not at all, the plan last. Raises ValueError for weights that half precision cannot hold,
    OSError where nothing can be written.
    """
    state = {key: value.detach().cpu().half() for key, value in networks.modules().state_dict().items()}
    if not all(bool(value.isfinite().all()) for value in state.values()):
        raise ValueError("the weights hold numbers that are not finite in half precision: has training diverged?")
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    plan = dataclasses.replace(networks.plan, sha256=hashlib.sha256(content).hexdigest())
    host.put_file(path, lambda temporary: temporary.write_bytes(content))
    host.put_text(path.with_suffix(".json"), plan.to_json())
    return plan


def load_weights(path: Path, device: torch.device | str = "cpu") -> Networks:
    """Networks of a weights file, in float32, on `device`, in evaluation mode.

    Raises WeightsError: file or plan missing, plan unreadable, hash of another file, no state dict, tensors other than
    the plan's.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"The weights {path.name} are missing or cannot be read. {_REPAIR}", [path]) from error
    plan = _read_plan(path.with_suffix(".json"))
    if hashlib.sha256(content).hexdigest() != plan.sha256:
        raise WeightsError(
            f"The weights {path.name} are damaged or not those that {path.stem}.json describes. {_REPAIR}", [path]
        )
    try:
        networks = build_networks(plan)
    except (ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        raise WeightsError(
            f"The plan {path.stem}.json describes a network that cannot be built. {_REPAIR}",
            [path.with_suffix(".json")],
        ) from error
    modules = networks.modules()
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        modules.load_state_dict({key: value.float() for key, value in state.items()})
    except NO_STATE_DICT as error:
        raise WeightsError(
            f"The file {path.name} does not hold the weights that its plan describes. {_REPAIR}", [path]
        ) from error
    modules.to(device).eval()
    return networks


def default_weights() -> Path:
    """The shipped weights, the one .pt file of Resources/Models. Raises WeightsError for none or several."""
    found = sorted(MODELS.glob("*.pt"))
    if len(found) != 1:
        problem = "are missing" if not found else "are ambiguous: there are several"
        raise WeightsError(
            f"The program's own weights {problem}. Install the program again, or name a weights file.",
            found or [MODELS],
        )
    return found[0]


def _read_plan(path: Path) -> Plan:
    try:
        return Plan.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"The plan {path.name} is missing beside its weights. {_REPAIR}", [path]) from error
    except UnknownRequestError as error:
        raise WeightsError(
            f"The plan {path.name} is of another version of the program: {error}. Use the version that trained the "
            "weights, or choose another weights file.",
            [path],
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WeightsError(f"The plan {path.name} cannot be understood. {_REPAIR}", [path]) from error
