"""The table of predictions: which images are in it, and what it says of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import wandb

from frame import LabelledImage, figures

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

T = TypeVar("T")
SMALL = 128
"""Pixels that the longer side of an image has at least before a heat map is laid over it."""
CLASSES = 20
"""Of more classes, the likeliest alone are told: a column for each would be a table that nobody reads."""
LIKELIEST = 5
FACTS = ("index", "target", "predicted", "confidence", "loss", "source")


class Selection:
    """The images that analyzers showed, and a choice of them, `most` in all, that is fair to analyzers and classes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[str, list[LabelledImage]] = {}
        self._offered: dict[int, dict[str, None]] = {}

    def add(self, analyzer: str, images: Sequence[LabelledImage]) -> None:
        """Take an analyzer's images, in its order; no more of them are kept than may be chosen."""
        for item in images:
            self._offered.setdefault(item.index, {})[analyzer] = None
        self._found[analyzer] = list(_spread(images))[: self._most]

    def chosen(self) -> list[LabelledImage]:
        """Return the chosen images, those with heat maps first, each with the maps that all analyzers made of it.

        The analyzers take turns, so that none takes another's rows. Each takes an image that has maps before one that
        has none, and of both one of each class, right and wrong, in turn.
        """
        images = [item for found in self._found.values() for item in found]
        heats: dict[int, Mapping[str, npt.NDArray[np.float32]]] = {}
        for item in images:
            heats[item.index] = {**heats.get(item.index, {}), **item.heats}
        turns = [sorted(found, key=lambda item: not heats[item.index]) for found in self._found.values()]
        rows: dict[int, LabelledImage] = {}
        for item in _in_turn(turns):
            rows.setdefault(item.index, replace(item, heats=heats[item.index]))
        return sorted(list(rows.values())[: self._most], key=lambda item: not item.heats)

    def found_by(self, index: int) -> list[str]:
        """Return the analyzers that showed an image."""
        return list(self._offered[index])

    def about(self, rows: Sequence[LabelledImage], tests: int | None) -> str:
        """Say what a table of these rows holds. tests: the number of all test images, None if unknown."""
        whole = f"the {tests:,}" if tests is not None else "all"
        showing = ", ".join(name for name, found in self._found.items() if found)
        text = f"A selection: {len(rows):,} of {whole} test images, those that {showing} show. "
        if len(rows) < (offered := len(self._offered)):
            text += (
                f"They show {offered:,}; table_images allows {self._most:,}, which analyzers, and in each the classes, "
                "right and wrong, share in turn. "
            )
        if any(item.heats for item in rows):
            text += "Rows with activation maps come first. "
        return f"{text}It is no sample: shares of it say nothing of the test set."


def panel(text: str) -> wandb.Html:
    """Return a text as a panel beside the table, which has no place for it."""
    return wandb.Html(f"<p>{escape(text)}</p>")


def probabilities(predictions: Path) -> npt.NDArray[np.float64] | None:
    """Return the classes' probabilities (N, classes) of the test images, None without predictions.safetensors."""
    if not predictions.is_file():
        return None
    from safetensors.numpy import load_file
    from scipy.special import softmax

    found: npt.NDArray[np.float64] = softmax(load_file(predictions)["logits"].astype("float64"), axis=1)
    return found


def table(
    selection: Selection, rows: Sequence[LabelledImage], all_of: npt.NDArray[np.float64] | None, classes: Sequence[str]
) -> wandb.Table:
    """Return the table: a row an image, its classes' probabilities, and a column for each kind of heat map.

    all_of: what `probabilities` returns.
    """
    kinds = list(dict.fromkeys(name for item in rows for name in column_names(item)))
    shares = _share_columns(classes) if all_of is not None else []
    data: list[list[Any]] = []
    for item in rows:
        over = {
            column: wandb.Image(figures.overlay(item.image, heat, SMALL)) for column, heat in column_names(item).items()
        }
        facts = [*(getattr(item, fact) for fact in FACTS), item.target == item.predicted]
        found_by = ", ".join(selection.found_by(item.index))
        likely: list[Any] = [None] * len(shares)
        if all_of is not None and item.index < len(all_of):
            likely = _shares(all_of[item.index], item, classes)
        data.append([wandb.Image(item.image), *facts, found_by, *likely, *(over.get(kind) for kind in kinds)])
    return wandb.Table(columns=["image", *FACTS, "right", "found by", *shares, *kinds], data=data)


def column_names(item: LabelledImage) -> dict[str, npt.NDArray[np.float32]]:
    """Return an image's heat maps by column: where a name says the image's own class, the column says which it is."""
    found = {}
    for name, heat in item.heats.items():
        for kind, label in (("true", item.target), ("predicted", item.predicted)):
            name = name.replace(f"{kind} {label}", kind)
        found[name] = heat
    return found


def _share_columns(classes: Sequence[str]) -> list[str]:
    """Return the columns that `_shares` fills."""
    return [f"p({name})" for name in classes] if len(classes) <= CLASSES else ["p(target)", f"top {LIKELIEST}"]


def _shares(of: npt.NDArray[np.float64], item: LabelledImage, classes: Sequence[str]) -> list[float | str | None]:
    """Return what an image's probabilities, (classes,), fill the columns with."""
    if len(classes) <= CLASSES:
        return [round(float(share), 4) for share in of]
    likeliest = of.argsort(kind="stable")[::-1][:LIKELIEST]
    target = round(float(of[classes.index(item.target)]), 4) if item.target in classes else None
    return [target, ", ".join(f"{classes[number]} {of[number]:.1%}" for number in likeliest)]


def _spread(images: Iterable[LabelledImage]) -> Iterator[LabelledImage]:
    """Yield images of each class, right and wrong, in turn; those of one kind stay in their order."""
    kinds: dict[tuple[str, bool], list[LabelledImage]] = {}
    for item in images:
        kinds.setdefault((item.target, item.target == item.predicted), []).append(item)
    return _in_turn(kinds.values())


def _in_turn(groups: Iterable[Sequence[T]]) -> Iterator[T]:
    """Yield the first of each group, then the second of each, to the end of the longest."""
    for ones in zip_longest(*groups):
        yield from (one for one in ones if one is not None)
