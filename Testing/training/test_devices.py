"""Training on a graphics card, as far as a machine without one can tell.

torch's "meta" device stands in for the card: its tensors have shapes and no numbers. It takes what lies on another
device without a word, which no card does; `Card` speaks up instead.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from BladderAutoContourLib.networks.plan import NetworkPlan
from BladderAutoContourLib.training.ranks import Ranks
from BladderAutoContourLib.training.run import AVERAGE, run_training
from BladderAutoContourLib.training.trainer import StageModule, Trainer
from test_training import tiny_plan
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

META = torch.device("meta")
MOVING = ("aten::copy_", "aten::_to_copy")
INDEXING = ("aten::index", "aten::index_put_", "aten::_index_put_impl_")  # a card takes indices from anywhere


class Card(TorchDispatchMode):
    """While it is on, no operation but a copy takes tensors of two devices."""

    def __torch_dispatch__(
        self, func: Callable, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.name().partition(".")[0]
        judged = (args[0], *args[2:]) if name in INDEXING else args
        tensors = [part for part in tree_leaves((judged, kwargs)) if isinstance(part, torch.Tensor) and part.dim()]
        devices = {tensor.device.type for tensor in tensors}
        assert len(devices) < 2 or name in MOVING, f"{name} mixes {devices}"
        return func(*args, **(kwargs or {}))


def test_the_stand_in_refuses_what_a_card_does() -> None:
    rows = torch.zeros(4, 4, device=META)
    with Card():
        rows[:, [0, 1]] = torch.zeros(4, 2, device=META)
        with pytest.raises(AssertionError, match="index_put"):
            rows[:, [0, 1]] = torch.zeros(4, 2)


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_a_network_is_widened_on_the_device_that_trains_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = tiny_plan()
    localiser, segmenter, _ = training.stages
    grid = dataclasses.replace(training.plan.segmenter, network=NetworkPlan(width=4))
    narrow = dataclasses.replace(segmenter, width=2, start_from="")
    wide = dataclasses.replace(segmenter, name="wide", start_from="segmenter")
    plan = dataclasses.replace(training.plan, segmenter=grid)
    training = dataclasses.replace(training, plan=plan, stages=(localiser, narrow, wide))
    (tmp_path / "segmenter").mkdir()
    torch.save(StageModule("segmenter", training.at(narrow)).state_dict(), tmp_path / "segmenter" / AVERAGE)
    begun: list[Trainer] = []
    monkeypatch.setattr(Trainer, "run", lambda trainer, progress: begun.append(trainer))
    with Card():
        # a rank that is not the first writes nothing
        run_training(training, tmp_path, Ranks(META, rank=1), lambda name, share: None, only=["wide"])
    (trainer,) = begun
    assert {value.device.type for value in trainer.module.state_dict().values()} == {"meta"}


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_a_resumed_training_counts_its_steps_beside_the_card(tmp_path: Path) -> None:
    training = tiny_plan(steps=1)
    localiser = training.stages[0]
    Trainer(training, localiser, tmp_path, Ranks(torch.device("cpu")), workers=0).run(lambda name, share: None)
    trainer = Trainer(training, localiser, tmp_path, Ranks(META))
    assert trainer.resume()
    assert {value.device.type for value in trainer.average.values()} == {"meta"}
    for state in trainer.optimiser.state.values():
        assert state["step"].device.type == "cpu"  # AdamW would wait for the card to read it, in every step
        assert state["exp_avg"].device.type == "meta"
