"""Weights on disk: what is saved comes back, and every other file is refused with code 7."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from BladderAutoContourLib.errors import WeightsError
from BladderAutoContourLib.networks import weights
from BladderAutoContourLib.networks.plan import CrfPlan, IntensityPlan, NetworkPlan, Plan, StagePlan
from BladderAutoContourLib.networks.weights import build_networks, default_weights, load_weights, save_weights

PLAN = Plan(
    name="small",
    localiser=StagePlan((6.0, 6.0, 6.0), (32, 32, 32), IntensityPlan(density_map=False), NetworkPlan(width=2)),
    segmenter=StagePlan((2.0, 2.0, 3.0), (32, 32, 16), network=NetworkPlan(width=4)),
    crf=CrfPlan(bilateral_weight=4.0),
    training={"seed": 1},
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A weights file in a folder with a space and a letter beyond ASCII in its name."""
    torch.manual_seed(0)
    path = tmp_path / "modèles ici" / "small.pt"
    path.parent.mkdir()
    save_weights(build_networks(PLAN), path)
    return path


def refused(path: Path) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        load_weights(path)
    assert caught.value.code == 7
    assert str(path.parent) not in caught.value.message
    return caught.value


def rehash(path: Path) -> None:
    """Make the plan believe in whatever the weights file holds now."""
    plan = json.loads(path.with_suffix(".json").read_text())
    plan["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(plan))


def test_saved_networks_come_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    networks = build_networks(PLAN)
    plan = save_weights(networks, tmp_path / "a.pt")
    loaded = load_weights(tmp_path / "a.pt", "cpu")
    assert loaded.plan == plan == dataclasses.replace(PLAN, sha256=plan.sha256)
    for before, after in (
        (networks.localiser, loaded.localiser),
        (networks.segmenter, loaded.segmenter),
        (networks.crf, loaded.crf),
    ):
        assert not after.training
        for key, value in before.state_dict().items():
            other = after.state_dict()[key]
            assert other.dtype == torch.float32
            assert torch.equal(other, value.half().float()), key
    channels = torch.randn(1, 2, 16, 32, 32)
    with torch.no_grad():
        assert torch.allclose(networks.segmenter(channels), loaded.segmenter(channels), atol=0.05)


def test_the_file_is_a_half_precision_state_dict_with_three_prefixes(saved: Path) -> None:
    state = torch.load(saved, weights_only=True)
    assert {key.split(".")[0] for key in state} == {"localiser", "segmenter", "crf"}
    assert {value.dtype for value in state.values()} == {torch.float16}
    plan = json.loads(saved.with_suffix(".json").read_text())
    assert plan["sha256"] == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert sorted(path.name for path in saved.parent.iterdir()) == ["small.json", "small.pt"]


def test_the_same_weights_give_the_same_bytes_under_any_name(tmp_path: Path) -> None:
    networks = build_networks(PLAN)
    assert save_weights(networks, tmp_path / "a.pt").sha256 == save_weights(networks, tmp_path / "other.pt").sha256


def test_weights_that_half_precision_cannot_hold_are_not_saved(tmp_path: Path) -> None:
    networks = build_networks(PLAN)
    with torch.no_grad():
        networks.crf.compatibility.fill_(1e6)
    with pytest.raises(ValueError, match="finite"):
        save_weights(networks, tmp_path / "a.pt")
    assert not list(tmp_path.iterdir())


def test_missing_weights(saved: Path) -> None:
    assert "missing" in refused(saved.with_name("absent.pt")).message


def test_missing_plan(saved: Path) -> None:
    saved.with_suffix(".json").unlink()
    assert "small.json" in refused(saved).message


@pytest.mark.parametrize("text", ["", "not JSON", "[1]", '{"name": "x"}', '{"name": "x", "localiser": "y"}'])
def test_unreadable_plan(saved: Path, text: str) -> None:
    saved.with_suffix(".json").write_text(text)
    assert "small.json" in refused(saved).message


def change_stage(path: Path, **changes: object) -> None:
    """Write something more into the segmenter's plan."""
    plan = json.loads(path.with_suffix(".json").read_text())
    plan["segmenter"] |= changes
    path.with_suffix(".json").write_text(json.dumps(plan))


def test_a_plan_that_asks_for_what_this_version_cannot_do_is_refused_by_name(saved: Path) -> None:
    change_stage(saved, mirrored=True)
    message = refused(saved).message
    assert "small.json" in message
    assert "asks for mirrored" in message


def test_what_another_version_could_do_and_was_not_asked_for_is_no_hindrance(saved: Path) -> None:
    change_stage(saved, mirrored=False)
    assert load_weights(saved).plan.segmenter == PLAN.segmenter


def flip_a_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [flip_a_bit, lambda content: content[:-1000], lambda content: b""])
def test_damaged_file(saved: Path, damage: Callable[[bytes], bytes]) -> None:
    saved.write_bytes(damage(saved.read_bytes()))
    assert "damaged" in refused(saved).message


def test_new_weights_beside_an_old_plan_are_refused(saved: Path) -> None:
    """What a kill between the two files leaves."""
    old_plan = saved.with_suffix(".json").read_bytes()
    torch.manual_seed(1)
    save_weights(build_networks(PLAN), saved)
    saved.with_suffix(".json").write_bytes(old_plan)
    refused(saved)


def test_a_plan_without_a_hash_is_refused(saved: Path) -> None:
    saved.with_suffix(".json").write_text(PLAN.to_json())
    refused(saved)


@pytest.mark.parametrize("damage", [lambda content: content[:-1000], lambda content: b"text", lambda content: b""])
def test_what_the_hash_approves_but_is_no_weights_file(saved: Path, damage: Callable[[bytes], bytes]) -> None:
    saved.write_bytes(damage(saved.read_bytes()))
    rehash(saved)
    refused(saved)


def test_other_keys_and_shapes_and_no_state_dict(saved: Path) -> None:
    state = torch.load(saved, weights_only=True)
    for wrong in (
        {f"module.{key}": value for key, value in state.items()},
        {key: value for key, value in state.items() if not key.startswith("crf.")},
        {**state, "crf.compatibility": torch.zeros(3, 3)},
        {**state, "crf.compatibility": "text"},
        [1, 2, 3],
    ):
        torch.save(wrong, saved)
        rehash(saved)
        refused(saved)


def test_code_in_a_weights_file_is_not_run(saved: Path, tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
            return Path.touch, (tmp_path / "touched",)

    torch.save({"crf.compatibility": Touch()}, saved)
    rehash(saved)
    refused(saved)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("change", [{"normalisation": "group"}, {"width": 3}, {"width": "wide"}, {"kernel": -1}])
def test_a_plan_of_an_impossible_network(saved: Path, change: dict[str, object]) -> None:
    plan = json.loads(saved.with_suffix(".json").read_text())
    plan["segmenter"]["network"].update(change)
    saved.with_suffix(".json").write_text(json.dumps(plan))
    refused(saved)


def test_the_shipped_weights_are_the_one_file_there(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "MODELS", saved.parent)
    assert default_weights() == saved
    (saved.parent / "second.pt").write_bytes(b"")
    with pytest.raises(WeightsError, match="several"):
        default_weights()
    monkeypatch.setattr(weights, "MODELS", tmp_path / "nowhere")
    with pytest.raises(WeightsError, match="missing"):
        default_weights()
