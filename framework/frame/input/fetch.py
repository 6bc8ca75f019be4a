"""Reads the images of a batch and passes each through the per-sample transforms; runs in the loader's workers.

What goes wrong is handed over as data: of an exception, torch's DataLoader would make the text of a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..api.data import Split
from ..compute.randomness import Indices, sample_rng
from ..errors import FrameError, RunFailed, lines_to

SampleFunction = Callable[[Any, np.random.Generator], np.ndarray]
Request = tuple[int, Indices]
"""An epoch, and the numbers of a batch's images."""


@dataclass(frozen=True)
class Unread:
    """An image that could not be read: its number in the split, and a line that names it and says why."""

    index: int
    text: str


@dataclass(frozen=True)
class Fetched:
    """images: (N, H, W, C), uint8 unless a transform made them float. targets, indices: (N,), of the images read.

    Images and targets are arrays, or tensors on a device.
    """

    images: np.ndarray | Tensor
    targets: np.ndarray | Tensor
    indices: Indices
    unread: tuple[Unread, ...] = ()

    def pin_memory(self) -> Fetched:
        """Return it in pinned memory, from which copies to a GPU wait for nothing: torch's loader calls this."""
        pinned = (torch.as_tensor(part).pin_memory() for part in (self.images, self.targets))
        return replace(self, images=next(pinned), targets=next(pinned))


def without_unread(indices: Indices, unread: Mapping[int, str]) -> tuple[Indices, tuple[Unread, ...]]:
    """Return the numbers of a batch's images without those that are known not to be readable, and these."""
    if not unread:
        return indices, ()
    lost = [index for index in indices.tolist() if index in unread]
    return indices[~np.isin(indices, lost)], tuple(Unread(index, _one_line(unread[index])) for index in lost)


class Fetch:
    """The images of one split. Indexed by an epoch and the numbers of a batch's images."""

    def __init__(self, split: Split, transforms: Sequence[SampleFunction], seed: int) -> None:
        self.split, self.transforms, self.seed = split, transforms, seed

    def __getitem__(self, request: Request) -> Fetched | Exception:
        """Return the images, or what the transforms raised, as an exception that can be sent from a worker."""
        try:
            return self.read(*request)
        except MemoryError as error:
            return MemoryError(str(error))
        except FrameError as error:
            return RunFailed(str(error), error.code)
        except Exception as error:
            text = f"making a batch of the images failed: {_named(error)} ({lines_to(error)[-1]})"
            return RunFailed(text, "component-failed")

    def read(self, epoch: int, indices: Indices) -> Fetched:
        """Return the images. Raises whatever a transform raises; an image that cannot be read is left out."""
        if not self.transforms and isinstance(self.split.images, np.ndarray):
            left, lost = without_unread(indices, self.split.unread)
            return Fetched(self.split.images[left], self.split.targets[left], left, lost)
        images, read, unread = [], [], []
        for index in indices.tolist():
            try:
                image = self.split.image(index)
            except MemoryError:
                raise
            except Exception as error:  # whatever a dataset's decoder raises
                unread.append(Unread(index, reason_unread(self.split, index, error)))
                continue
            images.append(self._transformed(image, epoch, index))
            read.append(index)
        left = np.asarray(read, dtype=np.int64)
        return Fetched(np.stack(images) if images else np.empty(0), self.split.targets[left], left, tuple(unread))

    def _transformed(self, image: Any, epoch: int, index: int) -> np.ndarray:
        if self.transforms:
            if isinstance(image, np.ndarray):
                image = np.array(image)  # a transform may write into it, and it may be a view of the split
            rng = sample_rng(self.seed, epoch, index)
            for transform in self.transforms:
                image = transform(image, rng)
        return image


def reason_unread(split: Split, index: int, error: Exception) -> str:
    """Return the line that names an image that cannot be read, and says why."""
    if isinstance(error, FrameError):
        return _one_line(str(error))  # the dataset names the file itself
    return f"{split.source(index) or f'image number {index}'}: cannot be read: {_named(error)}"


def _named(error: Exception) -> str:
    return _one_line(f"{type(error).__name__}: {error}")


def _one_line(text: str) -> str:
    return " ".join(text.split())
