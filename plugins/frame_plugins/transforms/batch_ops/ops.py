"""Operations on each image of a batch. None reads a value back from the device.

Each takes and returns (images (N, C, H, W) 0..255, targets), keeps dtype and memory format and leaves its input as is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from frame import BatchDraws, UserError

from .gather import as_given, fill, mirror, on_cpu, pixels_last, take, windows


@dataclass(frozen=True)
class RandomCropOp:
    """Pads each image by `padding` pixels and crops it back to its size: a gather over a view of all crops."""

    padding: int
    reflect: bool

    def __call__(self, images: Tensor, targets: Tensor, draws: BatchDraws) -> tuple[Tensor, Tensor]:
        height, width = images.shape[2:]
        if self.reflect and self.padding >= min(height, width):
            raise UserError(f"random_crop: a reflected padding of {self.padding} needs images larger than that")
        top, left = (draws.per_sample(2) * (2 * self.padding + 1)).long().unbind(1)  # (N,) each
        crops = windows(self._padded(pixels_last(images)), height, width)
        return as_given(take(crops, top, left), images), targets

    def _padded(self, pixels: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H + 2 padding, W + 2 padding, C)."""
        pad = self.padding
        padded = functional.pad(pixels, (0, 0, pad, pad, pad, pad))
        for axis in (1, 2) if self.reflect else ():
            first, last = pad, padded.shape[axis] - 1 - pad  # of the image itself
            for distance in range(1, pad + 1):
                padded.select(axis, first - distance).copy_(padded.select(axis, first + distance))
                padded.select(axis, last + distance).copy_(padded.select(axis, last - distance))
        return padded


@dataclass(frozen=True)
class RandomFlipOp:
    """Mirrors each image with probability `p`; with `alternate`, in odd epochs those that it leaves in even ones."""

    p: float
    alternate: bool = False

    def __call__(self, images: Tensor, targets: Tensor, draws: BatchDraws) -> tuple[Tensor, Tensor]:
        draw = draws.per_sample(1, epoch=0 if self.alternate else None)[:, 0]  # (N,)
        odd = self.alternate and draws.epoch % 2 == 1
        chosen = draw >= self.p if odd else draw < self.p
        return as_given(mirror(pixels_last(images), chosen), images), targets


@dataclass(frozen=True)
class CutoutOp:
    """Fills a square of each image with `fill`, one pixel value a channel, with probability `p`."""

    size: int
    fill: tuple[int, ...]
    p: float

    def __call__(self, images: Tensor, targets: Tensor, draws: BatchDraws) -> tuple[Tensor, Tensor]:
        height, width = images.shape[2:]
        if self.size > min(height, width):
            raise UserError(f"cutout: a square of {self.size} does not fit into images of {height} x {width}")
        top, left, chance = draws.per_sample(3).unbind(1)  # (N,) each
        top = (top * (height - self.size + 1)).long()
        left = (left * (width - self.size + 1)).long()
        cover = self._write if on_cpu(images) else self._mask
        return cover(images, top, left, chance < self.p), targets

    def _write(self, images: Tensor, top: Tensor, left: Tensor, chosen: Tensor) -> Tensor:
        """Write the squares and nothing else: several times as fast as a mask on the CPU."""
        pixels = pixels_last(images).clone()
        fill(windows(pixels, self.size, self.size), top, left, chosen, torch.tensor(self.fill, dtype=images.dtype))
        return as_given(pixels, images)

    def _mask(self, images: Tensor, top: Tensor, left: Tensor, chosen: Tensor) -> Tensor:
        rows = self._covered(top, images.shape[2]) & chosen[:, None]  # (N, H)
        hole = rows[:, :, None] & self._covered(left, images.shape[3])[:, None, :]  # (N, H, W)
        covered = images.clone()
        for channel, value in enumerate(self.fill):
            covered[:, channel].masked_fill_(hole, value)
        return covered

    def _covered(self, start: Tensor, size: int) -> Tensor:
        """Which rows (or columns) the square takes: (N, size)."""
        place = torch.arange(size, device=start.device)
        return (place >= start[:, None]) & (place < start[:, None] + self.size)
