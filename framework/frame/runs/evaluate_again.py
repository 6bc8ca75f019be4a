"""A finished run's model on a test set: its own, or another of the same classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..api.data import DataInfo, DataSplits, Split, without_images
from ..errors import UserError
from ..input.data_checks import named
from ..training.build import load_data
from ..training.engine import evaluate
from ..training.faults import faults_explained
from .open import Run


def measure(run: Run, note: Callable[[str], None]) -> dict[str, Any]:
    """Return `loss` and `accuracy` of the kept model on the test set of the run's recipe, and what that has: how many
    `images`, and of which classes none (`lacks`).

    note: gets what is left out of the data, in words. Training images need not be readable. Pixels are normalised as in
    training, whatever the mean of this data is. Raises UserError where the data has other classes than the model.
    """
    network = run.network()
    recipe = run.loaded.recipe
    changes = {"validation": None, "unreadable": "skip", "size": run.info.size, "eval_size": run.info.size}
    background = recipe.data.background or run.info.mean_pixel  # the run's, not that of this data
    whole = replace(recipe, data=recipe.data.model_copy(update={**changes, "background": background}))
    with faults_explained(recipe):
        data = load_data(whole)
        split = with_classes_of(run.info, data)
        for omission in data.left_out:
            note(f"left out: {omission}")
        pipeline = network.evaluation(split)
        found = evaluate(network.model, pipeline, network.loss, network.forward, network.backend, "test")
    lacks = without_images(split.targets, run.info.classes)
    return {"images": len(split), "loss": found["test/loss"], "accuracy": found["test/acc"], "lacks": lacks}


def with_classes_of(info: DataInfo, data: DataSplits) -> Split:
    """Return the data's test split, its targets numbered as the model numbers the classes of these names."""
    lacks = [name for name in info.classes if name not in data.classes]
    unknown = [name for name in data.classes if name not in info.classes]
    parts = [f"it lacks {named(lacks)}"] if lacks else []
    parts += [f"the model does not know {named(unknown)}"] if unknown else []
    if parts:
        raise UserError(f"data: has other classes than the run: {'; '.join(parts)}")
    numbers = np.array([info.classes.index(name) for name in data.classes], dtype=np.int64)
    return replace(data.test, targets=numbers[data.test.targets])
