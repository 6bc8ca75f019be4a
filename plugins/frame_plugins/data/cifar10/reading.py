"""Finds CIFAR-10 in a folder and reads it, in any of the forms it comes in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from frame import Omission, Omissions, Problem, Split, UserError, to_rgb
from frame import shown_name as shown

from .._image_tree import decode_images, empty_classes, images_by_class, names_and_targets, note_others
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
    left_out = Omissions()
    note_others(root, PARTS, left_out)
    parts = {part: images_by_class(root, part, left_out) if (root / part).is_dir() else {} for part in PARTS}
    problems = [problem for part, images in parts.items() for problem in _class_problems(root, part, images)]
    if problems:
        raise UserError(problems)
    train, test = (_read_part(root, images) for images in parts.values())
    return train, test, left_out.found()


def _class_problems(root: Path, part: str, images: dict[str, list[str]]) -> list[Problem]:
    problems = empty_classes(root, part, images)
    missing = [name for name in CLASSES if name not in images]
    unknown = [name for name in images if name not in CLASSES]
    if missing:
        problems.append(Problem(f"{root / part}: CIFAR-10 has ten class folders; missing: {', '.join(missing)}"))
    if unknown:
        problems.append(
            Problem(
                f"{root / part}: not a class of CIFAR-10: {', '.join(map(shown, unknown))}; if these are other images, "
                "use the dataset 'image_folder', or name another folder as data.root"
            )
        )
    return problems


def _read_part(root: Path, images: dict[str, list[str]]) -> Split:
    names, targets = names_and_targets(images, CLASSES)
    pixels, unread = decode_images(root, names, SIZE, _must_be_32x32)
    return Split(pixels, targets, names, unread)


def _must_be_32x32(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.size != SIZE:  # said before it is decoded
        raise ValueError("{}x{} pixels, not 32x32".format(*image.size))
    return to_rgb(image)
