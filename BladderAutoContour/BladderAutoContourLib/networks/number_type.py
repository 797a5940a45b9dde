"""The number type that a device computes convolutions in."""

import contextlib

import torch


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
