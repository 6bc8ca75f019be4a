"""Many image files of one size, decoded at a time."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image

from .files import PrepareImage, UnreadableImageError, read_image
from .files import shown_name as shown

CHUNK = 256
TINY_FILE_BYTES = 8_000
MAX_THREADS = 8


def decode_images(
    root: Path, names: Sequence[str], size: tuple[int, int], prepare: PrepareImage
) -> tuple[npt.NDArray[np.uint8], dict[int, str]]:
    """Return all images (N, H, W, 3) uint8, `size` being (H, W), and those that cannot be read, as `Split.unread`."""
    images = np.zeros((len(names), *size, 3), np.uint8)

    def decode(number: int) -> None:
        images[number] = read_image(root / names[number], prepare)

    return images, _for_each(root, names, decode)


def _for_each(root: Path, names: Sequence[str], act: Callable[[int], None]) -> dict[int, str]:
    """Do something with each file; return those that cannot be read, by number, with the reason."""

    def some(start: int) -> dict[int, str]:
        errors = {}
        for number in range(start, min(start + CHUNK, len(names))):
            try:
                act(number)
            except UnreadableImageError as error:
                errors[number] = _unusable(root, names[number], error)
        return errors

    with warnings.catch_warnings(), ThreadPoolExecutor(_threads(root, names)) as pool:
        warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)  # PIL's word for too many pixels
        found = pool.map(some, range(0, len(names), CHUNK))
        return {number: text for errors in found for number, text in errors.items()}


def _unusable(root: Path, name: str, error: UnreadableImageError) -> str:
    return f"{shown(root / name)}: cannot be used: {error}"


def _threads(root: Path, names: Sequence[str]) -> int:
    """Return one thread for tiny files: more would only wait for Python's lock (two took half as long again)."""
    files = [root / name for name in names[:: max(1, len(names) // 50)]]
    sizes = [os.path.getsize(file) for file in files if os.path.isfile(file)]  # noqa: PTH113, PTH202 - no errors
    return 1 if sum(sizes) < TINY_FILE_BYTES * len(sizes) else min(os.cpu_count() or 1, MAX_THREADS)
