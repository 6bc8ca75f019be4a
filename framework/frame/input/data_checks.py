"""What the host checks of a dataset before it is used, and what it has to say of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..api.data import DataSplits, Split, without_images
from ..errors import Problem, UserError, refuse

NAMED = 5
"""Images or classes that a message names; of more there is a count."""


def splits_of(data: DataSplits) -> Iterator[tuple[str, Split]]:
    """Yield the dataset's parts, each with what it is called in a sentence."""
    yield "training", data.train
    if data.validation:
        yield "validation", data.validation
    yield "test", data.test


def check_as_promised(data: DataSplits, use: str) -> None:
    """Raise UserError, which names the dataset, for data without classes, or whose parts are not of one length."""
    if not data.classes:
        raise UserError(f"data: '{use}' has no classes; there is nothing to tell apart")
    problems = []
    for part, split in splits_of(data):
        images, sources = len(split.images), len(split.sources)
        if images != len(split):
            problems.append(f"its {part} part has {images} images and {len(split)} targets: it needs one an image")
        if sources and sources != images:
            problems.append(f"its {part} part has {images} images and {sources} sources: it needs as many, or none")
    refuse(Problem(f"data: '{use}': {text}") for text in problems)


def refuse_unread(data: DataSplits, *, skip: bool) -> None:
    """Raise UserError for images that cannot be read. skip: training images may be left out, if some are left."""
    problems: list[str] = []
    for part, split in splits_of(data):
        count = len(split.unread)
        if not count or (skip and part == "training" and count < len(split)):
            continue
        advice = "replace them or take them out"
        if part == "training" and not skip:
            advice += ", or leave them out with data.unreadable=skip"
        problems.append(f"{count:,} of {len(split):,} {part} images cannot be used; {advice}:")
        problems += [split.unread[number] for number in sorted(split.unread)[:NAMED]]
        if count > NAMED:
            problems.append(f"and {count - NAMED:,} more")
    refuse(Problem(text, "data") for text in problems)


def lacking(data: DataSplits) -> Iterator[str]:
    """Yield, for each part that has no image of some class, a line that names these."""
    for part, split in splits_of(data):
        if names := without_images(split.targets, data.classes):
            yield f"no {part} image of {named(names)}"


def named(names: Sequence[str]) -> str:
    """Return the first few names, quoted, with the number of the others."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:NAMED]) + more
