"""A graphics card that torch sees and cannot use, or that computes wrongly: who is told what, and what is done then."""

import re
from functools import cache

import pytest
import torch
from analytic import Body, ct_of, density_networks, scan_grid
from BladderAutoContourLib.errors import EnvironmentFault
from BladderAutoContourLib.networks.number_type import number_type
from BladderAutoContourLib.pipeline import device
from BladderAutoContourLib.pipeline.device import processor_instead, resolve_device
from BladderAutoContourLib.pipeline.engine import Engine
from BladderAutoContourLib.pipeline.fallback import Workplace
from BladderAutoContourLib.pipeline.inference import Inference
from pretend_card import pretended_card

CARD = torch.device("cuda")
NO_KERNELS = "CUDA error: no kernel image is available for execution on the device"
UNABLE = (
    RuntimeError(f"{NO_KERNELS}\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions."),
    torch.cuda.DeferredCudaCallError("CUDA call failed lazily at initialization with error: device=1, num_gpus=1"),
)
LIBRARIES = "CUDNN_BACKEND_TENSOR_DESCRIPTOR cudnnFinalize failed: CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED"


@pytest.fixture
def card():
    with pretended_card() as memory:
        yield memory


@pytest.mark.parametrize("failure", UNABLE, ids=["kernels", "initialisation"])
def test_on_a_card_without_kernels_the_processor_computes_and_it_says_why(card, failure) -> None:
    card.failure = failure
    engine = Engine(density_networks(), "auto")
    contouring = engine.contour(ct_of(Body(), scan_grid()), lambda step, fraction: None)
    (sentence,) = [warning.sentence for warning in contouring.warnings if warning.code == "fallback"]
    reason = str(failure).partition("\n")[0]
    assert sentence == f"This PyTorch cannot compute on the graphics card ({reason}): the processor was used instead."
    assert engine.device == contouring.device
    assert contouring.device.startswith("CPU")
    assert card.peak == 0, "nothing is brought to such a card, CT after CT"


@pytest.mark.parametrize("failure", UNABLE, ids=["kernels", "initialisation"])
def test_who_asks_for_a_card_without_kernels_is_told(card, failure) -> None:
    card.failure = failure
    with pytest.raises(EnvironmentFault, match=r"cannot compute on the graphics card \(CUDA .*or choose cpu") as told:
        Engine.load(None, "cuda")
    assert "\n" not in told.value.message


TOO_OLD = "The NVIDIA driver on your system is too old (found version 11040)"
NO_CARD = (
    "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU.",
    "No CUDA GPUs are available",
)


def _without_reach(monkeypatch, words: str) -> None:
    """A torch for CUDA that finds no card, and says so in these words when it shall begin."""

    def init() -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(device, "card_out_of_reach", cache(device.card_out_of_reach.__wrapped__))


def test_where_the_driver_is_too_old_the_processor_computes_and_it_says_why(monkeypatch) -> None:
    _without_reach(monkeypatch, f"{TOO_OLD}. Please update your GPU driver by downloading a new version.")
    contouring = Engine(density_networks(), "auto").contour(ct_of(Body(), scan_grid()), lambda step, fraction: None)
    (sentence,) = [warning.sentence for warning in contouring.warnings if warning.code == "fallback"]
    assert sentence == f"This PyTorch cannot compute on the graphics card ({TOO_OLD}): the processor was used instead."
    assert processor_instead("cpu") == "", "who asks for the processor gets what was asked for"
    with pytest.raises(EnvironmentFault, match=re.escape(f"can be used here ({TOO_OLD}). Choose")):
        resolve_device("cuda")


@pytest.mark.parametrize("words", NO_CARD)
def test_where_there_is_no_card_the_processor_is_no_fallback(monkeypatch, words: str) -> None:
    _without_reach(monkeypatch, words)
    assert processor_instead("auto") == ""
    with pytest.raises(EnvironmentFault, match=r"can be used here\. Choose"):
        resolve_device("cuda")


def test_each_process_of_a_training_tries_its_own_card(card, monkeypatch) -> None:
    tried = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", tried.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    resolve_device("auto")
    assert tried == [torch.device("cuda", 1)]


def test_libraries_that_do_not_fit_together_are_found_before_a_ct_comes(card, monkeypatch) -> None:
    """Kernels of torch's own compute there, convolutions do not: other programs have put their files beside torch's."""

    def fail(*_) -> None:
        raise RuntimeError(LIBRARIES)

    monkeypatch.setattr(torch.nn.functional, "conv3d", fail)
    assert resolve_device("auto").type == "cpu"
    assert LIBRARIES in processor_instead("auto")
    with pytest.raises(EnvironmentFault, match="cannot compute on the graphics card"):
        resolve_device("cuda")


def test_libraries_that_fail_at_work_are_the_cards(card) -> None:
    def fail_on_card(inference: Inference) -> str:
        if inference.device.type == "cuda":
            raise RuntimeError(LIBRARIES)
        return "done"

    assert "the processor was used" in Workplace(density_networks(), "auto").compute(fail_on_card).fallback


def test_a_complaint_about_another_card_is_none_about_this_one(card, monkeypatch) -> None:
    """torch raises it once, at the first question for cuDNN's version, whichever card is too old."""
    answers = iter([RuntimeError("cuDNN version 91900 is not compatible with devices with SM < 7.5"), 91900])

    def version() -> int:
        answer = next(answers, 91900)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    monkeypatch.setattr(torch.backends.cudnn, "version", version)
    assert resolve_device("cuda").type == "cuda"


def test_a_failure_at_the_cards_initialisation_is_the_cards(card) -> None:
    def fail_on_card(inference: Inference) -> str:
        if inference.device.type == "cuda":
            raise UNABLE[1]
        return "done"

    done = Workplace(density_networks(), "auto").compute(fail_on_card)
    assert done.result == "done"
    assert "the processor was used" in done.fallback


def test_why_the_card_failed_goes_to_standard_error_line_by_line(card, capsys) -> None:
    first, second = "CUDA out of memory. Tried to allocate 2 GiB.", "CUDA error: an illegal memory access"
    reasons = iter([f"{first}\nMore.", f"{second}\nMore."])

    def fail_on_card(inference: Inference) -> None:
        if inference.device.type == "cuda":
            raise RuntimeError(next(reasons))

    done = Workplace(density_networks(), "cuda").compute(fail_on_card)
    assert done.failures == (first, second)
    said = capsys.readouterr()
    assert said.err == f"The graphics card failed: {first}\nThe graphics card failed: {second}\n"
    assert said.out == ""


def test_work_that_is_wrong_on_every_card_is_not_hidden(card) -> None:
    def fail(inference: Inference) -> None:
        if inference.device.type == "cuda":
            raise NotImplementedError("Could not run 'aten::x' with arguments from the 'CUDA' backend.")

    with pytest.raises(NotImplementedError):
        Workplace(density_networks(), "cuda").compute(fail)


def test_the_networks_leave_a_full_card_before_it_is_tried_with_less(card) -> None:
    standing = {}

    def fail_unless_frugal(inference: Inference) -> None:
        standing[inference.frugal] = card.used
        if not inference.frugal:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    place = Workplace(density_networks(), "cuda")
    place.compute(fail_unless_frugal)
    assert standing[False] > 0
    assert standing[True] == 0
    assert not place.compute(lambda inference: None).fallback, "the card is tried again"


def test_a_card_that_has_failed_since_is_still_named(card, monkeypatch) -> None:
    def fail(device: torch.device) -> str:
        raise RuntimeError("CUDA error: unspecified launch failure")

    engine = Engine(density_networks(), "cuda")
    monkeypatch.setattr(torch.cuda, "get_device_name", fail)
    assert engine.device == "GPU (pretended), float32"


@pytest.mark.parametrize("failure", [None, RuntimeError("CUDA error: unspecified launch failure")])
def test_working_memory_is_given_back_after_every_work(card, monkeypatch, failure) -> None:
    done = []

    def give_back() -> None:
        done.append("given back")
        if failure:
            raise failure

    place = Workplace(density_networks(), "cuda")
    monkeypatch.setattr(torch.cuda, "empty_cache", give_back)
    place.compute(lambda inference: done.append("work"))
    assert done == ["work", "given back"]


@pytest.mark.parametrize(
    ("cudnn", "dtype", "tf32"),
    [
        (90701, torch.bfloat16, True),
        (90800, torch.float32, True),
        (91002, torch.float32, False),
        (91401, torch.float32, False),
        (91501, torch.bfloat16, False),
        (91600, torch.bfloat16, True),
        (None, torch.bfloat16, True),
    ],
)
def test_convolutions_that_this_cudnn_computes_wrongly_are_not_asked_of_it(
    card, monkeypatch, cudnn: int | None, dtype: torch.dtype, tf32: bool
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: cudnn)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert number_type(resolve_device("cuda")) == dtype
    assert torch.backends.cudnn.allow_tf32 == tf32
