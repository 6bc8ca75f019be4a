"""From a split to batches on the device: read or gather, move, batched transforms, normalise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..api.data import Size, Split
from ..compute.device import Backend
from ..compute.distributed import ALONE, World
from ..compute.randomness import Draws, Indices, epoch_order
from ..errors import RunFailed
from .fetch import Fetch, Fetched, SampleFunction, Unread
from .fitting import at_size
from .resident import Resident, to_device_if_it_fits
from .workers import Workers

MEND = "Put it right, then run or resume; results over fewer images do not compare, so that none is left out"
MEND_OR_SKIP = "Put it right and continue with frame resume, or start with data.unreadable=skip to leave it out"

BatchFunction = Callable[[Tensor, Tensor, Draws], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Batch:
    """images: (N, C, H, W) float, ready for the model. targets: (N,) int64. Both on the device.

    unread: the images that were left out, because they could not be read. counts: whether it is this process's share
    of a batch; else that share is empty, and one image stands in, whose gradient weighs nothing.
    """

    images: Tensor
    targets: Tensor
    unread: Sequence[Unread] = ()
    counts: bool = True

    def __len__(self) -> int:
        return len(self.images)


class Normalize:
    """(pixels - mean) / std, for pixels of 0..255; mean and std are those of pixels scaled to [0, 1]."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        self.mean = torch.tensor(mean, device=device).mul_(255).view(1, -1, 1, 1)  # (1, C, 1, 1)
        self.std = torch.tensor(std, device=device).mul_(255).view(1, -1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        if self.mean.shape[1:] != images.shape[1:]:
            self.mean, self.std = (_as_large(values, images) for values in (self.mean, self.std))
        return images.float().sub_(self.mean).div_(self.std)


def _as_large(values: Tensor, images: Tensor) -> Tensor:
    """Repeat values (1, C, ., .) to the size of one image: the CPU is 6 times as fast where only N is broadcast."""
    whole = values[:, :, :1, :1].expand(1, *images.shape[1:])
    return whole.contiguous(memory_format=torch.channels_last)


def scale(images: Tensor) -> Tensor:
    """Scale uint8 pixels to [0, 1]; leave what a transform has already made float."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images


@dataclass(frozen=True)
class Pipeline:
    """One split with all that its images pass through on their way into the model.

    mode: as `data.pipeline`. Where it allows, images that are one array and have no per-sample transforms are gathered
    without workers, on an accelerator that has room for them. skip: leave images that cannot be read out of training
    batches. Evaluation always stops at them, because results over fewer images do not compare.
    """

    split: Split
    sample_transforms: Sequence[SampleFunction]
    batch_transforms: Sequence[BatchFunction]
    normalize: Callable[[Tensor], Tensor]
    backend: Backend
    batch_size: int
    seed: int
    workers: int = 0
    mode: Literal["auto", "device", "workers"] = "auto"
    skip: bool = False

    def with_first(self, count: int, size: Size) -> Pipeline:
        """Return it with its first `count` transforms; without any, images that are not fitted yet become of `size`."""
        if not count:
            return replace(self, split=at_size(self.split, size), sample_transforms=(), batch_transforms=())
        samples = self.sample_transforms[:count]
        return replace(self, sample_transforms=samples, batch_transforms=self.batch_transforms[: count - len(samples)])

    def training(self, epoch: int, batches: int, start: int = 0, world: World = ALONE) -> Iterator[Batch]:
        """Yield the batches of one epoch in its own order, from batch number `start` on; of each, the world's part."""
        order = epoch_order(self.seed, epoch, len(self.split))
        yield from self._batches(order, epoch, range(start, batches), world, training=True)

    def evaluation(self, world: World = ALONE) -> Iterator[Batch]:
        """Yield every image once, in the split's own order, or the world's part of them."""
        order = np.arange(len(self.split))[world.part(len(self.split))]
        yield from self._batches(order, 0, range(-(-len(order) // self.batch_size)))

    def pixels(self, indices: Sequence[int], epoch: int = 0) -> np.ndarray:
        """Return images by number as (N, H, W, C) uint8: transformed, not yet normalised, to be looked at."""
        images, _ = self._transformed(np.asarray(indices, dtype=np.int64), epoch)
        if images.is_floating_point() and float(images.max()) <= 1.0:
            images = images * 255  # a transform of the recipe's own scaled to [0, 1]
        return images.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()  # (N, H, W, C)

    def inputs(self, indices: Sequence[int]) -> Tensor:
        """Return images by number as the model is given them: (N, C, H, W) float; without those that are skipped."""
        images, _ = self._transformed(np.asarray(indices, dtype=np.int64), 0, skip=self.skip)
        return self.backend.order(self.normalize(images))

    def first(self, count: int) -> Tensor:
        """Return the first `count` images as the model is given them; of a split that skips, the first to be read."""
        numbers: Iterable[int] = range(min(count, len(self.split)))
        if self.skip:
            read = (number for number in range(len(self.split)) if not self._fetch.read(0, np.array([number])).unread)
            numbers = list(islice(read, count)) or numbers
        return self.inputs(list(numbers))

    def _transformed(self, indices: Indices, epoch: int, *, skip: bool = False) -> tuple[Tensor, Tensor]:
        fetched = self._fetch.read(epoch, indices)
        _check(fetched, skip=skip)
        return self._on_device(fetched, epoch, 0)

    def _batches(
        self, order: Indices, epoch: int, numbers: range, world: World = ALONE, *, training: bool = False
    ) -> Iterator[Batch]:
        whole = [order[number * self.batch_size : (number + 1) * self.batch_size] for number in numbers]
        shares = [indices[world.part(len(indices))] for indices in whole]
        parts = [share if len(share) else indices[:1] for share, indices in zip(shares, whole, strict=True)]
        for number, share, fetched in zip(numbers, shares, self._fetched(epoch, parts), strict=True):
            if isinstance(fetched, Exception):
                try:
                    raise fetched
                finally:
                    del fetched  # else it and this frame hold each other, and the workers with them
            _check(fetched, skip=training and self.skip, advice=MEND_OR_SKIP if training else MEND)
            images, targets = self._on_device(fetched, epoch, number)
            yield Batch(self.backend.order(self.normalize(images)), targets, fetched.unread, len(share) > 0)

    def _fetched(self, epoch: int, parts: list[Indices]) -> Iterable[Fetched | Exception]:
        if self.workers and not self.gathers:
            return self._processes.read(epoch, parts)
        if resident := self.resident:
            return (resident[indices] for indices in parts)
        return (self._fetch[epoch, indices] for indices in parts)

    @property
    def gathers(self) -> bool:
        """Whether a batch is taken from one array as it is, so that workers have nothing to do."""
        return self.mode != "workers" and not self.sample_transforms and isinstance(self.split.images, np.ndarray)

    @cached_property
    def resident(self) -> Resident | None:
        """The split on its accelerator, if it can be there. Raises UserError if it must and cannot."""
        return (
            to_device_if_it_fits(self.split, self.backend.device, must=self.mode == "device") if self.gathers else None
        )

    @cached_property
    def _fetch(self) -> Fetch:
        return Fetch(self.split, self.sample_transforms, self.seed)

    @cached_property
    def _processes(self) -> Workers:
        return Workers(self._fetch, self.workers, pinned=self.backend.device.type == "cuda")

    def _on_device(self, fetched: Fetched, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        device = self.backend.device
        images = torch.as_tensor(fetched.images).to(device, non_blocking=True).permute(0, 3, 1, 2)  # (N, C, H, W)
        targets = torch.as_tensor(fetched.targets).to(device, non_blocking=True)
        for place, transform in enumerate(self.batch_transforms):
            draws = Draws(self.seed, epoch, number, place, len(self.split), fetched.indices, device)
            images, targets = transform(images, targets, draws)
        return images, targets


def _check(fetched: Fetched, *, skip: bool, advice: str = MEND) -> None:
    """Raise RunFailed for an image that could not be read, unless it may be skipped and others are left."""
    if not fetched.unread:
        return
    first, count = fetched.unread[0].text, len(fetched.unread)
    if not skip:
        more = f" (and {count - 1} more of its batch)" if count > 1 else ""
        raise RunFailed(f"{first}{more}. {advice}", "bad-data")
    if not len(fetched.indices):
        raise RunFailed(f"none of a batch's {count} images can be read; the first: {first}", "bad-data")
