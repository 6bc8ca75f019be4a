"""Finds the images of a `train|val|test/<class>/` tree and reads them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from frame import DataSplits, Problem, Split, UserError, images, suggest

PARTS = ("train", "test", "val")

ImagesOfPart = Mapping[str, Sequence[str]]
"""Class name -> the names of its images, relative to the root."""


def read_folder(root: Path) -> DataSplits:
    """Return the tree's splits, each image a Source."""
    left_out = images.Omissions()
    parts = _find_parts(root, left_out)
    classes = tuple(parts["train"])
    splits = {role: _read_part(root, part, classes) for role, part in parts.items()}
    return DataSplits(
        train=splits["train"],
        test=splits["test"],
        validation=splits.get("validation"),
        classes=classes,
        checksum=_checksum(root, classes, splits),
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


def _read_part(root: Path, files: ImagesOfPart, classes: Sequence[str]) -> Split:
    names, targets = images.names_and_targets(files, classes)
    return Split(images.FileImages(root, names), targets, names)


def _checksum(root: Path, classes: Sequence[str], splits: Mapping[str, Split]) -> str:
    """Return a SHA-256 of class names, file names and sizes: reading all files just for this would take long."""
    digest = hashlib.sha256("\n".join(classes).encode())
    for role, split in splits.items():
        digest.update(f"{role}\n".encode())
        for name in split.sources:
            digest.update(os.fsencode(f"{name}\t{_size(root / name)}\n"))
    return digest.hexdigest()


def _size(file: Path) -> int:
    """Return a file's size, 0 of one that is not there: a link into nothing is an image that cannot be read."""
    try:
        return file.stat().st_size
    except OSError:
        return 0
