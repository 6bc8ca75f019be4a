"""Images in folders, one folder a class: what `cifar10` and `image_folder` share. Import it inside `build` only."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import PIL.Image

from frame import Image, Problem, Targets, UserError

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What PIL may take a file for, whatever its ending: its readers of other formats run programs (EPS) or are untried."""
MAX_PIXELS = 80_000_000
"""Of one image: a few bytes can claim any number. Below PIL's own limit; decoded it takes 240 MB."""
TOO_LARGE = f"more than {MAX_PIXELS:,} pixels"
MAX_LEVELS = 40
NAMED_ERRORS = 5
CHUNK = 256
TINY_FILE_BYTES = 8_000
MAX_THREADS = 8

Prepare: TypeAlias = Callable[[PIL.Image.Image], PIL.Image.Image]
"""Makes an image, opened but not decoded, the RGB image of the dataset's size. Raises ValueError, with the reason, for
one that is not right."""


class UnreadableImageError(Exception):
    """A file that is not the image it should be; its text says why."""


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
            if name.lower().endswith(ENDINGS) and not _hidden(name):
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


def shown(name: str | Path) -> str:
    """Return a name for a message: escaped where it has what a terminal cannot show, or obeys."""
    text = str(name)
    return text if text.isprintable() else ascii(text)


def _hidden(name: str) -> bool:
    return name.startswith(".")


def empty_classes(root: Path, part: str, images: Mapping[str, Sequence[str]]) -> list[Problem]:
    """Return a problem for each class folder of `root/part` that has no image."""
    endings = ", ".join(ENDINGS)
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


def decode_images(root: Path, names: Sequence[str], size: tuple[int, int], prepare: Prepare) -> Image:
    """Return all images (N, H, W, 3) uint8, `size` being (H, W). Raises UserError that names those it cannot read."""
    images = np.empty((len(names), *size, 3), np.uint8)

    def decode(number: int) -> None:
        images[number] = read_image(root / names[number], prepare)

    _for_each(root, names, decode)
    return images


def check_headers(root: Path, names: Sequence[str]) -> None:
    """Raise UserError that names the files that start as no usable image. It does not notice one cut off later on."""

    def check(number: int) -> None:
        with opened(root / names[number]) as image:
            _refuse_more_than_8_bits(image)

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


def read_image(file: Path, prepare: Prepare) -> Image:
    """Return one image (H, W, 3) uint8. Raises UnreadableImageError."""
    with opened(file) as image:
        return np.asarray(prepare(image))


@contextmanager
def opened(file: Path) -> Iterator[PIL.Image.Image]:
    """Open an image of a size that can be decoded. Raises UnreadableImageError, also for what goes wrong inside."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise ValueError("not a file")  # to open a pipe would wait for its writer
        with PIL.Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(TOO_LARGE)
            yield image
    except PIL.UnidentifiedImageError as error:
        raise UnreadableImageError("not an image") from error
    except (PIL.Image.DecompressionBombWarning, PIL.Image.DecompressionBombError) as error:
        raise UnreadableImageError(TOO_LARGE) from error
    except OSError as error:
        raise UnreadableImageError(error.strerror or shown(str(error))) from error
    except Exception as error:  # PIL's readers raise SyntaxError, ValueError, struct.error, MemoryError, ...
        raise UnreadableImageError(shown(str(error)) or type(error).__name__) from error


def to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Return the image with three channels: grey is repeated, transparency dropped. Refuses more than 8 bits."""
    if image.mode == "RGB":
        return image
    _refuse_more_than_8_bits(image)
    if image.has_transparency_data:  # a palette's transparency is lost with a warning unless it is made a channel
        image = image.convert("RGBA")
    return image.convert("RGB")


def _refuse_more_than_8_bits(image: PIL.Image.Image) -> None:
    if image.mode.startswith(("I", "F")):  # PIL would cut such values off at 255: mostly white images
        raise ValueError(f"more than 8 bits a channel, PIL's mode {image.mode}")


@dataclass(frozen=True)
class LazyImages:
    """Images that are decoded each time they are asked for; as `frame.Images`, each (H, W, 3) uint8."""

    root: Path
    names: Sequence[str]
    prepare: Prepare

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int, /) -> Image:
        try:
            return read_image(self.root / self.names[index], self.prepare)
        except UnreadableImageError as error:
            raise UserError(f"{shown(self.root / self.names[index])}: cannot be used: {error}") from error
