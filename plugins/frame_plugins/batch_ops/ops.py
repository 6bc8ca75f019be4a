"""The batch operations themselves. None reads a value back from the device: masks fill, they never index.

Each takes and returns (images (N, C, H, W) 0..255, targets), keeps dtype and memory format and leaves its input as is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from frame import BatchDraws, UserError


@dataclass(frozen=True)
class RandomCropOp:
    """Shifts each image by up to `padding` pixels in both directions."""

    padding: int
    reflect: bool

    def __call__(self, images: Tensor, targets: Tensor, draws: BatchDraws) -> tuple[Tensor, Tensor]:
        height, width = images.shape[2:]
        if self.reflect and self.padding >= min(height, width):
            raise UserError(f"random_crop: a reflected padding of {self.padding} needs images larger than that")
        shift = (draws.per_sample(2) * (2 * self.padding + 1)).long() - self.padding  # (N, 2), -padding..padding
        rows, inside_rows = self._sources(shift[:, :1], height)  # (N, H)
        columns, inside_columns = self._sources(shift[:, 1:], width)  # (N, W)
        cropped = torch.empty_like(images)  # gather alone would return NCHW whatever the input's memory format
        cropped.copy_(
            images.gather(2, rows[:, None, :, None].expand_as(images)).gather(
                3, columns[:, None, None, :].expand_as(images)
            )
        )
        if not self.reflect:
            cropped.masked_fill_(~(inside_rows[:, None, :, None] & inside_columns[:, None, None, :]), 0)
        return cropped, targets

    def _sources(self, shift: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """From which row (or column) each one is taken, and whether that lies inside the image: both (N, size)."""
        wanted = torch.arange(size, device=shift.device) + shift
        last = size - 1
        nearest = last - (last - wanted.abs()).abs() if self.reflect else wanted.clamp(0, last)
        return nearest, (wanted >= 0) & (wanted <= last)


@dataclass(frozen=True)
class RandomFlipOp:
    """Mirrors each image with probability `p`."""

    p: float

    def __call__(self, images: Tensor, targets: Tensor, draws: BatchDraws) -> tuple[Tensor, Tensor]:
        flipped = draws.per_sample(1)[:, :, None, None] < self.p  # (N, 1, 1, 1)
        return torch.where(flipped, images.flip(3), images), targets


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
        top, left, chance = draws.per_sample(3)[:, :, None].unbind(1)  # (N, 1) each
        hole = self._covered(top, height)[:, :, None] & self._covered(left, width)[:, None, :]  # (N, H, W)
        hole &= (chance < self.p)[:, :, None]
        covered = images.clone()
        for channel, value in enumerate(self.fill):
            covered[:, channel].masked_fill_(hole, value)
        return covered, targets

    def _covered(self, draw: Tensor, size: int) -> Tensor:
        """Which rows (or columns) the square takes: (N, size)."""
        start = (draw * (size - self.size + 1)).long()
        place = torch.arange(size, device=draw.device)
        return (place >= start) & (place < start + self.size)
