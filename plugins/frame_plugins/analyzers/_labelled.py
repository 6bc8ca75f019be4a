"""Test images with what the model made of them: as data, as a table, and as a picture with a row for each group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frame import AnalysisRun, LabelledImage, Table, house_style, new_figure

from ._figures import show_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 8
"""Images that a row of `image_rows` has room for."""
MOST_ROWS = 20
"""Rows that a picture is given at most: more would be too high to look at."""


def labelled(run: AnalysisRun, indices: Sequence[int]) -> list[LabelledImage]:
    """Return test images with what the model made of them."""
    if not len(indices):
        return []
    predictions, classes = run.predictions, run.data.classes
    pixels = run.evaluation_pixels(indices)  # (N, H, W, C) uint8
    return [
        LabelledImage(
            image=image,
            index=int(index),
            target=classes[predictions.targets[index]],
            predicted=classes[predictions.predicted[index]],
            confidence=float(predictions.confidence[index]),
            loss=float(predictions.losses[index]),
            source=run.data.test.source(index),
        )
        for image, index in zip(pixels, indices, strict=True)
    ]


def image_table(name: str, title: str, images: Sequence[LabelledImage]) -> Table:
    """Return the images' facts, a row each."""
    rows = [(i.index, i.target, i.predicted, round(i.confidence, 6), round(i.loss, 6), i.source) for i in images]
    columns = ("index", "true", "predicted", "confidence", "loss", "source")
    return Table(name, title, columns, rows, "index: the image's number in the test set. loss: its cross-entropy.")


@dataclass(frozen=True)
class ImageRow:
    """A row of a picture: what its images have in common, and the images with a caption each."""

    label: str
    images: Sequence[LabelledImage]
    captions: Sequence[str]


def image_rows(rows: Sequence[ImageRow], *, title: str, color: str) -> Figure:
    """Return a picture with a row of up to COLUMNS images for each group, its label on the left."""
    lines = max(caption.count("\n") + 1 for row in rows for caption in row.captions)
    height, width = rows[0].images[0].image.shape[:2]
    picture = 0.92 * min(height / width, 2.0)
    with house_style():
        figure = new_figure(0.5 + len(rows) * (picture + 0.1 + 0.14 * lines))
        figure.suptitle(title)
        grid = figure.subplots(len(rows), COLUMNS, squeeze=False)
        for row, line in zip(rows, grid, strict=True):
            for place, axes in enumerate(line):
                if place < len(row.images):
                    show_image(axes, row.images[place].image)
                    axes.set_title(row.captions[place], fontsize=7.5, fontweight="normal", color=color, pad=3)
                else:
                    axes.set_axis_off()
            line[0].set_ylabel(row.label, rotation=0, ha="right", va="center", labelpad=6)
    return figure
