"""Where the networks run: the graphics card or the processor, and in which number type."""

import contextlib

import torch

from ..errors import EnvironmentFault

CHOICES = ("auto", "cuda", "cpu")


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


def number_type(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware computes in it (two to four times sooner), float32 elsewhere."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # older versions of torch, which other extensions of Slicer may ask for, do not tell
        capabilities = getattr(torch.cpu, "get_capabilities", dict)
        fast = bool(capabilities().get("avx512_bf16"))
    return torch.bfloat16 if fast else torch.float32


def autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """The context in which convolutions run in `number_type(device)`."""
    dtype = number_type(device)
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype)


def describe(device: torch.device) -> str:
    """The device in words, for notes and reports."""
    name = f"GPU ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else "CPU"
    return f"{name}, {str(number_type(device)).removeprefix('torch.')}"


def is_device_failure(error: Exception) -> bool:
    """Whether a graphics card, not the work, failed: out of its memory, or any other CUDA error."""
    return isinstance(error, RuntimeError) and any(word in str(error) for word in ("CUDA", "cuDNN", "CUBLAS"))


def is_out_of_memory(error: Exception) -> bool:
    """Whether a graphics card's memory did not suffice."""
    return isinstance(error, torch.OutOfMemoryError)


def free_memory(device: torch.device) -> None:
    """Give back what torch holds on a graphics card without using it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
