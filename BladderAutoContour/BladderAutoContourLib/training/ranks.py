"""The processes that train together: one, or several started by `torchrun`, each with its share of every step.

Every rank reads plan and checkpoints (from one folder that all of them see), rank 0 alone writes and speaks.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn

from ..errors import EnvironmentFault

# The others wait while the first reads and judges every patient held out: half a minute each, and hospitals have many.
PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Ranks:
    """This process among those of its training: rank 0 of 1 when it trains alone."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, passes: int) -> range:
        """Which of a step's passes are this rank's. `passes` is a multiple of `count`."""
        return range(self.rank, passes, self.count)

    def together(self, module: nn.Module) -> nn.Module:
        """The module whose backward pass averages the gradient over all ranks; its parameters stay the same ones."""
        if self.count == 1:
            return module
        return nn.parallel.DistributedDataParallel(module)

    def only_last_together(self, module: nn.Module, last: bool) -> contextlib.AbstractContextManager:
        """Around a pass of a step: gradients gather on this rank, and are averaged with the others' in the last one."""
        if self.count == 1 or last:
            return contextlib.nullcontext()
        return module.no_sync()

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean of each rank's value."""
        if self.count > 1:
            distributed.all_reduce(value)
        return value / self.count

    def wait(self) -> None:
        """Return when all ranks have come here."""
        if self.count > 1:
            distributed.barrier()


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """While the block runs, this process is one of those that `torchrun` started, or alone where it did not.

    On CUDA each rank of a machine gets a device of its own. Raises EnvironmentFault when there are too few of them,
    or when another rank ended: what has been trained lies in the checkpoint.
    """
    if not distributed.is_available() or not distributed.is_torchelastic_launched():
        yield Ranks(device)
        return
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise EnvironmentFault(
                f"This machine has {torch.cuda.device_count()} CUDA devices, too few for a process on each: start "
                "torchrun with a smaller --nproc-per-node, or train with --device cpu."
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    try:
        # torch for Windows has no nccl
        fast = device.type == "cuda" and distributed.is_nccl_available()
        distributed.init_process_group("nccl" if fast else "gloo", timeout=PATIENCE)
        yield Ranks(device, distributed.get_rank(), distributed.get_world_size())
    except RuntimeError as error:
        if _is_lost_rank(error):
            message = "Another process of this training ended; its own message says why. Go on with --resume."
            raise EnvironmentFault(message) from error
        raise
    # not after a failure: the ends of a broken connection might wait for each other
    distributed.destroy_process_group()


def _is_lost_rank(error: RuntimeError) -> bool:
    return isinstance(error, distributed.DistError) or "gloo" in str(error)  # gloo's own errors have no class
