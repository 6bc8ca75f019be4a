"""Whole rows of pixels, gathered: by torch on a device, by numpy on the CPU, where torch goes pixel by pixel.

pixels: (N, H, W, C), contiguous: how images of a channels_last batch lie in memory. No boolean mask ever selects on a
device: that would wait for it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Types that numpy has, by size: moving pixels asks for no other, and numpy has no bfloat16."""


def on_cpu(tensor: Tensor) -> bool:
    """Whether numpy can work on the tensor's memory, and nothing waits when a value is read."""
    return tensor.device.type == "cpu"


def pixels_last(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) as (N, H, W, C), contiguous: a view where they are channels_last."""
    return images.permute(0, 2, 3, 1).contiguous()


def as_given(pixels: Tensor, images: Tensor) -> Tensor:
    """Return pixels (N, H, W, C) as (N, C, H, W) in the memory format of `images`."""
    changed = pixels.permute(0, 3, 1, 2)
    return changed if changed.stride() == images.stride() else torch.empty_like(images).copy_(changed)


def windows(pixels: Tensor, height: int, width: int) -> Tensor:
    """Return a view of every window of that size: (N, H - height + 1, W - width + 1, height, width, C)."""
    return pixels.unfold(1, height, 1).unfold(2, width, 1).permute(0, 1, 2, 4, 5, 3)


def take(view: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Return one window of each image, (N, height, width, C). top, left: (N,) int64."""
    if not on_cpu(view):
        return view[torch.arange(len(view), device=view.device), top, left]
    taken = array(view)[np.arange(len(view)), top.numpy(), left.numpy()]
    return torch.from_numpy(taken).view(view.dtype)


def fill(view: Tensor, top: Tensor, left: Tensor, chosen: Tensor, colour: Tensor) -> None:
    """Fill one window of each image that is `chosen`, (N,) bool, on the CPU. colour: (C,)."""
    numbers = np.flatnonzero(chosen.numpy())
    array(view)[numbers, top.numpy()[numbers], left.numpy()[numbers]] = array(colour)


def mirror(pixels: Tensor, chosen: Tensor) -> Tensor:
    """Return pixels with the images that are `chosen`, (N,) bool, mirrored left to right."""
    if not on_cpu(pixels):
        return torch.where(chosen[:, None, None, None], pixels.flip(2), pixels)
    mirrored, numbers = pixels.clone(), np.flatnonzero(chosen.numpy())
    array(mirrored)[numbers] = torch.from_numpy(array(pixels)[numbers]).flip(2).numpy()
    return mirrored


def array(tensor: Tensor) -> np.ndarray:
    """Return a CPU tensor's own memory as an array of words of the same size."""
    return tensor.view(WORDS[tensor.element_size()]).numpy()
