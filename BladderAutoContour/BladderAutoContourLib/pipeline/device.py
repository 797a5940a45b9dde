"""Where the networks run, the graphics card or the processor, and how a card says that it cannot."""

import os
from functools import cache

import torch

from ..errors import EnvironmentFault
from ..networks.number_type import autocast, avoid_wrong_kernels, number_type

CHOICES = ("auto", "cuda", "cpu")
CARD_ERRORS = (RuntimeError, torch.cuda.DeferredCudaCallError)
"""What torch raises where a card fails, the second at its initialisation; `is_device_failure` tells whether one did."""
# torch has one class of error for its own memory; what CUDA's libraries, or AMD's, say of theirs are plain
# RuntimeErrors. That no engine is found is cuDNN's word for too little room to work in.
_NO_ENGINE = "unable to find an engine"
_CARD = ("CUDA", "cuDNN", "CUDNN", "CUBLAS", "nvrtc", "HIP", "MIOpen", "miopen", _NO_ENGINE)
_FULL = ("out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED", "AllocFailed", _NO_ENGINE)
# torch's words where the system has a card. Others, as of no driver or of no card, are no failure.
_OUT_OF_REACH = ("driver on your system is too old", "Unexpected error from cudaGetDeviceCount")


def resolve_device(wish: str) -> torch.device:
    """The device of a wish: "auto" takes the graphics card where there is one that computes; see `processor_instead`.

    Raises EnvironmentFault when "cuda" is asked for and absent or unable, or the wish is none of CHOICES.
    """
    if wish not in CHOICES:
        raise EnvironmentFault(f"Unknown device {wish!r}. Choose one of: {', '.join(CHOICES)}.")
    present = wish != "cpu" and torch.cuda.is_available()
    if wish == "cuda" and not present:
        why = f" ({card_out_of_reach()})" if card_out_of_reach() else ""
        raise EnvironmentFault(
            f"No CUDA graphics card can be used here{why}. Choose the device cpu or auto, or "
            + ("update the card's driver if there is a card." if torch.version.cuda else "install torch for CUDA.")
        )
    trouble = card_trouble() if present else ""
    if wish == "cuda" and trouble:
        raise EnvironmentFault(
            f"This PyTorch cannot compute on the graphics card ({trouble}): install a build for it, or choose cpu."
        )
    return torch.device("cuda" if present and not trouble else "cpu")


def processor_instead(wish: str) -> str:
    """A sentence where the wish takes the processor because the card that is there cannot compute; "" elsewhere."""
    if wish != "auto":
        return ""
    trouble = card_trouble() if torch.cuda.is_available() else card_out_of_reach()
    if not trouble:
        return ""
    return f"This PyTorch cannot compute on the graphics card ({trouble}): the processor was used instead."


@cache
def card_out_of_reach() -> str:
    """Why torch finds no card where the system has one, in its own words: its driver is too old, say; "" elsewhere.

    `torch.cuda.is_available` answers no to all alike; torch tells why when it shall begin all the same.
    """
    if not torch.backends.cuda.is_built():
        return ""
    try:
        torch.cuda.init()
    except CARD_ERRORS as error:
        reason = first_line(error)
        return reason.partition(". ")[0] if any(words in reason for words in _OUT_OF_REACH) else ""
    return ""


@cache
def card_trouble() -> str:
    """Why the graphics card that is there cannot compute, in its own words; "" where it can, or is only full now.

    That torch sees a card does not say that it has kernels for it, nor that its libraries fit together. Asked once in a
    process: some failures are told only the first time. The first work also loads the libraries, before a CT comes.
    """
    # Of processes that train together each has a card of its own, and takes memory of no other.
    card = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    try:
        describe(card)
        avoid_wrong_kernels()
        with torch.no_grad(), autocast(card):
            crop, kernel = (torch.ones((1, 1, size, size, size), device=card) for size in (4, 3))
            torch.nn.functional.conv3d(crop, kernel).flatten(0, 3).mm(torch.ones((2, 2), device=card)).sum().item()
    except CARD_ERRORS as error:  # whatever it says: so little work can only fail for the card
        return "" if is_out_of_memory(error) else first_line(error)
    return ""


def describe(device: torch.device) -> str:
    """The device in words, for notes and reports."""
    name = f"GPU ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else "CPU"
    return f"{name}, {str(number_type(device)).removeprefix('torch.')}"


def is_device_failure(error: Exception) -> bool:
    """Whether a graphics card, not the work, failed: out of its memory, or any other CUDA error."""
    if isinstance(error, NotImplementedError):  # a RuntimeError that names the card, but says that the work is wrong
        return False
    return isinstance(error, CARD_ERRORS) and any(words in str(error) for words in _CARD)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a graphics card's memory did not suffice."""
    return is_device_failure(error) and any(words in str(error) for words in _FULL)


def first_line(error: Exception) -> str:
    """What a card said; the lines behind it tell programmers how to look for more."""
    return str(error).strip().partition("\n")[0]


def free_memory(device: torch.device) -> None:
    """Give back what torch holds on a graphics card without using it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
