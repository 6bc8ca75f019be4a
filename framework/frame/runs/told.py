"""What a run says of itself: what it trains with before it begins, and what it came to."""

from __future__ import annotations

from ..console import Console
from ..input.data_checks import lacking
from ..recipe.recipe import Recipe
from ..rundir.record import Best
from ..training.build import Parts


def describe(parts: Parts, console: Console) -> None:
    """Say on what, with what and how long the run trains."""
    data, steps = parts.data, parts.steps
    validation = f", {len(data.validation):,} validation" if data.validation else ""
    console.say(f"device    {parts.backend.describe()}")
    images = f"{len(data.train):,} training{validation}, {len(data.test):,} test images"
    console.say(f"data      {parts.recipe.dataset.use}: {images}, {len(data.classes)} classes")
    if data.train_sizes:
        sizes = ", ".join("{}x{}".format(*size) for size in data.train_sizes)
        console.say("size      {} in training, {}x{} at evaluation (height x width)".format(sizes, *data.info.size))
    for omission in data.left_out:
        console.say(f"left out  {omission}")
    for classes in lacking(data):
        console.say(f"lacks     {classes}")
    console.say(f"model     {parts.recipe.model.use}: {parts.parameters:,} parameters")
    console.say(f"steps     {steps.per_epoch:,} an epoch, {steps.total:,} in {steps.epochs} epochs")


def say_result(accuracy: float, best: Best | None, kept: str, recipe: Recipe, console: Console) -> None:
    """Say which epoch is the best, and how good the kept model is on the test set. kept: which that is, in words."""
    console.say(
        f"best      {best['metric']} {best['value']:.4f} at epoch {best['epoch']}"
        if best
        else f"best      none: no epoch's {recipe.monitor} was a finite number; the last is kept"
    )
    without = ", without a mistake" if accuracy == 1 else ""
    console.say(f"result    test accuracy {accuracy:.2%}{without} ({kept})")
