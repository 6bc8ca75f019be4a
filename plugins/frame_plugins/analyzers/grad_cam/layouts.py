"""Where in a layer's output the channels and the places are: said by the types of the modules around it, never guessed.

A convolution has (N, C, H, W). A linear layer or a LayerNorm on four axes has (N, H, W, C), as Swin transformers do. A
vision transformer's tokens (N, L, C) lie as the grid of the convolution that made them of patches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]
Layout = Callable[[Tensor], Tensor]
"""A layer's output -> maps, (N, C, H, W), contiguous and no view: the library reshapes and detaches them in place."""
Axis = Literal["first", "last"]

FIRST = (
    *(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.LocalResponseNorm),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    *(nn.Dropout2d, nn.Upsample, nn.PixelShuffle, nn.PixelUnshuffle),
)
"""Whose input and output are (N, C, H, W)."""


@dataclass(frozen=True)
class Call:
    """A call of a module that holds no others, with the shapes of what it got and gave."""

    module: nn.Module
    given: Shape
    output: Shape


@dataclass(frozen=True)
class Place:
    """A layer's output for one image, (1, ...), and how many calls were done when it came."""

    layer: nn.Module
    output: Shape
    done: int


def channels_first(output: Tensor) -> Tensor:
    """Return (N, C, H, W) as it is."""
    return output.clone(memory_format=torch.contiguous_format)


def channels_last(output: Tensor) -> Tensor:
    """Return (N, H, W, C) as (N, C, H, W)."""
    return output.permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format)


def tokens(output: Tensor, height: int, width: int) -> Tensor:
    """Return (N, L, C) as (N, C, H, W): the last H * W tokens, row by row; a class token stands before them."""
    places = output[:, -height * width :].unflatten(1, (height, width))  # type: ignore[no-untyped-call]
    return channels_last(places)


def layout_of(place: Place, calls: Sequence[Call], image: Shape) -> tuple[Layout, Shape] | str:
    """Return a layer's layout and the size of its maps, (H, W), or why it has no maps. image: (H, W) of the model's."""
    shape = place.output
    if len(shape) not in (3, 4) or shape[0] != 1:
        return f"its output of shape {shape} is not a map, (N, C, H, W)"
    if len(shape) == 3:
        grid = _grid(shape, calls[: place.done])
        what = f"its output of shape {shape} is not a map, (N, C, H, W), nor tokens of a convolution's grid before it"
        return (partial(tokens, height=grid[0], width=grid[1]), grid) if grid else what
    axis = _axis_of_channels(place, calls)
    if axis == "first":
        return channels_first, shape[2:]
    if axis is None:
        either = "(N, C, H, W) or (N, H, W, C)"
        return f"nothing around it tells whether its output of shape {shape} is {either}"
    height, width = shape[1:3]
    if abs(height - width * image[0] / image[1]) > 1:
        return f"its output of shape {shape} is not a map of the image, but of parts in another order"
    return channels_last, (height, width)


def _axis_of_channels(place: Place, calls: Sequence[Call]) -> Axis | None:
    """Say whether the channels are the first or the last axis of an output with four, None where that is not known.

    The layer itself says it, or else the modules nearest to it that had its output's shape. Where all three axes have
    one size, a shape says less: those before and behind must agree.
    """
    shape = place.output
    if own := _says(place.layer):
        return own
    before = _nearest(call.module for call in reversed(calls[: place.done]) if call.output == shape)
    behind = _nearest(call.module for call in calls[place.done :] if call.given == shape)
    if len(set(shape[1:])) == 1:
        return before if before == behind else None
    said = {before, behind} - {None}
    return said.pop() if len(said) == 1 else None


def _nearest(modules: Iterable[nn.Module]) -> Axis | None:
    """Return what the first module says that says anything."""
    return next((said for module in modules if (said := _says(module))), None)


def _says(module: nn.Module) -> Axis | None:
    """Say where a module has the channels of what it takes and gives, if its type tells."""
    if isinstance(module, FIRST):
        return "first"
    if isinstance(module, nn.Linear):
        return "last"
    if isinstance(module, nn.LayerNorm | nn.RMSNorm) and len(module.normalized_shape) == 1:
        own = type(module).forward in (nn.LayerNorm.forward, nn.RMSNorm.forward)  # ConvNeXt's permutes
        return "last" if own else None
    return None


def _grid(shape: Shape, calls: Sequence[Call]) -> tuple[int, int] | None:
    """Return (H, W) of the last convolution that made so many tokens of so many channels, or all but a class token."""
    _, length, channels = shape
    if length == channels:
        return None  # either could be the tokens
    for call in reversed(calls):
        if isinstance(call.module, nn.Conv2d) and call.output[1:2] == (channels,):
            height, width = call.output[2:]
            if height * width in (length, length - 1):
                return height, width
    return None
