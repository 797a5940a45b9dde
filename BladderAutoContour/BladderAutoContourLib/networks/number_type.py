"""The number type that a device computes convolutions in."""

import contextlib

import torch

# Versions of cuDNN, as torch numbers them, whose 3-D convolutions give wrong numbers. Those in bfloat16 are wrong from
# 9.8 to 9.14 (PyTorch's issue 163539): torch 2.8 still asks for them, later ones go around cuDNN and take four times as
# long. Those in TF32, which stand in for float32's, are wrong from 9.10.2 to 9.15 (PyTorch's pull request 167024).
_WRONG_IN_BFLOAT16 = range(90800, 91500)
_WRONG_IN_TF32 = range(91002, 91600)


def number_type(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware computes in it rightly (two to four times sooner), float32 elsewhere."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False) and _cudnn() not in _WRONG_IN_BFLOAT16
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


def avoid_wrong_kernels() -> None:
    """Before a graphics card computes: convolutions in float32 do without TF32, for good, where cuDNN's is wrong."""
    if _cudnn() in _WRONG_IN_TF32:
        torch.backends.cudnn.allow_tf32 = False


def _cudnn() -> int:
    """The version of cuDNN as torch numbers it, 91002 for 9.10.2; 0 without cuDNN."""
    for _ in range(2):
        # the first question may raise: of any card that is there and too old for it, though another one computes
        with contextlib.suppress(RuntimeError):
            return torch.backends.cudnn.version() or 0
    return 0
