"""Heat maps over images: where in them a model saw something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

    from ..data import Image

    Heat = npt.NDArray[np.float32]

HEAT = "inferno"
"""Matplotlib's colormap of heat maps: its lightness rises evenly, so it reads in grey too."""
PALE = 0.4
"""Opacity of an image whose map has no heat at all."""
SMALL_IMAGE = 128
"""Images up to this many pixels a side are shown pixel by pixel."""
BESIDE = 1.06
"""In widths of the image, from where one of its maps begins to where the next one does."""


def opacity(heat: Heat) -> Heat:
    """Return how much of an image the colours of its heat map cover, for a map in [0, 1]: of its shape."""
    covered: Heat = 0.35 + 0.35 * heat
    return covered


def overlay(image: Image, heat: Heat, side: int = 1) -> Image:
    """Return an image under its heat map, as (H', W', 3) uint8: pale where the map has no heat at all.

    image: (H, W, 1 or 3) uint8. heat: (h, w) in [0, 1], scaled to the image. side: pixels; a smaller image is enlarged
    by a whole factor until its longer side has them.
    """
    import numpy as np
    from matplotlib import colormaps
    from PIL import Image as PILImage

    height, width = image.shape[:2]
    factor = max(1, -(-side // max(height, width)))
    size = (factor * width, factor * height)
    base = PILImage.fromarray(np.broadcast_to(image, (height, width, 3)).copy())
    below = np.asarray(base.resize(size, PILImage.Resampling.NEAREST), np.float32)  # (H', W', 3)
    if heat.max() <= 0:
        return np.rint(PALE * below + (1 - PALE) * 255).astype(np.uint8)
    scaled = PILImage.fromarray(heat.astype(np.float32)).resize(size, PILImage.Resampling.BILINEAR)
    warmth = np.asarray(scaled).clip(0, 1)
    covered = opacity(warmth)[..., None]  # (H', W', 1)
    mixed = covered * (255 * colormaps[HEAT](warmth)[..., :3]) + (1 - covered) * below
    return np.rint(mixed).astype(np.uint8)


def show_image(axes: Axes, image: npt.NDArray[Any], heats: Sequence[npt.NDArray[Any]] = ()) -> None:
    """Show one image, (H, W, 1 or 3) uint8, with nothing around it.

    heats: maps over it, (h, w) in [0, 1] each, as `overlay` lays them, at the figure's resolution; with several, the
    image is shown once for each, side by side.
    """
    right = lay_image(axes, image, heats)
    axes.set(xticks=[], yticks=[], xlim=(0, right), ylim=(image.shape[0], 0))
    axes.spines[:].set_visible(False)


def lay_image(axes: Axes, image: npt.NDArray[Any], heats: Sequence[npt.NDArray[Any]], left: float = 0.0) -> float:
    """Lay an image and its maps into axes whose unit is its pixel, from `left` on; return where its right edge is."""
    height, width = image.shape[:2]
    small = max(height, width) <= SMALL_IMAGE
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    for place, heat in enumerate(heats or (None,)):
        start = left + BESIDE * width * place
        extent = (start, start + width, height, 0)
        shown = axes.imshow(
            pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if small else "auto", extent=extent
        )
        if heat is not None and heat.max() > 0:
            axes.imshow(heat, cmap=HEAT, vmin=0, vmax=1, alpha=opacity(heat), interpolation="bilinear", extent=extent)
        elif heat is not None:
            shown.set_alpha(PALE)
            frame = {"facecolor": "white", "edgecolor": "none", "boxstyle": "round,pad=0.25"}
            axes.text(start + width / 2, height / 2, "no heat", ha="center", va="center", fontsize=8.5, bbox=frame)
    return start + width


def heat_bar(figure: MatplotlibFigure, label: str) -> None:
    """Add the legend of the heat maps below a figure, in the colours of the map itself. label: what heat stands for."""
    from matplotlib.cm import ScalarMappable

    bar = figure.colorbar(
        ScalarMappable(cmap=HEAT), ax=figure.axes, location="bottom", shrink=0.4, aspect=40, pad=0.02, ticks=[0, 1]
    )
    bar.set_ticklabels(["none", "most"])
    bar.ax.tick_params(labelsize=8, length=0)
    bar.set_label(label, fontsize=8.5)
    bar.outline.set_visible(False)
