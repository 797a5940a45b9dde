"""A graphics card where there is none: what stands on it is computed by the processor, and kept apart as a card does.

A tensor on the card is an `OnCard`, a stand-in around one on the processor. To torch it lies on the "meta" device,
which every build of torch knows, but it says "cuda" to whoever asks. An operation that mixes the two places fails as on
a true card; what stands on it is counted, and more than its memory is refused in torch's own words. What a card
computes otherwise (bfloat16, the kernels' own memory, other rounding) only a true one shows.
"""

import contextlib
import time
import weakref
from collections import Counter
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from BladderAutoContourLib.pipeline import device
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CARD, META = torch.device("cuda", 0), torch.device("meta")
NAME = "pretended"
LARGE = 1 << 40
COPYING = ("aten::copy_", "aten::_to_copy")
INDEXING = ("aten::index", "aten::index_put_", "aten::_index_put_impl_")  # a card takes indices from anywhere


class OnCard(torch.Tensor):
    """A tensor on the card; `held` has its numbers."""

    held: torch.Tensor
    device, is_cuda, is_meta = (property(lambda self, answer=answer: answer) for answer in (CARD, True, False))

    @staticmethod
    def __new__(cls, held: torch.Tensor, memory: "Memory") -> "OnCard":
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=META,
        )

    def __init__(self, held: torch.Tensor, memory: "Memory") -> None:
        self.held, self.memory = held, memory
        memory.take(self)

    def __repr__(self) -> str:
        return f"OnCard({self.held})"

    def __reduce_ex__(self, protocol: int) -> Any:
        return self.held.__reduce_ex__(protocol)  # saved as what a reader on the processor loads

    @classmethod
    def __torch_dispatch__(
        cls, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        (memory, *_) = [part.memory for part in tree_leaves((args, kwargs)) if isinstance(part, OnCard)]
        return _compute(operation, args, kwargs or {}, memory)


class Memory:
    """The card's: what stands on it now, and the most that ever did, in bytes. Over `cap` torch's error is raised.

    failure: what every computation on the card raises from now on; copies are none.
    """

    failure: Exception | None = None

    def __init__(self, cap: int) -> None:
        self.whole = self.cap = cap
        self.used = self.peak = 0
        self._sharing: Counter[int] = Counter()

    def take(self, tensor: OnCard) -> None:
        """Count a tensor, unless it shares the place of another, for as long as it lives."""
        storage = tensor.held.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        if not self._sharing[place]:
            if self.used + size > self.cap:
                raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes.")
            self.used += size
            self.peak = max(self.peak, self.used)
        self._sharing[place] += 1
        weakref.finalize(tensor, self._release, place, size)

    def forget_peak(self) -> None:
        """From now on the peak is the most that stands here from now on."""
        self.peak = self.used

    def keep_below(self, share: float) -> None:
        """Refuse what goes beyond a share of the card's whole memory, as torch does a share of more than all."""
        if not 0 <= share <= 1:
            raise ValueError(f"Invalid fraction value: {share}. Allowed range: 0~1")
        self.cap = int(share * self.whole)

    def _release(self, place: int, size: int) -> None:
        self._sharing[place] -= 1
        if not self._sharing[place]:
            self.used -= size


class _Moment:
    """A CUDA event; what is asked of the pretended card is done before it returns."""

    def __init__(self, enable_timing: bool = False) -> None:
        self._at = 0.0

    def record(self) -> None:
        """Now."""
        self._at = time.perf_counter()

    def elapsed_time(self, other: "_Moment") -> float:
        """Milliseconds from here to the other."""
        return 1000 * (other._at - self._at)


class _Places(TorchDispatchMode):
    """Every operation is computed where its tensors stand."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _compute(operation, args, kwargs or {}, self._memory)


class _Names(TorchFunctionMode):
    """ "cuda", asked for, is torch's "meta": the other, a build of torch without CUDA does not know."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            args = (args[0], _without_lists(args[1]), *args[2:])
        elif function is not torch.device:
            args, kwargs = tree_map(_as_meta, (args, kwargs))
        return function(*args, **kwargs)


def _without_lists(index: Any) -> Any:
    """Lists of indices, which torch would make meta tensors without numbers, as tensors."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(torch.tensor(part) if isinstance(part, list) else part for part in parts)


def _as_meta(value: Any) -> Any:
    if isinstance(value, torch.device):
        return META if value.type == "cuda" else value
    return META if isinstance(value, str) and value.partition(":")[0] == "cuda" else value


def _compute(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], memory: Memory) -> Any:
    name = operation.name().partition(".")[0]
    judged = (args[0], *args[2:]) if name in INDEXING else args
    tensors = [part for part in tree_leaves((judged, kwargs)) if isinstance(part, torch.Tensor)]
    there = {isinstance(part, OnCard) for part in tensors if part.dim()}
    if len(there) > 1 and name not in COPYING:
        raise RuntimeError(f"Expected all tensors to be on the same device: {name} takes cuda:0 and cpu.")
    result_there = any(isinstance(part, OnCard) for part in tensors)
    if name == "aten::copy_":
        result_there = isinstance(args[0], OnCard)
    elif kwargs.get("device") is not None:
        result_there = torch.device(kwargs["device"]).type == META.type
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if memory.failure is not None and (result_there or True in there) and name not in COPYING:
        raise memory.failure
    own = {id(part.held): part for part in tree_leaves((args, kwargs)) if isinstance(part, OnCard)}
    args, kwargs = tree_map(lambda part: part.held if isinstance(part, OnCard) else part, (args, kwargs))
    result = operation(*args, **kwargs)
    if not result_there:
        return result

    def stand(part: Any) -> Any:
        if not isinstance(part, torch.Tensor):
            return part
        return own[id(part)] if id(part) in own else OnCard(part, memory)

    return tree_map(stand, result)


@contextlib.contextmanager
def pretended_card(cap_bytes: int = LARGE) -> Iterator[Memory]:
    """While it lasts, this machine has a card of so much memory, which computes in float32."""
    memory = Memory(cap_bytes)
    with pytest.MonkeyPatch.context() as patch, torch.autograd.set_multithreading_enabled(False):
        patch.setattr(torch.cuda, "_lazy_init", lambda: None)
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        patch.setattr(torch.cuda, "get_device_name", lambda device=None: NAME)
        patch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: False)
        patch.setattr(torch.cuda, "empty_cache", lambda: None)
        patch.setattr(torch.cuda, "synchronize", lambda: None)
        # a build for CUDA would ask the driver, which is not there
        patch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: None)
        patch.setattr(torch.backends.cudnn, "version", lambda: None)
        patch.setattr(torch.cuda, "Event", _Moment)
        patch.setattr(torch.cuda, "memory_allocated", lambda: memory.used)
        patch.setattr(torch.cuda, "max_memory_allocated", lambda: memory.peak)
        patch.setattr(torch.cuda, "reset_peak_memory_stats", memory.forget_peak)
        patch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=cap_bytes))
        patch.setattr(torch.cuda, "set_per_process_memory_fraction", memory.keep_below)
        patch.setattr(torch, "inference_mode", torch.no_grad)  # a stand-in has no such mode
        patch.setattr(device, "card_trouble", cache(device.card_trouble.__wrapped__))  # another card than the last
        with _Names(), _Places(memory):
            yield memory
