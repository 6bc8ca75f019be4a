"""Plugin `random_resized_crop`: the crop with which networks are trained on photographs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field

from frame import Component, DataInfo, Image, Interpolation, SampleTransform, Source, hookimpl

if TYPE_CHECKING:
    import numpy as np

TRIES = 10
"""Boxes that are drawn, at most, until one lies within the image."""


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"must rise: [{pair[1]:g}, {pair[0]:g}]")
    return pair


Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class RandomResizedCrop(SampleTransform):
    """Cuts a random part out of the whole image and scales it to `data.size`: other size and shape each time.

    Area and shape (the logarithm of width by height) are drawn evenly; after ten boxes that do not fit into the image,
    it is the largest centred part of a shape within `ratio`. The part alone is decoded where the format allows it, and
    a JPEG at the smallest scale that still has twice the pixels needed along each side. Only the first transform of a
    list can be it.

    Source: Szegedy et al., Going Deeper with Convolutions (2015), as in torchvision's transform of the same name.
    """

    takes_source: ClassVar[bool] = True

    scale: Annotated[tuple[Share, Share], AfterValidator(_rising)] = (0.08, 1.0)
    """Smallest and largest share of the image's area that is kept."""
    ratio: Annotated[tuple[Positive, Positive], AfterValidator(_rising)] = (3 / 4, 4 / 3)
    """Smallest and largest width by height of the part, before it is scaled."""
    interpolation: Interpolation = "bilinear"
    """How it is scaled: nearest, bilinear, bicubic or lanczos; smaller, all but nearest average the area."""

    def build(self, data: DataInfo) -> ResizedCrop:
        return ResizedCrop(data.size, self.scale, self.ratio, self.interpolation)


@dataclass(frozen=True)
class ResizedCrop:
    """`(source, rng) -> image (H, W, C) uint8`; size: (H, W)."""

    size: tuple[int, int]
    scale: tuple[float, float]
    ratio: tuple[float, float]
    interpolation: Interpolation

    def __call__(self, source: Source, rng: np.random.Generator) -> Image:
        left, top, width, height = self._box(source.height, source.width, rng)
        image: Image = source.decode((left, top, left + width, top + height), self.size, self.interpolation)
        return image

    def _box(self, height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Return left and top edge, width and height of the part to keep, in whole pixels."""
        low, high = (math.log(ratio) for ratio in self.ratio)
        for _ in range(TRIES):
            area = height * width * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(low, high))
            wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < wide <= width and 0 < tall <= height:
                return int(rng.integers(width - wide + 1)), int(rng.integers(height - tall + 1)), wide, tall
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        wide, tall = max(1, min(width, round(height * ratio))), max(1, min(height, round(width / ratio)))
        return (width - wide) // 2, (height - tall) // 2, wide, tall


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"random_resized_crop": RandomResizedCrop}
