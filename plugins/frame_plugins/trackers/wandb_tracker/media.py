"""Results as W&B's media: figures, tables, and the one table of predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wandb

from frame import Figure, LabelledImage, Table, figures

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SMALL = 128
"""Pixels that the longer side of an image has at least before a heat map is laid over it."""


def image(figure: Figure, drawn: Path) -> wandb.Image:
    """Return a figure as a picture. drawn: where the host keeps it as PNG."""
    from PIL import Image

    content = drawn.read_bytes() if drawn.is_file() else figures.png(figure)
    return wandb.Image(Image.open(BytesIO(content)), caption=figure.caption or figure.title)


def is_shown(picture: wandb.Image, summary: Any) -> bool:
    """Tell whether the run shows the picture already, of an analysis that is repeated after a kill. summary: its key's
    value in the run's summary, None without one."""
    return summary is not None and summary.get("sha256") == picture._sha256


def table(given: Table) -> wandb.Table:
    """Return a table of W&B's."""
    columns = zip(*given.rows, strict=True)
    # wandb refuses text beside numbers in a column unless it is told; told so, it cannot plot the columns.
    mixed = any(len({isinstance(cell, str) for cell in column if cell is not None}) > 1 for column in columns)
    return wandb.Table(columns=list(given.columns), data=[list(row) for row in given.rows], allow_mixed_types=mixed)


def merge(images: Iterable[LabelledImage], into: dict[int, LabelledImage], most: int) -> None:
    """Add images to those by index, `most` in all; the heat maps of one image come together."""
    for item in images:
        if known := into.get(item.index):
            into[item.index] = replace(known, heats={**known.heats, **item.heats})
        elif len(into) < most:
            into[item.index] = item


def predictions(images: Mapping[int, LabelledImage]) -> wandb.Table:
    """Return the table of predictions: a row an image, a column for each kind of heat map, drawn over the image."""
    facts = ("index", "target", "predicted", "confidence", "loss", "source")
    maps = list(dict.fromkeys(name for item in images.values() for name in column_names(item)))
    rows = []
    for _, item in sorted(images.items()):
        over = {
            column: wandb.Image(figures.overlay(item.image, heat, SMALL)) for column, heat in column_names(item).items()
        }
        right = item.target == item.predicted
        rows.append(
            [wandb.Image(item.image), *(getattr(item, fact) for fact in facts), right, *(over.get(one) for one in maps)]
        )
    return wandb.Table(columns=["image", *facts, "right", *maps], data=rows)


def column_names(item: LabelledImage) -> dict[str, npt.NDArray[np.float32]]:
    """Return an image's heat maps by column: where a name says the image's own class, the column says which it is."""
    found = {}
    for name, heat in item.heats.items():
        for kind, label in (("true", item.target), ("predicted", item.predicted)):
            name = name.replace(f"{kind} {label}", kind)
        found[name] = heat
    return found
