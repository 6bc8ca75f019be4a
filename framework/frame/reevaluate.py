"""A finished run's model on a test set: its own, or another of the same classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .build import load_data
from .data import DataInfo, DataSplits, Split
from .engine import evaluate
from .errors import UserError
from .faults import faults_explained
from .finished import Run

NAMED_CLASSES = 5


def measure(run: Run) -> dict[str, float]:
    """Return the loss and accuracy of the kept model on the test set of the run's recipe, and its number of images.

    Pixels are normalised as in training, whatever the mean of this data is. Raises UserError where the data has other
    classes than the model.
    """
    network = run.network()
    recipe = run.loaded.recipe
    whole = replace(recipe, data=recipe.data.model_copy(update={"validation": None}))
    with faults_explained(recipe):
        split = with_classes_of(run.info, load_data(whole))
        pipeline = network.evaluation(split)
        found = evaluate(network.model, pipeline, network.loss, network.answer, network.backend, "test")
    return {"images": len(split), "loss": found["test/loss"], "accuracy": found["test/acc"]}


def with_classes_of(info: DataInfo, data: DataSplits) -> Split:
    """Return the data's test split, its targets numbered as the model numbers the classes of these names."""
    lacks = [name for name in info.classes if name not in data.classes]
    unknown = [name for name in data.classes if name not in info.classes]
    parts = [f"it lacks {_named(lacks)}"] if lacks else []
    parts += [f"the model does not know {_named(unknown)}"] if unknown else []
    if parts:
        raise UserError(f"data: has other classes than the run: {'; '.join(parts)}")
    numbers = np.array([info.classes.index(name) for name in data.classes], dtype=np.int64)
    return replace(data.test, targets=numbers[data.test.targets])


def _named(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - NAMED_CLASSES} more" if len(classes) > NAMED_CLASSES else ""
    return ", ".join(f"'{name}'" for name in classes[:NAMED_CLASSES]) + more
