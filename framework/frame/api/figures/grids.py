"""Pictures of many images: a grid, or a row for each group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .heat import BESIDE, heat_bar, lay_image
from .style import INK, WIDTH, house_style, new_figure

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

    from ..data import Image

IMAGES_PER_ROW = 8
"""Images that a row of `image_rows` has room for."""
MOST_ROWS = 20
"""Rows that a picture should have at most: more would be too high to look at."""
GAP = 1.07
"""In widths of an image, or of its maps side by side, from where one begins to where the next one does."""


@dataclass(frozen=True)
class Captioned:
    """An image, (H, W, 1 or 3) uint8, and what stands above it, in lines.

    heats: maps to lay over it, (h, w) in [0, 1] each; with several, the image is shown once for each, side by side.
    """

    image: Image
    caption: str
    heats: Sequence[npt.NDArray[np.float32]] = ()


def image_grid(
    images: Sequence[Captioned], *, title: str, columns: int = 5, color: str = INK, heat_label: str = ""
) -> MatplotlibFigure:
    """Return a grid of images, row by row, their captions in `color`. All have as many heat maps as the first.

    A grid with fewer images than `columns` keeps their size. heat_label: what the heat stands for, for its legend.
    """
    first = images[0]
    rows = -(-len(images) // columns)
    height, width = first.image.shape[:2]
    picture = (WIDTH / columns - 0.1) * min(height / width, 2.0) / max(1, len(first.heats))
    with house_style():
        figure = new_figure(0.5 + rows * (picture + 0.14 + 0.16 * _lines(images)) + (0.6 if first.heats else 0))
        figure.suptitle(title)
        lines = [images[at : at + columns] for at in range(0, len(images), columns)]
        _fill(figure, lines, columns, fontsize=9, color=color)
        if first.heats:
            heat_bar(figure, heat_label)
    return figure


@dataclass(frozen=True)
class ImageRow:
    """A row of a picture: what its images have in common, and the images."""

    label: str
    images: Sequence[Captioned]


def image_rows(rows: Sequence[ImageRow], *, title: str, color: str = INK) -> MatplotlibFigure:
    """Return a picture with a row of up to IMAGES_PER_ROW images for each group, its label on the left."""
    lines = max(_lines(row.images) for row in rows)
    height, width = rows[0].images[0].image.shape[:2]
    picture = 0.92 * min(height / width, 2.0)
    with house_style():
        figure = new_figure(0.5 + len(rows) * (picture + 0.1 + 0.14 * lines))
        figure.suptitle(title)
        places = _fill(figure, [row.images for row in rows], IMAGES_PER_ROW, fontsize=7.5, color=color)
        for row, axes in zip(rows, places, strict=True):
            axes.set_ylabel(row.label, rotation=0, ha="right", va="center", labelpad=6)
    return figure


def _lines(images: Sequence[Captioned]) -> int:
    return max((one.caption.count("\n") + 1 for one in images), default=1)


def _fill(
    figure: MatplotlibFigure, lines: Sequence[Sequence[Captioned]], columns: int, *, fontsize: float, color: str
) -> list[Axes]:
    """Show each line of images, their captions above them, and room for `columns`; return the axes, one for each line.

    One for each image would look the same and take several times as long, as axes are what takes long to draw.
    """
    height, width = lines[0][0].image.shape[:2]
    wide = width * (1 + BESIDE * (max(1, len(lines[0][0].heats)) - 1))
    step = GAP * wide
    places = list(figure.subplots(len(lines), 1, squeeze=False).flat)
    for axes, images in zip(places, lines, strict=True):
        for place, one in enumerate(images):
            lay_image(axes, one.image, one.heats, step * place)
            above = (step * place + wide / 2, 0)
            axes.annotate(
                one.caption, above, (0, 3), textcoords="offset points", annotation_clip=False, ha="center",
                va="baseline", fontsize=fontsize, color=color,
            )  # fmt: skip
        axes.set(xticks=[], yticks=[], xlim=(0, step * (columns - 1) + wide), ylim=(height, 0))
        axes.spines[:].set_visible(False)
    return places
