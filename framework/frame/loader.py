"""From a split to batches on the device: gather, per-sample transforms, move, batched transforms, normalise."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .data import Split
from .device import Backend
from .randomness import Draws, Indices, epoch_order, sample_rng

SampleFunction = Callable[[Any, np.random.Generator], np.ndarray]
BatchFunction = Callable[[Tensor, Tensor, Draws], tuple[Tensor, Tensor]]
Raw = tuple[np.ndarray, np.ndarray]  # images (N, H, W, C), targets (N,)


@dataclass(frozen=True)
class Batch:
    """images: (N, C, H, W) float, ready for the model. targets: (N,) int64. Both on the device."""

    images: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.images)


class Normalize:
    """(pixels - mean) / std, for pixels of 0..255; mean and std are those of pixels scaled to [0, 1]."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        self.mean = torch.tensor(mean, device=device).mul_(255).view(1, -1, 1, 1)  # (1, C, 1, 1)
        self.std = torch.tensor(std, device=device).mul_(255).view(1, -1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        return images.float().sub_(self.mean).div_(self.std)


def scale(images: Tensor) -> Tensor:
    """Scale uint8 pixels to [0, 1]; leave what a transform has already made float."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images


class Fetch:
    """Reads the images of a batch and passes each through the per-sample transforms; runs in the loader's workers."""

    def __init__(self, split: Split, transforms: Sequence[SampleFunction], seed: int, epoch: int) -> None:
        self.split, self.transforms, self.seed, self.epoch = split, transforms, seed, epoch

    def __getitem__(self, indices: Indices) -> Raw:
        return self.images(indices), self.split.targets[indices]

    def images(self, indices: Indices) -> np.ndarray:
        """Return (N, H, W, C), uint8 unless a transform made them float."""
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


@dataclass(frozen=True)
class Pipeline:
    """One split with all that its images pass through on their way into the model."""

    split: Split
    sample_transforms: Sequence[SampleFunction]
    batch_transforms: Sequence[BatchFunction]
    normalize: Callable[[Tensor], Tensor]
    backend: Backend
    batch_size: int
    seed: int
    workers: int = 0

    def training(self, epoch: int, batches: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch in its own order, from batch number `start` on."""
        order = epoch_order(self.seed, epoch, len(self.split))
        yield from self._batches(order, epoch, range(start, batches))

    def evaluation(self) -> Iterator[Batch]:
        """Yield every image once, in the split's own order."""
        order = np.arange(len(self.split))
        yield from self._batches(order, 0, range(-(-len(order) // self.batch_size)))

    def pixels(self, indices: Sequence[int], epoch: int = 0) -> np.ndarray:
        """Return images by number as (N, H, W, C) uint8: transformed, not yet normalised, to be looked at."""
        images, _ = self._transformed(np.asarray(indices, dtype=np.int64), epoch)
        if images.is_floating_point() and float(images.max()) <= 1.0:
            images = images * 255  # a transform of the recipe's own scaled to [0, 1]
        return images.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()  # (N, H, W, C)

    def inputs(self, indices: Sequence[int]) -> Tensor:
        """Return images by number as the model is given them: (N, C, H, W) float."""
        images, _ = self._transformed(np.asarray(indices, dtype=np.int64), 0)
        return self.backend.order(self.normalize(images))

    def _transformed(self, indices: Indices, epoch: int) -> tuple[Tensor, Tensor]:
        raw = Fetch(self.split, self.sample_transforms, self.seed, epoch)[indices]
        return self._on_device(raw, indices, epoch, 0)

    def _batches(self, order: Indices, epoch: int, numbers: range) -> Iterator[Batch]:
        parts = [order[number * self.batch_size : (number + 1) * self.batch_size] for number in numbers]
        fetch = Fetch(self.split, self.sample_transforms, self.seed, epoch)
        for number, indices, raw in zip(numbers, parts, self._fetched(fetch, parts), strict=True):
            images, targets = self._on_device(raw, indices, epoch, number)
            yield Batch(self.backend.order(self.normalize(images)), targets)

    def _fetched(self, fetch: Fetch, parts: list[Indices]) -> Iterable[Raw]:
        if not self.workers:
            return (fetch[indices] for indices in parts)
        # Without a generator of its own the loader would draw from torch's global one.
        return torch.utils.data.DataLoader(
            fetch,  # type: ignore[arg-type]  # any object with __getitem__ serves
            sampler=parts,
            batch_size=None,
            num_workers=self.workers,
            collate_fn=_as_it_is,  # type: ignore[arg-type]
            generator=torch.Generator(),
            worker_init_fn=_obey_the_loader,
        )

    def _on_device(self, raw: Raw, indices: Indices, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        device = self.backend.device
        images = torch.from_numpy(raw[0]).to(device, non_blocking=True).permute(0, 3, 1, 2)  # (N, C, H, W)
        targets = torch.from_numpy(raw[1]).to(device, non_blocking=True)
        for place, transform in enumerate(self.batch_transforms):
            draws = Draws(self.seed, epoch, number, place, len(self.split), indices, device)
            images, targets = transform(images, targets, draws)
        return images, targets


def _as_it_is(batch: Raw) -> Raw:
    return batch


def _obey_the_loader(_worker: int) -> None:
    """Leave Ctrl-C to the training process, and end at the loader's SIGTERM: a worker inherits other handlers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
