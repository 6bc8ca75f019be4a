"""Results as W&B's media: figures and tables."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import wandb

from frame import Figure, Table, figures


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
