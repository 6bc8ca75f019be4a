"""Reads the images of a batch and passes each through the per-sample transforms; runs in the loader's workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .data import Split
from .randomness import Indices, sample_rng

SampleFunction = Callable[[Any, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Fetched:
    """images: (N, H, W, C), uint8 unless a transform made them float. targets: (N,). Arrays, or tensors on a device."""

    images: np.ndarray | Tensor
    targets: np.ndarray | Tensor

    def pin_memory(self) -> Fetched:
        """Return it in pinned memory, from which copies to a GPU wait for nothing: torch's loader calls this."""
        pinned = (torch.as_tensor(part).pin_memory() for part in (self.images, self.targets))
        return replace(self, images=next(pinned), targets=next(pinned))


class Fetch:
    """The images of one split in one epoch. Indexed by the numbers of a batch's images."""

    def __init__(self, split: Split, transforms: Sequence[SampleFunction], seed: int, epoch: int) -> None:
        self.split, self.transforms, self.seed, self.epoch = split, transforms, seed, epoch

    def __getitem__(self, indices: Indices) -> Fetched:
        return Fetched(self._images(indices), self.split.targets[indices])

    def _images(self, indices: Indices) -> np.ndarray:
        if not self.transforms and isinstance(self.split.images, np.ndarray):
            return self.split.images[indices]
        return np.stack([self._image(int(index)) for index in indices])

    def _image(self, index: int) -> np.ndarray:
        image = self.split.images[index]
        if self.transforms:
            rng = sample_rng(self.seed, self.epoch, index)
            for transform in self.transforms:
                image = transform(image, rng)
        return image
