"""Reads idx files: two zero bytes, the type of the values, the number of dimensions, their sizes, then the values."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frame import DataSplits, Problem, Split, UserError, images

TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
UINT8 = 0x08
IMAGES, LABELS = (3, 4), (1,)
"""Dimensions of the array that a file holds."""
Pair = tuple[Path, Path]
"""The files of a part: images and labels."""


def read_idx(root: Path, names: Sequence[tuple[str, str]], classes: tuple[str, ...]) -> DataSplits:
    """Return train and test, whose files (images, labels) are named; each is 256 classes at most.

    Raises UserError with all that is missing, or with what is wrong in a file.
    """
    train, test = (_part(pair) for pair in _find(root, names))
    shapes = [np.shape(part.images[0]) for part in (train, test)]
    if shapes[0] != shapes[1]:
        found = "{}x{}x{} in training, {}x{}x{} in testing".format(*shapes[0], *shapes[1])
        raise UserError(f"{root}: the images have two shapes, {found} (height x width x channels)")
    count = int(max(train.targets.max(), test.targets.max())) + 1
    if classes and len(classes) < count:
        raise UserError(f"data.classes: names {len(classes)} classes, and there is an image of number {count - 1}")
    classes = classes or tuple(str(number) for number in range(count))
    mean, std = images.mean_and_std(train.images)
    return DataSplits(train, test, classes, shapes[0], mean, std, images.checksum(classes, train, test))


def _find(root: Path, names: Sequence[tuple[str, str]]) -> list[Pair]:
    found, problems = [], []
    for pair in names:
        files = []
        for name in pair:
            spelt = (f"{form}{ending}" for form in (name, _with_dot(name)) for ending in ("", ".gz"))
            file = next((root / one for one in spelt if (root / one).is_file()), None)
            if file:
                files.append(file)
            else:
                problems.append(Problem(f"{root / name}: no such file, nor with .gz; data.root says where they lie"))
        found.append((files[0], files[1]) if len(files) == len(pair) else None)
    if problems:
        raise UserError(problems)
    return [pair for pair in found if pair]


def _with_dot(name: str) -> str:
    """Return the other usual spelling: `train-images.idx3-ubyte`."""
    return name.replace("-idx", ".idx")


def _part(pair: Pair) -> Split:
    pixels, labels = _read(pair[0], IMAGES), _read(pair[1], LABELS)
    if len(pixels) != len(labels):
        raise UserError(f"{pair[0]}: has {len(pixels):,} images, and {pair[1].name} has {len(labels):,} labels")
    if not len(pixels):
        raise UserError(f"{pair[0]}: has no image")
    pixels = pixels if pixels.ndim == max(IMAGES) else pixels[..., None]
    return Split(pixels, labels.astype(np.int64), [f"{pair[0].name}[{number}]" for number in range(len(pixels))])


def _read(file: Path, dimensions: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return the array that a file holds. Raises UserError where it is none of these dimensions, or cut short."""
    try:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as opened:
            content: bytes = opened.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise UserError(f"{file}: is no idx file: it begins with {content[:4].hex(' ') or 'nothing'}")
    if content[2] != UINT8:
        raise UserError(f"{file}: holds {TYPES[content[2]]} values: pixels and labels are uint8")
    if content[3] not in dimensions:
        raise UserError(f"{file}: holds an array of {content[3]} dimensions, not {' or '.join(map(str, dimensions))}")
    start = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], ">u4")) if len(content) >= start else (0,)
    if len(content) != start + math.prod(shape):
        wants = f"{start + math.prod(shape):,} bytes of an array {shape}" if len(content) >= start else "a whole head"
        raise UserError(f"{file}: is cut short or damaged: it has {len(content):,} bytes, not {wants}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
