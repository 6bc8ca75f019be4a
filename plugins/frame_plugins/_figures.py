"""The one house style of every figure: made for a report that shows them about 900 pixels wide.

Figures are plain `matplotlib.figure.Figure` objects; neither pyplot nor the backend is touched. Colours are Okabe and
Ito's, which readers with a colour vision deficiency can tell apart (https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
INK, MUTED = "#222222", "#666666"
RIGHT, WRONG = BLUE, VERMILLION
"""Colours of a right and of a wrong prediction; the text beside them says the same."""

WIDTH = 9.0
"""Inches. At 200 dpi that is 1800 pixels: sharp when shown at half of it, where 9 pt text is 12 pixels high."""
DPI = 200
HEAT = "inferno"
"""Colormap of heat maps: its lightness rises evenly, so it reads in grey too."""
SMALL_IMAGE = 128
"""Images up to this many pixels a side are shown pixel by pixel."""

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#999999",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Make figures inside of this; a user's own matplotlib settings neither change them nor are changed."""
    import matplotlib.style

    with matplotlib.style.context(["default", STYLE]):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure of width x height inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.05, hspace=0.03)
    return Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")


def line_axes(figure: Figure, place: tuple[int, int, int], title: str, xlabel: str, ylabel: str) -> Axes:
    """Add axes for curves at `place` (rows, columns, number from 1), with a light grid; labels carry their units."""
    axes = figure.add_subplot(*place)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.grid(visible=True, color="#E3E3E3", linewidth=0.8)
    axes.set_axisbelow(True)
    # Ticks are made when the figure is drawn, outside of house_style: they get their looks here.
    axes.tick_params(which="both", labelsize=8, color="#999999", labelcolor=INK)
    return axes


def show_image(axes: Axes, image: npt.NDArray[Any], heat: npt.NDArray[Any] | None = None) -> None:
    """Show one image, (H, W, 1 or 3) uint8, with nothing around it, and a heat map over it, (H, W) in [0, 1]."""
    small = max(image.shape[:2]) <= SMALL_IMAGE
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if small else "auto")
    if heat is not None:
        show_heat(axes, heat)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def show_heat(axes: Axes, heat: npt.NDArray[Any]) -> None:
    """Lay a heat map over an image, the stronger the hotter; a map without any heat says so instead."""
    if heat.max() > 0:
        axes.imshow(heat, cmap=HEAT, vmin=0, vmax=1, alpha=0.35 + 0.35 * heat, interpolation="bilinear")
        return
    axes.images[0].set_alpha(0.4)
    frame = {"facecolor": "white", "edgecolor": "none", "boxstyle": "round,pad=0.25"}
    axes.text(0.5, 0.5, "no heat", transform=axes.transAxes, ha="center", va="center", fontsize=8.5, bbox=frame)


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
    heats: Sequence[npt.NDArray[Any]] | None = None,
    heat_label: str = "",
) -> Figure:
    """Return a grid of images, (H, W, C) uint8 each, row by row, with a caption in `color` above each.

    A grid with fewer images than `columns` keeps their size. `heats`: a map over each image, (H, W) in [0, 1].
    """
    rows = -(-len(images) // columns)
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    height, width = images[0].shape[:2]
    picture = (WIDTH / columns - 0.1) * min(height / width, 2.0)
    with house_style():
        figure = new_figure(0.5 + rows * (picture + 0.14 + 0.16 * lines) + (0.6 if heats is not None else 0))
        figure.suptitle(title)
        for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
            if i < len(images):
                show_image(axes, images[i], None if heats is None else heats[i])
                axes.set_title(captions[i], fontsize=9, fontweight="normal", color=color, pad=3)
            else:
                axes.set_axis_off()
        if heats is not None:
            heat_bar(figure, heat_label)
    return figure


def shorten(text: str, width: int) -> str:
    """Cut a text to `width` characters; an ellipsis shows that it was longer."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
