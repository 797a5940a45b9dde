"""Samples made once and kept in a file, so that several networks learn from the very same ones and none waits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..errors import InputError

LABEL_STEPS = 255  # a label is kept in one byte: the share of a voxel inside the bladder, in 255ths


class SampleBank(Dataset):
    """The samples of another data set, (HU, soft label) pairs of float32 (Z, Y, X), as they were when first made.

    The file holds one record a sample, HU rounded to whole numbers. A kill costs the samples that were being made.

    Usage::

        bank = SampleBank(folder / "samples.bank", GeneratedSamples(recipe, 1000), shape=(48, 64, 64))
        bank.fill(lambda fraction: None, workers=2, together=4)
        hu, label = bank[17]
    """

    def __init__(self, path: Path, samples: Dataset, shape: tuple[int, int, int], first: int = 0) -> None:
        """`shape` (z, y, x) is that of every sample. Those before `first` are not kept, and cannot be had."""
        self._path, self._samples, self._shape, self._first = path, samples, shape, first
        self._voxels = int(np.prod(shape))
        self._record = 3 * self._voxels

    def __len__(self) -> int:
        return len(self._samples)

    def fill(self, progress: Callable[[float], None], workers: int = 0, together: int = 1) -> None:
        """Make the samples that the file lacks; `together` in a row are made by one process (those of one anatomy).

        Raises OSError where the file cannot be written, and whatever `progress` raises.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            count = len(self) - self._first
            whole = min(file.tell() // self._record, count)
            done = whole if whole == count else whole // together * together
            file.truncate(done * self._record)
            progress(done / count)
            starts = range(self._first + done, len(self), together)
            missing = DataLoader(
                self._samples,
                batch_sampler=[range(start, min(start + together, len(self))) for start in starts],
                num_workers=workers,
            )
            for hus, labels in missing:
                for hu, label in zip(hus, labels, strict=True):
                    file.write(hu.round().clamp(-32768, 32767).to(torch.int16).numpy().tobytes())
                    file.write((label * LABEL_STEPS).round().to(torch.uint8).numpy().tobytes())
                done += len(hus)
                progress(done / count)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        with self._path.open("rb") as file:
            file.seek((index - self._first) * self._record)
            content = file.read(self._record)
        if len(content) < self._record:
            message = f"The samples in {self._path} end too early; delete the file, and they are made anew."
            raise InputError(message, [self._path])
        hu = np.frombuffer(content, np.int16, self._voxels).reshape(self._shape).astype(np.float32)
        label = np.frombuffer(content, np.uint8, offset=2 * self._voxels).reshape(self._shape).astype(np.float32)
        return torch.from_numpy(hu), torch.from_numpy(label / LABEL_STEPS)
