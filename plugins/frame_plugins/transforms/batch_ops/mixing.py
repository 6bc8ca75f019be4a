"""Mixup and CutMix: each image meets its neighbour in the batch, and its target becomes class probabilities.

An epoch's order is random, so the neighbour is a random other image. What is drawn belongs to the batch as a whole and
is drawn on the host: nothing is read back from the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from frame import BatchDraws

from .gather import as_given, pixels_last


@dataclass(frozen=True)
class MixupOp:
    """Images and targets as share * own + (1 - share) * neighbour's; the images become float32."""

    alpha: float
    p: float
    classes: int

    def __call__(self, images: Tensor, targets: Tensor, draws: BatchDraws) -> tuple[Tensor, Tensor]:
        rng = draws.per_batch()
        share = float(rng.beta(self.alpha, self.alpha)) if rng.random() < self.p else 1.0
        own = images.float()
        mixed = torch.lerp(as_given(neighbours(pixels_last(own)), own), own, share)
        return mixed, mix(targets, share, self.classes)


@dataclass(frozen=True)
class CutMixOp:
    """A box of each image shows its neighbour; the targets are mixed by area."""

    alpha: float
    p: float
    classes: int

    def __call__(self, images: Tensor, targets: Tensor, draws: BatchDraws) -> tuple[Tensor, Tensor]:
        rng = draws.per_batch()
        cut = 1 - float(rng.beta(self.alpha, self.alpha)) if rng.random() < self.p else 0.0
        height, width = images.shape[2:]
        rows, columns = (span(rng.random(), sqrt(cut), size) for size in (height, width))
        mixed = images.clone()
        mixed[:, :, rows, columns] = neighbours(images[:, :, rows, columns])
        covered = (rows.stop - rows.start) * (columns.stop - columns.start)
        return mixed, mix(targets, 1 - covered / (height * width), self.classes)


def neighbours(batch: Tensor) -> Tensor:
    """Return (N, ...) with each sample's neighbour in its place."""
    return batch.roll(1, 0)


def span(centre: float, share: float, size: int) -> slice:
    """Return `share` of `size` pixels around a centre of [0, 1), what reaches over the edge cut off."""
    middle, half = int(centre * size), int(share * size) // 2
    return slice(max(middle - half, 0), min(middle + half, size))


def mix(targets: Tensor, share: float, classes: int) -> Tensor:
    """Return share * own + (1 - share) * neighbour's targets as probabilities (N, classes)."""
    if targets.ndim == 1:  # torch's one_hot reads the largest target back
        targets = (targets[:, None] == torch.arange(classes, device=targets.device)).float()
    return torch.lerp(neighbours(targets), targets, share)
