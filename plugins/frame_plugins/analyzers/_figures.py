"""Images in figures: grids, and heat maps over them, in the host's house style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from frame import COLORS, house_style, new_figure

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#222222"
RIGHT, WRONG = COLORS["blue"], COLORS["vermillion"]
"""Colours of a right and of a wrong prediction; the text beside them says the same."""

WIDTH = 9.0
"""Inches that a grid of images is wide."""
HEAT = "inferno"
"""Colormap of heat maps: its lightness rises evenly, so it reads in grey too."""
SMALL_IMAGE = 128
"""Images up to this many pixels a side are shown pixel by pixel."""


def show_image(axes: Axes, image: npt.NDArray[Any], heats: Sequence[npt.NDArray[Any]] = ()) -> None:
    """Show one image, (H, W, 1 or 3) uint8, with nothing around it.

    heats: maps over it, (h, w) in [0, 1] each; with several, the image is shown once for each, side by side.
    """
    height, width = image.shape[:2]
    small = max(height, width) <= SMALL_IMAGE
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    left = 0.0
    for place, heat in enumerate(heats or (None,)):
        left = 1.06 * width * place
        extent = (left, left + width, height, 0)
        shown = axes.imshow(
            pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if small else "auto", extent=extent
        )
        if heat is not None and heat.max() > 0:
            axes.imshow(
                heat, cmap=HEAT, vmin=0, vmax=1, alpha=0.35 + 0.35 * heat, interpolation="bilinear", extent=extent
            )
        elif heat is not None:
            shown.set_alpha(0.4)
            frame = {"facecolor": "white", "edgecolor": "none", "boxstyle": "round,pad=0.25"}
            axes.text(left + width / 2, height / 2, "no heat", ha="center", va="center", fontsize=8.5, bbox=frame)
    axes.set(xticks=[], yticks=[], xlim=(0, left + width), ylim=(height, 0))
    axes.spines[:].set_visible(False)


def heat_bar(figure: Figure, label: str) -> None:
    """Add the legend of the heat maps below a figure, in the colours of the map itself."""
    from matplotlib.cm import ScalarMappable

    bar = figure.colorbar(
        ScalarMappable(cmap=HEAT), ax=figure.axes, location="bottom", shrink=0.4, aspect=40, pad=0.02, ticks=[0, 1]
    )
    bar.set_ticklabels(["none", "most"])
    bar.ax.tick_params(labelsize=8, length=0)
    bar.set_label(label, fontsize=8.5)
    bar.outline.set_visible(False)


def image_grid(
    images: Sequence[npt.NDArray[Any]],
    captions: Sequence[str],
    *,
    title: str,
    columns: int = 5,
    color: str = INK,
    heats: Sequence[Sequence[npt.NDArray[Any]]] | None = None,
    heat_label: str = "",
) -> Figure:
    """Return a grid of images, (H, W, C) uint8 each, row by row, with a caption in `color` above each.

    A grid with fewer images than `columns` keeps their size. heats: of each image the maps to lay over it, side by
    side, (h, w) in [0, 1] each.
    """
    rows = -(-len(images) // columns)
    side_by_side = len(heats[0]) if heats else 1
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    height, width = images[0].shape[:2]
    picture = (WIDTH / columns - 0.1) * min(height / width, 2.0) / side_by_side
    with house_style():
        figure = new_figure(0.5 + rows * (picture + 0.14 + 0.16 * lines) + (0.6 if heats else 0))
        figure.suptitle(title)
        for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
            if i < len(images):
                show_image(axes, images[i], heats[i] if heats else ())
                axes.set_title(captions[i], fontsize=9, fontweight="normal", color=color, pad=3)
            else:
                axes.set_axis_off()
        if heats:
            heat_bar(figure, heat_label)
    return figure
