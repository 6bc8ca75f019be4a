"""Finds CIFAR-10 in a folder and reads it, in any of the forms it comes in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from frame import Omission, Problem, Split, UserError, images

from . import CLASSES
from .original import ARCHIVE, BATCHES, download, read_archive, read_batches

if TYPE_CHECKING:
    import PIL.Image

SIZE = (32, 32)
PARTS = ("train", "test")


def read_cifar10(root: Path) -> tuple[Split, Split, tuple[Omission, ...]]:
    """Return train and test, images (N, 32, 32, 3) uint8, and what is left out.

    Downloads the original where `root` has it in no form.
    """
    for place in (root / "cifar10", root):
        if (place / "train").is_dir() or (place / "test").is_dir():
            return read_tree(place)
        if (place / BATCHES).is_dir():
            return *read_batches(place), ()
        if (place / ARCHIVE).is_file():
            return *read_archive(place / ARCHIVE), ()
    download(root)
    return *read_batches(root), ()


def read_tree(root: Path) -> tuple[Split, Split, tuple[Omission, ...]]:
    """Return train and test of a `train|test/<class>/` tree, sorted by class and file name, and what is left out."""
    left_out = images.Omissions()
    images.count_others(root, PARTS, left_out)
    parts = {part: images.images_by_class(root, part, left_out) if (root / part).is_dir() else {} for part in PARTS}
    problems = [problem for part, files in parts.items() for problem in _class_problems(root, part, files)]
    if problems:
        raise UserError(problems)
    train, test = (_read_part(root, files) for files in parts.values())
    return train, test, left_out.found()


def _class_problems(root: Path, part: str, files: dict[str, list[str]]) -> list[Problem]:
    problems = images.empty_classes(root, part, files)
    missing = [name for name in CLASSES if name not in files]
    unknown = [name for name in files if name not in CLASSES]
    if missing:
        problems.append(Problem(f"{root / part}: CIFAR-10 has ten class folders; missing: {', '.join(missing)}"))
    if unknown:
        names = ", ".join(map(images.shown_name, unknown))
        problems.append(
            Problem(
                f"{root / part}: not a class of CIFAR-10: {names}; if these are other images, use the dataset "
                "'image_folder', or name another folder as data.root"
            )
        )
    return problems


def _read_part(root: Path, files: dict[str, list[str]]) -> Split:
    names, targets = images.names_and_targets(files, CLASSES)
    pixels, unread = images.decode_images(root, names, SIZE, _must_be_32x32)
    return Split(pixels, targets, names, unread)


def _must_be_32x32(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.size != SIZE:  # said before it is decoded
        raise ValueError("{}x{} pixels, not 32x32".format(*image.size))
    return images.to_rgb(image)
