"""How the training went: loss, accuracy, learning rate, gradient and throughput, over the epochs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from frame import (
    AnalyzerResult,
    Chart,
    Color,
    Component,
    HistoryAnalyzer,
    RunHistory,
    Series,
    best_of,
    hookimpl,
    wilson_interval,
)

Lines = Sequence[Mapping[str, Any]]
Points = tuple[list[float], list[float]]
TITLE = "Training curves"
SMOOTH_FROM = 150
"""Curves with more points than this are drawn pale, with their running mean over them."""
NAMES = {"val": "validation", "test": "test"}


class Curves(HistoryAnalyzer):
    """Loss and accuracy, the learning rate and momentum as planned and as run, the gradient's norm, and throughput.

    Training values are means over the steps since the last line, those of the test (or validation) set of each epoch.
    """

    def build(self, run: RunHistory) -> AnalyzerResult:
        steps = [line for line in run.metrics if line["kind"] == "step"]
        epochs = run.epochs
        if not steps and not epochs:
            return AnalyzerResult(TITLE, notes=("No step was logged yet, so there is no curve to draw.",))
        held_out = next((split for split in NAMES if any(f"{split}/acc" in line for line in epochs)), "test")
        charts = [
            *learning(steps, epochs, held_out, images_of(run, NAMES[held_out])),
            *schedule(run, steps or epochs),
            gradient(steps),
            throughput([line for line in run.timing if "images_per_s" in line]),
        ]
        return AnalyzerResult(TITLE, figures=tuple(chart for chart in charts if chart is not None))


def points(lines: Lines, key: str) -> Points:
    """Return a metric's epochs and values, where it was written and finite."""
    found = [(line["epoch"], line[key]) for line in lines if line.get(key) is not None and isfinite(line[key])]
    return [epoch for epoch, _ in found], [value for _, value in found]


def curve(name: str, found: Points, color: Color) -> list[Series]:
    """Return a curve: as it is if it has few points, a running mean over its pale values if it has many."""
    import numpy as np

    x, y = found
    if len(x) <= SMOOTH_FROM:
        return [Series(name, x, y, color)] if x else []
    window = len(x) // 50
    mean = np.convolve(y, np.ones(window) / window, mode="valid").tolist()
    smooth = Series(f"{name}, running mean", x[window // 2 :][: len(mean)], mean, color)
    return [Series(f"{name}, as logged", x, y, color, pale=True), smooth]


def images_of(run: RunHistory, part: str) -> int:
    """Return how many images a part of the data has, 0 where the run does not say."""
    file = run.folder / "data.json"
    counts = json.loads(file.read_text()).get("class_counts", {}) if file.is_file() else {}
    return sum(counts.get(part, ()))


def sure(line: Series, images: int) -> Series:
    """Return a curve of accuracies on so many images with their intervals."""
    ends = [wilson_interval(round(share * images), images) for share in line.y if share is not None]
    return replace(line, low=[low for low, _ in ends], high=[high for _, high in ends])


def learning(steps: Lines, epochs: Lines, held_out: str, images: int) -> Iterable[Chart | None]:
    """Yield loss and accuracy: the training's per step, and both sets' per epoch. images: in the held-out set."""
    name = NAMES[held_out]
    for metric, title, unit in (("loss", "Loss", "cross-entropy"), ("acc", "Accuracy", "accuracy (%)")):
        percent = metric == "acc"
        train, held = points(epochs, f"train/{metric}"), points(epochs, f"{held_out}/{metric}")
        known, band = curve(name, held, "orange"), ""
        if percent and images and len(known) == 1:  # a running mean has no interval of its own
            known = [sure(known[0], images)]
            band = f" The band is the 95 % interval of {images:,} images (Wilson)."
        yield chart(
            f"{metric}_epochs",
            f"{title} per epoch: training and {name}",
            unit,
            [*curve("training", train, "blue"), *known],
            "Training values are measured on augmented images while the weights change; the distance between the "
            f"curves is what does not carry over to the {name} set.{band}{best(held, name, percent)}",
            percent=percent,
        )
        yield chart(
            f"{metric}_steps",
            f"Training {title.lower()} per step",
            unit,
            curve("training", points(steps, f"train/{metric}"), "blue"),
            "On the training batches, while the network learns: a mean over the steps since the point before.",
            percent=percent,
        )


def best(held: Points, name: str, percent: bool) -> str:
    """Say which epoch was the best on the held-out set."""
    found = best_of(zip(*held, strict=True), lambda point: point[1], "max" if percent else "min")
    if found is None:
        return ""
    epoch, value = found
    said = f"accuracy was {100 * value:.2f} %" if percent else f"loss was {value:.4f}"
    return f" The best {name} {said}, in epoch {epoch:g}."


def schedule(run: RunHistory, lines: Lines) -> Iterable[Chart | None]:
    """Yield the learning rate and the momentum, as planned and as run."""
    plan = run.plan
    for key, title, planned in (
        ("lr", "Learning rate", plan.lrs if plan else ()),
        ("momentum", "Momentum", plan.momenta if plan else ()),
    ):
        x, y = points(lines, key)
        if key == "momentum" and len({*y, *planned}) < 2:
            continue
        series = [Series("as run", x, y, "green")] if x else []
        if plan and planned:  # last, so that it lies on top of a run that kept to it
            series.append(Series("as planned", plan.epochs, planned, "orange", dashed=True))
        caption = f"The {title.lower()} that each optimizer step used, over what the schedule planned before the first."
        yield chart(key, title, title.lower(), series, caption)


def gradient(steps: Lines) -> Chart | None:
    """Return the norm of the whole gradient."""
    caption = (
        "The L2 norm of the whole gradient at the logged steps, before any clipping. A norm that grows by orders of "
        "magnitude precedes a loss that diverges; clip a little above its usual height (train.clip_grad_norm)."
    )
    series = curve("gradient", points(steps, "train/grad_norm"), "purple")
    return chart("grad_norm", "Gradient norm", "L2 norm (log scale)", series, caption, y_log=True)


def throughput(timing: Lines) -> Chart | None:
    """Return the images per second of the training."""
    caption = "Training images per second of wall time, evaluation left out. Dips are other work, or slow data."
    series = curve("training", points(timing, "images_per_s"), "sky")
    top = max((value for each in series for value in each.y if value is not None), default=1.0)
    return chart("throughput", "Throughput", "images/s", series, caption, y_range=(0.0, 1.08 * top))


def chart(name: str, title: str, unit: str, series: list[Series], caption: str, **more: Any) -> Chart | None:
    """Return a chart over the epochs, None if there is nothing to draw."""
    return Chart(name, title, "epoch", unit, series, caption, **more) if series else None


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"curves": Curves}
