"""How the training went: loss, accuracy and learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from frame import AnalysisRun, AnalyzerComponent, AnalyzerResult, Component, Picture, hookimpl

from ._figures import BLUE, GREEN, ORANGE, PURPLE, house_style, line_axes, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Lines = Sequence[Mapping[str, Any]]
TITLE = "Training curves"
SMOOTH_FROM = 150
"""Curves with more points than this are drawn pale, with their running mean over them."""


class Curves(AnalyzerComponent):
    """Loss and accuracy over the training, training against test accuracy, and the learning rate as it really was."""

    def build(self, run: AnalysisRun) -> AnalyzerResult:
        steps = [line for line in run.metrics if line["kind"] == "step"]
        epochs = [line for line in run.metrics if line["kind"] == "epoch"]
        if not epochs:
            return AnalyzerResult(TITLE, notes=("No epoch was finished, so there is no curve to draw.",))
        held_out = "val" if "val/acc" in epochs[-1] else "test"
        name = {"val": "validation", "test": "test"}[held_out]
        pictures = [
            Picture(
                "curves",
                "Loss and accuracy",
                four_curves(steps, epochs, held_out, name),
                f"Loss and accuracy: on the training batches while the network learns, and on the {name} set "
                "after each epoch. A thin pale line is the single batches, the strong one their running mean.",
            ),
            Picture(
                "accuracy",
                f"Training against {name} accuracy",
                two_accuracies(epochs, held_out, name),
                f"Accuracy of each epoch. Training accuracy is measured on augmented images while the weights change; "
                f"the distance between the lines is what does not carry over to the {name} set.",
            ),
        ]
        if series(steps or epochs, "lr")[0]:
            caption = "The learning rate that each optimizer step really used."
            pictures.append(Picture("learning_rate", "Learning rate", schedule(steps or epochs), caption))
        return AnalyzerResult(TITLE, pictures=tuple(pictures))


def series(lines: Lines, key: str) -> tuple[list[float], list[float]]:
    """Return a metric's epochs and values, where it was written and finite."""
    points = [(line["epoch"], line[key]) for line in lines if line.get(key) is not None and isfinite(line[key])]
    return [epoch for epoch, _ in points], [value for _, value in points]


def draw(axes: Axes, lines: Lines, key: str, color: str, label: str = "") -> None:
    """Draw a metric over the epochs: points if there are few, a running mean over a pale line if there are many."""
    import numpy as np

    x, y = series(lines, key)
    if len(x) <= SMOOTH_FROM:
        axes.plot(x, y, color=color, label=label, marker="o" if len(x) <= 40 else "", markersize=4)
    else:
        window = len(x) // 50
        mean = np.convolve(y, np.ones(window) / window, mode="valid")
        axes.plot(x, y, color=color, alpha=0.3, linewidth=0.7)
        axes.plot(x[window // 2 :][: len(mean)], mean, color=color, label=label)
    if key.endswith("/acc"):
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}")


def four_curves(steps: Lines, epochs: Lines, held_out: str, name: str) -> Figure:
    """Training loss and accuracy (per step, or per epoch where no step was logged) above those of the held-out set."""
    often = "per step" if steps else "per epoch"
    panels = (
        (steps or epochs, "train/loss", f"Training loss, {often}", "loss", BLUE),
        (steps or epochs, "train/acc", f"Training accuracy, {often}", "accuracy (%)", BLUE),
        (epochs, f"{held_out}/loss", f"{name.capitalize()} loss, per epoch", "loss", ORANGE),
        (epochs, f"{held_out}/acc", f"{name.capitalize()} accuracy, per epoch", "accuracy (%)", ORANGE),
    )
    with house_style():
        figure = new_figure(6.2)
        for number, (lines, key, title, ylabel, color) in enumerate(panels, start=1):
            axes = line_axes(figure, (2, 2, number), title, "epoch", ylabel)
            draw(axes, lines, key, color)
            fit_epochs(axes, epochs)
    return figure


def two_accuracies(epochs: Lines, held_out: str, name: str) -> Figure:
    """Training and held-out accuracy of each epoch in one plot, the best one named."""
    x, y = series(epochs, f"{held_out}/acc")
    with house_style():
        figure = new_figure(4.2)
        axes = line_axes(figure, (1, 1, 1), f"Training against {name} accuracy", "epoch", "accuracy (%)")
        draw(axes, epochs, "train/acc", BLUE, "training")
        best = f" (best: {100 * max(y):.2f} % in epoch {x[y.index(max(y))]:g})" if y else ""
        draw(axes, epochs, f"{held_out}/acc", ORANGE, name + best)
        axes.legend(loc="best")
        fit_epochs(axes, epochs)
    return figure


def schedule(lines: Lines) -> Figure:
    """The learning rate, and momentum below it where it was logged."""
    panels = [("lr", "Learning rate", GREEN)] + [("momentum", "Momentum", PURPLE)] * bool(series(lines, "momentum")[0])
    with house_style():
        figure = new_figure(0.6 + 2.8 * len(panels))
        for number, (key, title, color) in enumerate(panels, start=1):
            axes = line_axes(figure, (len(panels), 1, number), title, "epoch", title.lower())
            x, y = series(lines, key)
            axes.plot(x, y, color=color, marker="o" if len(x) <= 40 else "", markersize=4)
            fit_epochs(axes, lines)
    return figure


def fit_epochs(axes: Axes, lines: Lines) -> None:
    """Let the axis run from the start to the last epoch, with ticks at whole epochs."""
    from matplotlib.ticker import MaxNLocator

    last = max(line["epoch"] for line in lines)
    axes.set_xlim(-0.02 * last, 1.02 * last)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module\'s components by name."""
    return {"curves": Curves}
