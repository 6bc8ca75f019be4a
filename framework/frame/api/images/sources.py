"""Images at their own size: of files, of bytes and of arrays. The one place where pixels are resampled."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageOps

from ...errors import UserError
from ..data import Box, Image, Interpolation, Size
from .files import UnreadableImageError, in_mode, opened, reading, refuse_more_than_8_bits, shown_name

FILTERS: dict[Interpolation, PIL.Image.Resampling] = {
    "nearest": PIL.Image.Resampling.NEAREST,
    "bilinear": PIL.Image.Resampling.BILINEAR,
    "bicubic": PIL.Image.Resampling.BICUBIC,
    "lanczos": PIL.Image.Resampling.LANCZOS,
}
ORIENTATION, LYING = 0x0112, 5
"""A tag of EXIF data; from this value on, the image lies on its side."""
REDUCED = 2
"""A JPEG is decoded at a half, a quarter or an eighth of its size while that leaves this many times the pixels asked
for along each side: resampling then takes care of the rest."""
PLAIN = {"L": "L", "1": "L", "LA": "LA", "La": "LA", "RGB": "RGB", "RGBA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB"}
"""PIL's modes and what each becomes; the others become RGB, or RGBA where they have transparent pixels."""


class EncodedSource:
    """An encoded image, as `frame.Source`: one, two (grey and opacity), three or four (RGB and opacity) channels.

    content: the file, or its bytes. name: what errors call it. Raises UserError for what is no image of 8 bits a
    channel.
    """

    def __init__(self, content: Path | bytes, name: str) -> None:
        self._content, self._name = content, name
        with self._opened() as image:
            refuse_more_than_8_bits(image)
            lies = image.getexif().get(ORIENTATION, 1) >= LYING
            self._size = image.size if lies else image.size[::-1]  # PIL's is (W, H)
            self._mode = PLAIN.get(image.mode) or ("RGBA" if image.has_transparency_data else "RGB")

    @property
    def height(self) -> int:
        return self._size[0]

    @property
    def width(self) -> int:
        return self._size[1]

    @property
    def alpha(self) -> bool:
        return self._mode.endswith("A")

    def decode(
        self, box: Box | None = None, size: Size | None = None, interpolation: Interpolation = "bilinear"
    ) -> Image:
        left, top, right, bottom = box or (0, 0, self.width, self.height)
        with self._opened() as image:
            scale = _reduce(image, min((right - left) / size[1], (bottom - top) / size[0])) if size else 1
            upright = ImageOps.exif_transpose(in_mode(image, self._mode))
            return resampled(upright, (left / scale, top / scale, right / scale, bottom / scale), size, interpolation)

    @contextmanager
    def _opened(self) -> Iterator[PIL.Image.Image]:
        """Open the image. Raises UserError, also for what goes wrong inside."""
        try:
            content = self._content
            with reading(), opened(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
                yield image
        except UnreadableImageError as error:
            raise UserError(f"{self._name}: cannot be used: {error}") from error


def _reduce(image: PIL.Image.Image, ratio: float) -> float:
    """Have a JPEG decoded at a reduced size where that is enough; return how many of its pixels one then is.

    ratio: pixels of the image for each one that is asked for, along the side where it has fewer.
    """
    at_least = max(1.0, ratio / REDUCED)
    wanted = int(image.width / at_least), int(image.height / at_least)
    whole = image.width
    drafted = image.draft(image.mode, (max(1, wanted[0]), max(1, wanted[1])))
    return whole / drafted[1][2] if drafted else 1


@dataclass(frozen=True)
class ArraySource:
    """An image that is there already, (H, W, C) uint8, as `frame.Source`; none of its channels is opacity."""

    pixels: Image

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def alpha(self) -> bool:
        return False

    def decode(
        self, box: Box | None = None, size: Size | None = None, interpolation: Interpolation = "bilinear"
    ) -> Image:
        box = box or (0, 0, self.width, self.height)
        channels = self.pixels.shape[2]
        if channels in (1, 3):
            image = PIL.Image.fromarray(self.pixels[:, :, 0] if channels == 1 else self.pixels)
            return resampled(image, box, size, interpolation)
        planes = [PIL.Image.fromarray(self.pixels[:, :, channel]) for channel in range(channels)]
        return np.concatenate([resampled(plane, box, size, interpolation) for plane in planes], axis=2)


@dataclass(frozen=True)
class FileImages:
    """Image files, each a Source when it is asked for; as `frame.Images`. names: relative to `root`."""

    root: Path
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int, /) -> EncodedSource:
        file = self.root / self.names[index]
        return EncodedSource(file, shown_name(file))


def resampled(image: PIL.Image.Image, box: Box, size: Size | None, interpolation: Interpolation) -> Image:
    """Return a part of an image at a size, (H, W, C) uint8; without a size, as many pixels as it has."""
    size = size or (round(box[3] - box[1]), round(box[2] - box[0]))
    if (*box, *size) != (0, 0, *image.size, image.height, image.width):
        image = image.resize(size[::-1], FILTERS[interpolation], box=box)
    pixels: Any = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]
