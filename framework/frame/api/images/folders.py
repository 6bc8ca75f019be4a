"""Images in folders, one folder a class: `train/cat/1.png`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ...errors import Problem, UserError
from ..data import Targets
from .files import IMAGE_ENDINGS, is_image_name
from .files import shown_name as shown
from .omissions import Omissions

MAX_LEVELS = 40
"""Of folders within the folder of a class."""


def images_by_class(root: Path, part: str, left_out: Omissions) -> dict[str, list[str]]:
    """Return the class folders of `root/part`, each with its images' names, relative to `root` and sorted.

    Class folders may have folders in them. Hidden files and folders are passed over; left_out counts what else is not
    read: files that are no images or lie in no class folder, and links to folders within one. Raises UserError for
    what cannot be looked through.
    """
    top = root / part
    try:
        _refuse_endless(top)
        found = sorted(place for place in top.iterdir() if not _hidden(place.name))
        for place in found:
            if not place.is_dir():
                _leave_out(f"{part}/{place.name}", left_out)
        return {place.name: sorted(_images_below(root, place, left_out)) for place in found if place.is_dir()}
    except OSError as error:
        raise UserError(f"{shown(error.filename or top)}: cannot be read: {error.strerror}") from error


def count_others(root: Path, parts: Sequence[str], left_out: Omissions) -> None:
    """Count the folders beside those of the parts, and the images that lie loose among them."""
    try:
        for place in sorted(root.iterdir()):
            if _hidden(place.name) or place.name in parts:
                continue
            if place.is_dir():
                left_out.add(f"folders beside {', '.join(parts)}", place.name)
            elif is_image_name(place.name):
                _leave_out(place.name, left_out)
    except OSError as error:
        raise UserError(f"{shown(error.filename or root)}: cannot be read: {error.strerror}") from error


def _images_below(root: Path, folder: Path, left_out: Omissions) -> Iterator[str]:
    _refuse_endless(folder)
    for place, folders, files in os.walk(folder, onerror=_raise):
        # os.walk goes only into what is left here, and not into links; sorted, so that the examples are the same ones
        folders[:] = sorted(name for name in folders if not _hidden(name))
        inside = Path(place).relative_to(root)
        if len(inside.parts) > MAX_LEVELS:
            raise UserError(f"{shown(folder)}: has more than {MAX_LEVELS} levels of folders in it")
        for name in folders:
            if os.path.islink(os.path.join(place, name)):  # noqa: PTH114, PTH118 - a Path for each takes longer
                left_out.add("linked folders", f"{inside.as_posix()}/{name}")
        for name in sorted(files):
            if is_image_name(name) and not _hidden(name):
                yield _text(root, f"{inside.as_posix()}/{name}")
            elif not _hidden(name):
                left_out.add_file(f"{inside.as_posix()}/{name}")


def _leave_out(name: str, left_out: Omissions) -> None:
    """Count a file that lies in no class folder."""
    if is_image_name(name):
        left_out.add("images in no class folder", name)
    else:
        left_out.add_file(name)


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
