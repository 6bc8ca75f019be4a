"""Facts about a dataset's pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import UserError
from ..data import Images, Split

STATISTICS_IMAGES = 2_000


def checksum(classes: Sequence[str], *splits: Split) -> str:
    """Return a SHA-256 (hexadecimal) of the class names and of each split's images, an array, and targets."""
    digest = hashlib.sha256("\n".join(classes).encode())
    for split in splits:
        for values in (np.ascontiguousarray(split.images), np.ascontiguousarray(split.targets)):
            digest.update(f"{values.dtype} {values.shape}".encode())
            digest.update(values.data)
        if split.unread:
            digest.update(f"without {sorted(split.unread)}".encode())
    return digest.hexdigest()


def mean_and_std(images: Images, unread: dict[int, str] | None = None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, of pixels scaled to [0, 1].

    Of more than 2,000 images it takes 2,000, spread evenly: always the same, and all classes where those are sorted.
    unread: as of `Split`, the images to leave out; one that then proves not to be readable is added. Raises UserError
    where none is left.
    """
    unread = {} if unread is None else unread
    numbers = np.linspace(0, len(images) - 1, min(len(images), STATISTICS_IMAGES)).astype(int)
    count = 0
    total: Any = 0  # whole numbers: exact, in any order
    squares: Any = 0
    for number in numbers.tolist():
        if number in unread:
            continue
        try:
            image = images[number]
        except UserError as error:
            unread[number] = str(error)
            continue
        pixels = image.reshape(-1, image.shape[-1]).astype(np.int64)  # (H * W, C)
        count += len(pixels)
        total = total + pixels.sum(axis=0)
        squares = squares + (pixels**2).sum(axis=0)
    if not count:
        first = next(iter(unread.values()), "there is none")
        raise UserError(f"none of the {len(images):,} training images can be read; the first: {first}")
    mean = total / count
    # a channel that never changes would make it 0, and normalising divides by it
    std = np.sqrt((squares / count - mean**2).clip(min=1))
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())
