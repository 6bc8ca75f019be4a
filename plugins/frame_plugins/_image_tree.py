"""Images in folders, one folder a class: what `cifar10` and `image_folder` share. Import it inside `build` only."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image

from frame import (
    IMAGE_ENDINGS,
    Image,
    PrepareImage,
    Problem,
    Targets,
    UnreadableImageError,
    UserError,
    opened_image,
    read_image,
    refuse_more_than_8_bits,
)
from frame import (
    shown_name as shown,
)

MAX_LEVELS = 40
NAMED_ERRORS = 5
CHUNK = 256
TINY_FILE_BYTES = 8_000
MAX_THREADS = 8


def images_by_class(root: Path, part: str) -> dict[str, list[str]]:
    """Return the class folders of `root/part`, each with its images' names, relative to `root` and sorted.

    Hidden files and folders are passed over, so are files that are no images; class folders may have folders in them.
    Raises UserError for what cannot be looked through.
    """
    top = root / part
    try:
        _refuse_endless(top)
        names = sorted(place.name for place in top.iterdir() if place.is_dir() and not _hidden(place.name))
        return {name: sorted(_images_below(root, top / name)) for name in names}
    except OSError as error:
        raise UserError(f"{shown(error.filename or top)}: cannot be read: {error.strerror}") from error


def _images_below(root: Path, folder: Path) -> Iterator[str]:
    _refuse_endless(folder)
    for place, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not _hidden(name)]  # os.walk goes only into what is left here
        inside = Path(place).relative_to(root)
        if len(inside.parts) > MAX_LEVELS:
            raise UserError(f"{shown(folder)}: has more than {MAX_LEVELS} levels of folders in it")
        for name in files:
            if name.lower().endswith(IMAGE_ENDINGS) and not _hidden(name):
                yield _text(root, f"{inside.as_posix()}/{name}")


def _raise(error: OSError) -> None:
    raise error


def _refuse_endless(folder: Path) -> None:
    """Raise UserError for a link to a folder that it lies in; links to folders elsewhere are followed at the top."""
    if folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{shown(folder)}: is a link to a folder that it lies in")


def _text(root: Path, name: str) -> str:
    """Return a file's name if it can be written into the run's files. Raises UserError otherwise."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{root}: the name {shown(name)} is not UTF-8; rename it") from error
    return name


def _hidden(name: str) -> bool:
    return name.startswith(".")


def empty_classes(root: Path, part: str, images: Mapping[str, Sequence[str]]) -> list[Problem]:
    """Return a problem for each class folder of `root/part` that has no image."""
    endings = ", ".join(IMAGE_ENDINGS)
    return [
        Problem(f"{shown(root / part / name)}: the folder of a class has no image in it (known are {endings})")
        for name, files in images.items()
        if not files
    ]


def names_and_targets(images: Mapping[str, Sequence[str]], classes: Sequence[str]) -> tuple[list[str], Targets]:
    """Return all images' names, class after class, and their class indices (N,)."""
    files = [images.get(name, ()) for name in classes]
    targets = np.repeat(np.arange(len(classes), dtype=np.int64), [len(names) for names in files])
    return [name for names in files for name in names], targets


def decode_images(root: Path, names: Sequence[str], size: tuple[int, int], prepare: PrepareImage) -> Image:
    """Return all images (N, H, W, 3) uint8, `size` being (H, W). Raises UserError that names those it cannot read."""
    images = np.empty((len(names), *size, 3), np.uint8)

    def decode(number: int) -> None:
        images[number] = read_image(root / names[number], prepare)

    _for_each(root, names, decode)
    return images


def check_headers(root: Path, names: Sequence[str]) -> None:
    """Raise UserError that names the files that start as no usable image. It does not notice one cut off later on."""

    def check(number: int) -> None:
        with opened_image(root / names[number]) as image:
            refuse_more_than_8_bits(image)

    _for_each(root, names, check)


def _for_each(root: Path, names: Sequence[str], act: Callable[[int], None]) -> None:
    def some(start: int) -> list[str]:
        errors = []
        for number in range(start, min(start + CHUNK, len(names))):
            try:
                act(number)
            except UnreadableImageError as error:
                errors.append(f"{shown(names[number])} ({error})")
        return errors

    with warnings.catch_warnings(), ThreadPoolExecutor(_threads(root, names)) as pool:
        warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)  # PIL's word for too many pixels
        errors = [error for errors in pool.map(some, range(0, len(names), CHUNK)) for error in errors]
    if errors:
        more = f" and {len(errors) - NAMED_ERRORS} more" if len(errors) > NAMED_ERRORS else ""
        raise UserError(
            f"{root}: {len(errors)} of {len(names)} images cannot be used: {', '.join(errors[:NAMED_ERRORS])}{more}; "
            "replace them or take them out"
        )


def _threads(root: Path, names: Sequence[str]) -> int:
    """Return one thread for tiny files: more would only wait for Python's lock (two took half as long again)."""
    files = [root / name for name in names[:: max(1, len(names) // 50)]]
    sizes = [os.path.getsize(file) for file in files if os.path.isfile(file)]  # noqa: PTH113, PTH202 - no errors
    return 1 if sum(sizes) < TINY_FILE_BYTES * len(sizes) else min(os.cpu_count() or 1, MAX_THREADS)


@dataclass(frozen=True)
class LazyImages:
    """Images that are decoded each time they are asked for; as `frame.Images`, each (H, W, 3) uint8."""

    root: Path
    names: Sequence[str]
    prepare: PrepareImage

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int, /) -> Image:
        try:
            return read_image(self.root / self.names[index], self.prepare)
        except UnreadableImageError as error:
            raise UserError(f"{shown(self.root / self.names[index])}: cannot be used: {error}") from error
