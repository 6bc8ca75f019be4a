"""Draws class activation maps over the images."""

from __future__ import annotations

from collections.abc import Sequence

from frame import AnalysisRun, Picture

from .._choice import verdict
from .._figures import RIGHT, WRONG, heat_bar, house_style, image_grid, new_figure, shorten, show_image
from .maps import Maps


def depths(
    run: AnalysisRun, maps: Maps, indices: Sequence[int], layers: Sequence[str], *, correct: bool, evidence: str
) -> Picture:
    """Return a picture with a row per image: what the model made of it, the image, and its map at each layer."""
    kind, color = ("correct", RIGHT) if correct else ("misclassified", WRONG)
    columns = 1 + len(layers)
    cell = min(1.75, 7.6 / columns)  # inches
    pixels = run.evaluation_pixels(indices)  # (N, H, W, C) uint8
    ratio = min(pixels.shape[1] / pixels.shape[2], 2.0)
    with house_style():
        figure = new_figure(1.3 + len(indices) * (cell * ratio + 0.06), 1.4 + cell * columns)
        figure.suptitle(f"Grad-CAM of {kind} images")
        grid = figure.subplots(len(indices), columns, squeeze=False)
        for row, index in enumerate(indices):
            show_image(grid[row, 0], pixels[row])
            label = grid[row, 0].set_ylabel(verdict(run, index, 14), rotation=0, ha="right", va="center", color=color)
            label.set_fontsize(9)
            for column, layer in enumerate(layers, start=1):
                show_image(grid[row, column], pixels[row], maps[index][layer])
        for axes, name in zip(grid[0], ("image", *layers), strict=True):
            axes.set_title(shorten(name, int(cell * 11)), fontsize=9)
        heat_bar(figure, evidence)
    beside = "its class" if correct else "true class → predicted class"
    caption = (
        f"Where each layer saw the {evidence}, from shallow to deep; each map is scaled to its own maximum; "
        f"'no heat': nothing spoke for the class. Beside each image: {beside}, confidence."
    )
    return Picture(f"grad_cam_{kind}", f"Grad-CAM: {kind} images", figure, caption)


def overlays(run: AnalysisRun, maps: Maps, indices: Sequence[int], layer: str, *, evidence: str) -> Picture:
    """Return a grid of misclassified images with their maps at one layer."""
    figure = image_grid(
        list(run.evaluation_pixels(indices)),
        [verdict(run, index) for index in indices],
        title=f"Misclassified images with Grad-CAM at {layer}",
        color=WRONG,
        heats=[maps[index][layer] for index in indices],
        heat_label=evidence,
    )
    caption = (
        f"Misclassified images with the {evidence}, seen at layer {layer}. Above each: true class → predicted class, "
        "confidence."
    )
    return Picture("grad_cam_overlays", "Grad-CAM: overlays of mistakes", figure, caption)
