"""A run at a glance: what was trained with what, how good it is and how sure that is, and a verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..api.ranking import number
from ..api.shares import wilson_interval
from ..rundir.record import Record
from .images import SavedPredictions

GAP = 0.05
"""An accuracy that is so much higher on the training images than on others is called overfitting."""
STILL_FALLING = 0.05
"""The held-out loss is called still falling if the last epoch, its lowest, took so large a share of it."""

Lines = Sequence[Mapping[str, Any]]


def at_a_glance(
    values: Mapping[str, Any],
    record: Record,
    rates: Sequence[float],
    predictions: SavedPredictions | None,
    epochs: Lines,
    timing: Lines,
) -> dict[str, Any]:
    """Return what the head of the page says. values: the resolved recipe; rates: the planned learning rates."""
    found = {"setup": setup(values, record.get("parameters"), rates), "speed": speed(timing)}
    if predictions is None:
        return found | {"interval": None, "verdict": ""}
    images = len(predictions.targets)
    return found | {
        "interval": wilson_interval(images - predictions.mistakes, images), "verdict": verdict(predictions, epochs),
    }  # fmt: skip


def setup(values: Mapping[str, Any], parameters: int | None, rates: Sequence[float]) -> dict[str, tuple[str, str]]:
    """Return what the recipe trains with: model, optimizer, each with a word on it.

    values: the resolved recipe. rates: the planned learning rates.
    """
    uses = {
        name: str(section["use"])
        for name in ("model", "optimizer", "scheduler")
        if isinstance(section := values.get(name), Mapping) and "use" in section
    }
    rate = f"learning rate {'up to ' if len({*rates}) > 1 else ''}{max(rates):.3g}" if rates else ""
    found = {}
    if "model" in uses:
        found["Model"] = (uses["model"], "" if parameters is None else f"{parameters:,} parameters")
    if "optimizer" in uses:
        found["Optimizer"] = (uses["optimizer"], ", ".join(filter(None, [uses.get("scheduler"), rate])))
    return found


def speed(timing: Lines) -> float | None:
    """Return the training images a second: the median of what was logged."""
    rates = [rate for line in timing if (rate := number(line.get("images_per_s"))) is not None]
    return float(np.median(rates)) if rates else None


def verdict(predictions: SavedPredictions, epochs: Lines) -> str:
    """Return in a sentence or two what became of a run that has its test answers."""
    images = len(predictions.targets)
    right = images - predictions.mistakes
    low, high = wilson_interval(right, images)
    most_frequent = int(np.bincount(predictions.targets).max())
    if low <= most_frequent / images:
        return (
            f"{right:,} of {images:,} test images are right, which may be chance: always naming the most frequent "
            f"class would get {most_frequent:,}."
        )
    first = f"{right:,} of {images:,} test images are right"
    course = _course(epochs) if predictions.mistakes else ""  # of a run without a mistake there is no more to want
    return f"{first}; of all images like them, {100 * low:.1f} to {100 * high:.1f} %. {course}".strip()


def _course(epochs: Lines) -> str:
    """Say what the last epochs tell of fit and length; nothing where an epoch lacks a number."""
    name, held = ("validation", "val") if epochs and "val/acc" in epochs[-1] else ("test", "test")
    losses = [number(line.get(f"{held}/loss")) for line in epochs]
    known = [loss for loss in losses if loss is not None]
    train, other = (number(epochs[-1].get(f"{part}/acc")) if epochs else None for part in ("train", held))
    if train is None or other is None or len(known) < len(losses):
        return ""
    if train - other > GAP:
        shares = f"{100 * train:.1f} % of the training images right, {100 * other:.1f} % of the {name} set"
        return f"It overfits: in the last epoch it got {shares}."
    if len(known) > 1 and known[-1] == min(known) and known[-1] < (1 - STILL_FALLING) * known[-2]:
        return f"The {name} loss was still falling: longer training may help."
    return f"Training and {name} accuracy are close together at the end."
