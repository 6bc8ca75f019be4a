"""Finds the images of a `train|val|test/<class>/` tree and reads them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from frame import DataSplits, Images, Problem, Split, UserError, images, suggest

MEMORY_LIMIT = 2**30
PARTS = ("train", "test", "val")

ImagesOfPart = Mapping[str, Sequence[str]]
"""Class name -> the names of its images, relative to the root."""


def read_folder(root: Path, image_size: int, memory_limit: int = MEMORY_LIMIT) -> DataSplits:
    """Return the tree's splits, images (image_size, image_size, 3) uint8.

    Together they are decoded now if they take `memory_limit` bytes at most, else each time one is asked for.
    """
    left_out = images.Omissions()
    parts = _find_parts(root, left_out)
    classes = tuple(parts["train"])
    count = sum(len(names) for part in parts.values() for names in part.values())
    in_memory = count * image_size**2 * 3 <= memory_limit
    splits = {role: _read_part(root, part, classes, image_size, in_memory) for role, part in parts.items()}
    unread = dict(splits["train"].unread)
    mean, std = images.mean_and_std(splits["train"].images, unread)
    splits["train"] = replace(splits["train"], unread=unread)
    return DataSplits(
        train=splits["train"],
        test=splits["test"],
        validation=splits.get("validation"),
        classes=classes,
        shape=(image_size, image_size, 3),
        mean=mean,
        std=std,
        checksum=images.checksum(classes, *splits.values()) if in_memory else _file_checksum(root, image_size, splits),
        left_out=left_out.found(),
    )


def _find_parts(root: Path, left_out: images.Omissions) -> dict[str, ImagesOfPart]:
    """Return the images of train, test and, where there is one, validation.

    Raises UserError with all that is wrong.
    """
    if not root.is_dir():
        raise UserError(
            f"{root}: no such folder; data.root (or FRAME_DATA_DIR) must hold train/<class>/, test/<class>/"
        )
    images.count_others(root, PARTS, left_out)
    there = {part: images.images_by_class(root, part, left_out) for part in PARTS if (root / part).is_dir()}
    problems = [problem for part, files in there.items() for problem in images.empty_classes(root, part, files)]
    if "train" not in there:
        problems.append(Problem(f"{root}: has no folder 'train'; the images must lie in train/<class>/"))
    elif len(there["train"]) < 2:
        found = ", ".join(map(images.shown_name, there["train"])) or "none"
        problems.append(Problem(f"{root / 'train'}: needs a folder for each of two or more classes; found: {found}"))
    if "test" not in there and "val" not in there:
        problems.append(
            Problem(f"{root}: has neither a folder 'test' nor 'val'; test images must lie in test/<class>/")
        )
    problems += [problem for part in ("test", "val") if part in there for problem in _unlike_train(root, part, there)]
    if problems:
        raise UserError(problems)
    if "test" not in there:
        return {"train": there["train"], "test": there["val"]}
    return {{"val": "validation"}.get(part, part): images for part, images in there.items()}


def _unlike_train(root: Path, part: str, there: Mapping[str, ImagesOfPart]) -> list[Problem]:
    if not there[part]:
        return [Problem(f"{root / part}: has no class folder; the images must lie in {part}/<class>/")]
    known = there.get("train")
    if not known:
        return []
    unknown = (name for name in there[part] if name not in known)
    return [
        Problem(f"{images.shown_name(root / part / name)}: no class of train{suggest(name, known)}") for name in unknown
    ]


def _read_part(root: Path, files: ImagesOfPart, classes: Sequence[str], image_size: int, in_memory: bool) -> Split:
    names, targets = images.names_and_targets(files, classes)
    prepare = partial(images.fit_image, size=(image_size, image_size))
    if in_memory:
        pixels, unread = images.decode_images(root, names, (image_size, image_size), prepare)
        return Split(pixels, targets, names, unread)
    lazy: Images = images.LazyImages(root, names, prepare)
    return Split(lazy, targets, names, images.check_headers(root, names))


def _file_checksum(root: Path, image_size: int, splits: Mapping[str, Split]) -> str:
    """Return a SHA-256 of file names and sizes: reading more than fits into memory just for this would take long."""
    digest = hashlib.sha256(f"{image_size}\n".encode())
    for role, split in splits.items():
        digest.update(f"{role}\n".encode())
        for name in split.sources:
            digest.update(os.fsencode(f"{name}\t{_size(root / name)}\n"))
        if split.unread:
            digest.update(f"without {sorted(split.unread)}".encode())
    return digest.hexdigest()


def _size(file: Path) -> int:
    """Return a file's size, 0 of one that is not there: a link into nothing is an image that cannot be read."""
    try:
        return file.stat().st_size
    except OSError:
        return 0
