"""Fits a dataset's images to what the recipe asks for, when the data is loaded: now and for good where they fit into
memory together, else each time one is asked for."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
import PIL.Image

from ..api.data import DataSplits, Size, Split
from ..api.images import checksum
from ..errors import UserError
from ..recipe.settings import DataSettings, ImageSize
from .data_checks import splits_of
from .fetch import reason_unread
from .fitting import OPAQUE, Fit, Fitted, as_source, fit_by

MEMORY_LIMIT = 2**30
"""Bytes of fitted pixels that are held in memory, all parts together."""
STATISTICS_IMAGES = 2_000
CHUNK, MAX_THREADS = 64, 8
NAMED = 3


def fit_data(
    data: DataSplits, settings: DataSettings, *, takes_source: bool = False, memory_limit: int = MEMORY_LIMIT
) -> DataSplits:
    """Return the data with images of the recipe's size. takes_source: training images stay as they are, as sources.

    Raises UserError where the recipe names no size and the images have several.
    """
    fit = fit_by(settings, "as_is" if data.shape else "rgb")
    loading = _Loading(data, fit, memory_limit)
    own = data.shape[:2] if data.shape else None
    train = _pair(settings.size) or own or loading.own_size()
    evaluation = _pair(settings.eval_size) or train
    if data.shape and not takes_source and train == evaluation and fit.leaves(data.shape, train):
        return data
    return loading.fitted(train, evaluation, takes_source=takes_source)


def _pair(size: ImageSize | None) -> Size | None:
    return (size, size) if isinstance(size, int) else size


@dataclass(frozen=True)
class _Loading:
    data: DataSplits
    fit: Fit
    memory_limit: int

    def own_size(self) -> Size:
        """Return the size of all images. Raises UserError, which names some, where they have several."""
        found: dict[Size, str] = {}
        for _, split in splits_of(self.data):
            sizes, _ = each(split, lambda image: (as_source(image).height, as_source(image).width))
            for number, size in sizes.items():
                found.setdefault(size, split.source(number) or f"image number {number}")
        if len(found) == 1:
            return next(iter(found))
        if not found:
            raise UserError("data: none of the images can be read")
        some = ", ".join(f"{name} {height}x{width}" for (height, width), name in list(found.items())[:NAMED])
        raise UserError(
            f"data.size: the images have {len(found):,} sizes ({some}, ...; height x width): say to which they are "
            "fitted, as in data.size=64 or data.size=[64, 96]"
        )

    def fitted(self, train: Size, evaluation: Size, *, takes_source: bool) -> DataSplits:
        """Return the data with all images at these sizes, but for training images that stay sources."""
        data = self.data
        channels = self.channels()
        if self.fit.background and len(self.fit.background) != channels:
            found = f"{len(self.fit.background)} value{'s' * (len(self.fit.background) > 1)}"
            raise UserError(f"data.background: has {found}, and the images have {channels} channels: one a channel")
        sized = dict(zip(("train", "validation", "test"), (train, evaluation, evaluation), strict=True))
        parts = {name: getattr(data, name) for name in sized if getattr(data, name)}
        sources = {"train"} if takes_source else set()
        held = sum(sized[name][0] * sized[name][1] * channels * len(parts[name]) for name in parts.keys() - sources)
        lazy = set(parts) if held > self.memory_limit else sources
        loaded = {
            name: _decoded(part, self.fit, sized[name], channels) for name, part in parts.items() if name not in lazy
        }
        mean, std = data.mean, data.std
        if len(mean) != channels:
            seen, unread = self._some(loaded.get("train"), train)
            mean, std = statistics(seen.values(), unread, len(data.train))
            parts["train"] = replace(parts["train"], unread=unread)
        fit = self.fit if self.fit.background else replace(self.fit, background=tuple(round(255 * one) for one in mean))
        for name, part in loaded.items():
            parts[name] = part.opaque(fit)
        for name in lazy:
            size = None if name in sources else sized[name]
            _, unread = each(parts[name], lambda image: as_source(image).height)
            parts[name] = replace(parts[name], images=Fitted(parts[name].images, fit, size), unread=unread)
        return replace(
            data,
            **parts,
            shape=(*evaluation, channels),
            mean=mean,
            std=std,
            checksum=self._checksum(train, evaluation) if lazy else checksum(data.classes, *parts.values()),
            train_sizes=() if train == evaluation else (train,),
        )

    def _checksum(self, *sizes: Size) -> str:
        """Return what names images that are not looked at now: the dataset's own, and what they are fitted to."""
        return sha256(f"{self.data.checksum} {self.fit} {sizes}".encode()).hexdigest()

    def channels(self) -> int:
        """Return how many channels the fitted images have."""
        if self.fit.channels != "as_is":
            return {"rgb": 3, "grey": 1}[self.fit.channels]
        if self.data.shape:
            return self.data.shape[2]
        train = self.data.train
        first = next((number for number in range(len(train)) if number not in train.unread), None)
        if first is None:
            raise UserError("data: none of the training images can be read")
        return int(as_source(train.image(first)).decode(size=(1, 1)).shape[2])

    def _some(self, loaded: _Decoded | None, size: Size) -> tuple[Mapping[int, np.ndarray], Mapping[int, str]]:
        """Return up to 2,000 training images as `placed`, and those that cannot be read.

        They are spread evenly: all classes, where those are sorted.
        """
        train = self.data.train
        numbers = np.linspace(0, len(train) - 1, min(len(train), STATISTICS_IMAGES)).astype(int).tolist()
        if loaded:
            unread = loaded.split.unread
            return {number: loaded.placed(number) for number in numbers if number not in unread}, unread
        return each(train, lambda image: self.fit.placed(image, size), numbers)


@dataclass(frozen=True)
class _Decoded:
    """A split whose images are one array; what is not opaque is kept as `placed` until there is a background."""

    split: Split
    see_through: Mapping[int, np.ndarray]

    def placed(self, number: int) -> np.ndarray:
        if number in self.see_through:
            return self.see_through[number]
        pixels = self.split.images[number]
        return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), OPAQUE, np.uint8)], axis=2)

    def opaque(self, fit: Fit) -> Split:
        for number, placed in self.see_through.items():
            self.split.images[number] = fit.opaque(placed)  # type: ignore[index]  # an array, of our own making
        return self.split


def _decoded(split: Split, fit: Fit, size: Size, channels: int) -> _Decoded:
    pixels = np.zeros((len(split), *size, channels), np.uint8)
    see_through = {}

    def keep(number: int, placed: np.ndarray) -> None:
        if placed.shape[2] != channels + 1:
            message = f"has {placed.shape[2] - 1} channels, others have {channels}: say data.channels=rgb or grey"
            raise UserError(f"{split.source(number) or f'image number {number}'}: {message}")
        if bool((placed[:, :, -1] == OPAQUE).all()):
            pixels[number] = placed[:, :, :-1]
        else:
            see_through[number] = placed

    _, unread = each(split, lambda image: fit.placed(image, size), then=keep)
    return _Decoded(replace(split, images=pixels, unread=unread), see_through)


def each(
    split: Split,
    act: Callable[[Any], Any],
    numbers: Sequence[int] | None = None,
    then: Callable[[int, Any], None] | None = None,
) -> tuple[dict[int, Any], dict[int, str]]:
    """Return what `act` makes of each image (of those `numbers`), and the split's `unread` with what proves to be so.

    then: takes each result instead, with its number. Several threads work at it.
    """
    chosen = range(len(split)) if numbers is None else numbers

    def some(start: int) -> tuple[dict[int, Any], dict[int, str]]:
        found, unread = {}, {}
        for number in chosen[start : start + CHUNK]:
            if number in split.unread:
                continue
            try:
                result = act(split.images[number])
                if then:
                    then(number, result)
                else:
                    found[number] = result
            except MemoryError:
                raise
            except Exception as error:  # whatever a dataset's decoder raises
                unread[number] = reason_unread(split, number, error)
        return found, unread

    with warnings.catch_warnings(), ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)  # PIL's word for too many pixels
        parts = list(pool.map(some, range(0, len(chosen), CHUNK)))
    found = {number: result for part, _ in parts for number, result in part.items()}
    return found, {**split.unread, **{number: text for _, part in parts for number, text in part.items()}}


def statistics(
    images: Iterable[np.ndarray], unread: Mapping[int, str], total: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, of pixels scaled to [0, 1]; all images weigh the same.

    images: as `placed`; what is not opaque is left out. Raises UserError where nothing is left.
    """
    sums = []
    for placed in images:
        seen = placed[placed[:, :, -1] == OPAQUE][:, :-1].astype(np.int64)  # (pixels, C)
        if len(seen):
            sums.append((seen.sum(axis=0) / len(seen), (seen**2).sum(axis=0) / len(seen)))
    if not sums:
        first = next(iter(unread.values()), "they are transparent")
        raise UserError(f"none of the {total:,} training images can be read; the first: {first}")
    mean, square = np.mean([one for one, _ in sums], axis=0), np.mean([two for _, two in sums], axis=0)
    # a channel that never changes would make it 0, and normalising divides by it
    std = np.sqrt((square - mean**2).clip(min=1))
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())
