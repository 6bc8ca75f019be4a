"""Draws class activation maps over the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frame import AnalysisRun, Picture, Thumbnail, figures, shorten

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class View:
    """What an image's maps show: of what kind, of what (`predicted`, `cat`), and the map of each layer."""

    kind: str
    of: str
    heats: Mapping[str, npt.NDArray[np.float32]]

    def by_name(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the maps by names that say all of it: `layer1 · predicted cat`."""
        return {self.name(layer): heat for layer, heat in self.heats.items()}

    def name(self, layer: str) -> str:
        """Return what the map at a layer is called."""
        return f"{layer} · {self.kind} {self.of}"


Views = Mapping[int, Sequence[View]]
"""Image number -> its views."""


def depths(
    run: AnalysisRun, views: Views, indices: Sequence[int], layers: Sequence[str], *, correct: bool, evidence: str
) -> Picture:
    """Return a picture of images and their maps at each layer, a row for each view."""
    kind, color = ("correct", figures.RIGHT) if correct else ("misclassified", figures.WRONG)
    columns = 1 + len(layers)
    cell = min(1.75, 7.4 / columns)  # inches
    pixels = run.evaluation_pixels(indices)  # (N, H, W, C) uint8
    ratio = min(pixels.shape[1] / pixels.shape[2], 2.0)
    rows = [(image, index, view) for image, index in zip(pixels, indices, strict=True) for view in views[index]]
    with figures.house_style():
        figure = figures.new_figure(1.3 + len(rows) * (cell * ratio + 0.06), 1.6 + cell * columns)
        figure.suptitle(f"Grad-CAM of {kind} images")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for (image, index, view), line in zip(rows, grid, strict=True):
            for axes, layer in zip(line[1:], layers, strict=True):
                figures.show_image(axes, image, [view.heats[layer]])
            if view is not views[index][0]:
                line[0].set_axis_off()
            else:
                figures.show_image(line[0], image)
                line[0].set_ylabel(figures.verdict(run, index, 14), rotation=0, ha="right", va="center", color=color)
            if len(views[index]) > 1:
                own = figures.WRONG if view.kind == "predicted" else figures.RIGHT
                line[1].set_ylabel(f"{view.kind}\n{shorten(view.of, int(cell * 11))}", color=own, fontsize=8)
        for axes, name in zip(grid[0], ("image", *layers), strict=True):
            axes.set_title(shorten(name, int(cell * 11)), fontsize=9)
        figures.heat_bar(figure, evidence)
    beside = "its class" if correct else "true class → predicted class"
    caption = (
        f"Where each layer saw the {evidence}, from shallow to deep; each map is scaled to its own maximum; "
        f"'no heat': nothing spoke for the class. With each image: {beside}, confidence."
    )
    return Picture(f"grad_cam_{kind}", f"Grad-CAM: {kind} images", figure, caption, thumbnails(views, indices, layers))


def overlays(run: AnalysisRun, views: Views, indices: Sequence[int], layer: str, *, evidence: str) -> Picture:
    """Return a grid of misclassified images with their maps at one layer, side by side where there are several."""
    kinds = [view.kind for view in views[indices[0]]]
    sides = f" (left: {kinds[0]} class, right: {kinds[1]} class)" if len(kinds) == 2 else ""
    captioned = [
        figures.Captioned(image, figures.verdict(run, index), [view.heats[layer] for view in views[index]])
        for image, index in zip(run.evaluation_pixels(indices), indices, strict=True)
    ]
    figure = figures.image_grid(
        captioned,
        title=f"Misclassified images with Grad-CAM at {layer}{sides}",
        columns=5 if len(kinds) == 1 else 4,
        color=figures.WRONG,
        heat_label=evidence,
    )
    caption = (
        f"Misclassified images with the {evidence}, seen at layer {layer}{sides}. With each: true class → predicted "
        "class, confidence."
    )
    title = "Grad-CAM: overlays of mistakes"
    return Picture("grad_cam_overlays", title, figure, caption, thumbnails(views, indices, [layer]))


def thumbnails(views: Views, indices: Sequence[int], layers: Sequence[str]) -> list[Thumbnail]:
    """Return images with their maps at these layers: those of a class, from shallow to deep, then of the other."""
    return [Thumbnail(index, maps=[view.name(layer) for view in views[index] for layer in layers]) for index in indices]
