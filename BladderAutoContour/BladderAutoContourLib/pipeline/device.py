"""Where the networks run, the graphics card or the processor, and how a card says that it cannot."""

import torch

from ..errors import EnvironmentFault
from ..networks.number_type import number_type

CHOICES = ("auto", "cuda", "cpu")
# torch has one class of error for its own memory; what CUDA's libraries say of theirs are plain RuntimeErrors. That no
# engine is found is cuDNN's word for too little room to work in.
_NO_ENGINE = "unable to find an engine"
_CARD = ("CUDA", "cuDNN", "CUBLAS", _NO_ENGINE)
_FULL = ("out of memory", "ALLOC_FAILED", _NO_ENGINE)


def resolve_device(wish: str) -> torch.device:
    """The device of a wish: "auto" takes the graphics card where there is one.

    Raises EnvironmentFault when "cuda" is asked for and absent, or the wish is none of CHOICES.
    """
    if wish not in CHOICES:
        raise EnvironmentFault(f"Unknown device {wish!r}. Choose one of: {', '.join(CHOICES)}.")
    present = torch.cuda.is_available()
    if wish == "cuda" and not present:
        raise EnvironmentFault(
            "No CUDA graphics card can be used here. Choose the device cpu or auto, or install torch for CUDA."
        )
    return torch.device("cuda" if present and wish != "cpu" else "cpu")


def describe(device: torch.device) -> str:
    """The device in words, for notes and reports."""
    name = f"GPU ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else "CPU"
    return f"{name}, {str(number_type(device)).removeprefix('torch.')}"


def is_device_failure(error: Exception) -> bool:
    """Whether a graphics card, not the work, failed: out of its memory, or any other CUDA error."""
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _CARD)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a graphics card's memory did not suffice."""
    return is_device_failure(error) and any(words in str(error) for words in _FULL)


def free_memory(device: torch.device) -> None:
    """Give back what torch holds on a graphics card without using it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
