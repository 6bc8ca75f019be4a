"""Makes any image one of the size, channels and background that the recipe asks for: the one place where that is done,
for training, evaluation, `frame predict` and export alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import PIL.Image

from ..api.data import Box, Channels, DataInfo, FitName, Image, Images, Interpolation, Size, Source, Split
from ..api.images import ArraySource
from ..recipe.settings import DataSettings

OPAQUE = 255


@dataclass(frozen=True)
class Fit:
    """How an image becomes one of a size. background: one value a channel, under transparency and around `pad`."""

    how: FitName = "crop"
    crop_ratio: float = 1.0
    interpolation: Interpolation = "bilinear"
    channels: Channels = "as_is"
    background: tuple[int, ...] = ()

    def __call__(self, image: Image | Source, size: Size) -> Image:
        """Return the image at `size`: (H, W, C) uint8."""
        return self.opaque(self.placed(image, size))

    def leaves(self, shape: tuple[int, int, int], size: Size) -> bool:
        """Tell whether images of this shape, (H, W, C), are what it would make of them."""
        channels = {"rgb": 3, "grey": 1}.get(self.channels, shape[2])
        return shape == (*size, channels) and (self.how != "crop" or self.crop_ratio == 1)

    def source(self, image: Image | Source) -> Source:
        """Return the image, whole and at its own size, in the recipe's channels and on its background."""
        return _Opaque(as_source(image), self)

    def placed(self, image: Image | Source, size: Size) -> np.ndarray:
        """Return the image at `size` with an opacity in a channel more: (H, W, C + 1) uint8, 0 where it is not."""
        source = as_source(image)
        if self.how == "pad":
            return self._padded(source, size)
        box = crop_box(source, size, self.crop_ratio) if self.how == "crop" else None
        return self._decoded(source, box, size)

    def opaque(self, placed: np.ndarray) -> Image:
        """Lay what `placed` returns on the background: (H, W, C) uint8."""
        pixels, opacity = placed[:, :, :-1], placed[:, :, -1:]
        if bool((opacity == OPAQUE).all()):
            return np.ascontiguousarray(pixels)
        below = np.array(self.background or (0,) * pixels.shape[2], np.uint8)
        share = opacity.astype(np.uint16)
        return ((pixels * share + below * (OPAQUE - share) + OPAQUE // 2) // OPAQUE).astype(np.uint8)

    def _decoded(self, source: Source, box: Box | None, size: Size | None) -> np.ndarray:
        pixels = source.decode(box, size, self.interpolation)
        if source.alpha and self.channels != "as_is":
            pixels, opacity = pixels[:, :, :-1], pixels[:, :, -1:]
        else:
            opacity = np.full((*pixels.shape[:2], 1), OPAQUE, np.uint8)
        return np.concatenate([self._in_channels(pixels), opacity], axis=2)

    def _padded(self, source: Source, size: Size) -> np.ndarray:
        """Return the whole image, as large as fits into `size`, in the middle of it."""
        scale = min(size[0] / source.height, size[1] / source.width)
        height, width = (max(1, round(side * scale)) for side in (source.height, source.width))
        image = self._decoded(source, None, (height, width))
        placed = np.zeros((*size, image.shape[2]), np.uint8)
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        placed[top : top + height, left : left + width] = image
        return placed

    def _in_channels(self, pixels: Image) -> Image:
        """Return grey as RGB or RGB as grey where the recipe asks for it (ITU-R 601: 0.299 R + 0.587 G + 0.114 B)."""
        count = pixels.shape[2]
        if self.channels == "rgb" and count == 1:
            return np.repeat(pixels, 3, axis=2)
        if self.channels == "grey" and count == 3:
            return np.asarray(PIL.Image.fromarray(np.ascontiguousarray(pixels)).convert("L"))[:, :, None]
        return pixels


def fit_of(settings: DataSettings, info: DataInfo) -> Fit:
    """Return what fits an image as those of a run were; info: of the run's data."""
    return fit_by(settings, "grey" if info.channels == 1 else "rgb", info.mean_pixel)


def fit_by(settings: DataSettings, channels: Channels, background: tuple[int, ...] = ()) -> Fit:
    """Return the recipe's fit; channels, background: those that it has where the recipe names none."""
    return Fit(
        settings.fit,
        settings.crop_ratio,
        settings.interpolation,
        settings.channels or channels,
        settings.background or background,
    )


def as_source(image: Image | Source) -> Source:
    """Return an image as one that can be cut and scaled."""
    return ArraySource(image) if isinstance(image, np.ndarray) else image


def crop_box(source: Source, size: Size, crop_ratio: float) -> Box:
    """Return the largest centred box of the shape of `size`, both its sides times `crop_ratio`."""
    scale = min(source.height / size[0], source.width / size[1]) * crop_ratio  # pixels of the source a pixel of `size`
    height, width = size[0] * scale, size[1] * scale
    left, top = (source.width - width) / 2, (source.height - height) / 2
    return max(left, 0), max(top, 0), min(left + width, source.width), min(top + height, source.height)


@dataclass(frozen=True)
class _Opaque:
    """A source in the recipe's channels, without opacity."""

    inner: Source
    fit: Fit
    alpha = False

    @property
    def height(self) -> int:
        return self.inner.height

    @property
    def width(self) -> int:
        return self.inner.width

    def decode(
        self, box: Box | None = None, size: Size | None = None, interpolation: Interpolation = "bilinear"
    ) -> Image:
        fit = replace(self.fit, interpolation=interpolation)
        return fit.opaque(fit._decoded(self.inner, box, size))


@dataclass(frozen=True)
class Fitted:
    """Images, fitted to a size each time one is asked for; as `frame.Images`. size: None leaves each a Source."""

    images: Images
    fit: Fit
    size: Size | None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int, /) -> Any:
        image = self.images[index]
        return self.fit(image, self.size) if self.size else self.fit.source(image)


def at_size(split: Split, size: Size) -> Split:
    """Return a split whose images are of this size: as it is, but for sources and for images of another size."""
    images = split.images
    if isinstance(images, Fitted):
        return split if images.size == size else replace(split, images=replace(images, size=size))
    if isinstance(images, np.ndarray) and images.shape[1:3] != size:
        return replace(split, images=Fitted(images, Fit(how="stretch"), size))
    return split
