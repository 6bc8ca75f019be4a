"""Reads image files that may be anything, and fits them to the size of the data."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import PIL.Image
from PIL.TiffImagePlugin import TiffImageFile

from ..data import Image

IMAGE_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""How the names of image files end."""
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What PIL may take a file for, whatever its ending: its readers of other formats run programs (EPS) or are untried."""
MAX_PIXELS = 80_000_000
"""Of one image: a few bytes can claim any number. Below PIL's own limit; decoded it takes 240 MB."""
BITS_PER_SAMPLE = 258
"""The tag of TIFF files."""
TOO_LARGE = f"more than {MAX_PIXELS:,} pixels"

PrepareImage: TypeAlias = Callable[[PIL.Image.Image], PIL.Image.Image]
"""Makes an image, opened but not decoded, the RGB image of the dataset's size. Raises ValueError, with the reason, for
one that is not right."""


class UnreadableImageError(Exception):
    """A file that is not the image it should be; its text says why."""


def is_image_name(name: str) -> bool:
    """Tell whether a file is read as an image, by its name: the one rule of datasets and of `frame predict`."""
    return name.lower().endswith(IMAGE_ENDINGS)


def shown_name(name: str | Path) -> str:
    """Return a name for a message: escaped where it has what a terminal cannot show, or obeys."""
    text = str(name)
    return text if text.isprintable() else ascii(text)


def read_image(file: Path, prepare: PrepareImage) -> Image:
    """Return one image (H, W, 3) uint8. Raises UnreadableImageError."""
    with opened_image(file) as image:
        return np.asarray(prepare(image))


@contextmanager
def opened_image(file: Path) -> Iterator[PIL.Image.Image]:
    """Open an image of a size that can be decoded. Raises UnreadableImageError, also for what goes wrong inside."""
    with reading(), opened(file) as image:
        yield image


def opened(file: Path | BinaryIO) -> PIL.Image.Image:
    """Return an image, not decoded yet, of a size that can be. Raises whatever PIL does: see `reading`."""
    if isinstance(file, Path) and not stat.S_ISREG(file.stat().st_mode):
        raise ValueError("not a file")  # to open a pipe would wait for its writer
    image = PIL.Image.open(file, formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise ValueError(TOO_LARGE)
    return image


@contextmanager
def reading() -> Iterator[None]:
    """Make an UnreadableImageError, which says why, of whatever goes wrong where an image is read."""
    try:
        yield
    except PIL.UnidentifiedImageError as error:
        raise UnreadableImageError("not an image") from error
    except (PIL.Image.DecompressionBombWarning, PIL.Image.DecompressionBombError) as error:
        raise UnreadableImageError(TOO_LARGE) from error
    except OSError as error:
        raise UnreadableImageError(error.strerror or shown_name(str(error))) from error
    except Exception as error:  # PIL's readers raise SyntaxError, ValueError, struct.error, MemoryError, ...
        raise UnreadableImageError(shown_name(str(error)) or type(error).__name__) from error


def to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Return the image with three channels: grey is repeated, transparency dropped. Refuses more than 8 bits."""
    refuse_more_than_8_bits(image)
    return in_mode(image, "RGB")


def in_mode(image: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    """Return the image in one of PIL's modes."""
    if image.mode == mode:
        return image
    if image.has_transparency_data:  # a palette's transparency is lost with a warning unless it is made a channel
        image = image.convert("RGBA")
    return image.convert(mode)


def refuse_more_than_8_bits(image: PIL.Image.Image) -> None:
    """Raise ValueError for an image, not decoded yet, with more than 8 bits a channel."""
    if image.mode.startswith(("I", "F")):  # PIL would cut such values off at 255: mostly white images
        raise ValueError(f"more than 8 bits a channel, PIL's mode {image.mode}")
    if _bits(image) > 8:  # PIL would keep 8 of them in silence: of 12 bits in 16, an almost black image
        raise ValueError(f"more than 8 bits a channel ({_bits(image)})")


def _bits(image: PIL.Image.Image) -> int:
    """Return the bits of a channel as the file has them, where its format allows more than 8: PNG, TIFF and PPM."""
    tile = next(iter(getattr(image, "tile", ())), None)
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (1,)))
    if image.format == "PNG" and tile and ";16" in str(tile[3]):
        return 16
    if image.format == "PPM" and tile and isinstance(tile[3], tuple):
        return int(tile[3][1]).bit_length()  # the largest value that a pixel may have
    return 8
