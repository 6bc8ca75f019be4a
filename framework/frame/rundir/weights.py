"""What a run keeps of its model: weights, the facts about the data it is for, and its answers on the test set."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from ..api.data import DataInfo, DataSplits, Predictions
from ..errors import UserError
from .folder import RunDir, write_json
from .jsonfile import checked, damaged, read_json, small_enough

if TYPE_CHECKING:
    from torch import nn


def save_info(folder: RunDir, data: DataSplits) -> None:
    """Write what a model needs to know of the data: with it, it can be built without them; and the images a class."""
    import numpy as np

    parts = {"training": data.train, "validation": data.validation, "test": data.test}
    counts = {
        name: np.bincount(part.targets, minlength=len(data.classes)).tolist() for name, part in parts.items() if part
    }
    write_json(folder.data_info, asdict(data.info) | {"class_counts": counts})


def read_info(folder: RunDir) -> DataInfo:
    """Return what `save_info` wrote. Raises UserError where it is missing or damaged."""
    info: DataInfo = read_json(folder.data_info, DataInfo)
    return info


def read_classes(folder: RunDir) -> list[str]:
    """Return the class names that stand beside the weights. Raises UserError where they are damaged."""
    try:
        with safe_open(folder.weights, framework="numpy") as file:
            written = (file.metadata() or {})["classes"]
        return list(checked(json.loads(written), folder.weights, list[str]))
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise damaged(folder.weights, error) from error


def read_predictions(folder: RunDir, classes: int) -> Predictions:
    """Return the run's answers on its test set. Raises UserError where they are damaged."""
    import numpy as np
    from safetensors.numpy import load_file

    try:
        arrays: dict[str, Any] = load_file(small_enough(folder.predictions))
    except (OSError, SafetensorError, ValueError) as error:
        raise damaged(folder.predictions, error) from error
    found = Predictions(*(arrays.get(name, np.empty(())) for name in ("logits", "targets", "losses")))
    count = found.targets.size
    shapes = found.logits.shape, found.targets.shape, found.losses.shape
    if shapes != ((count, classes), (count,), (count,)) or found.logits.dtype.kind != "f":
        raise damaged(folder.predictions, f"no logits of {classes} classes for each target")
    if count and not 0 <= found.targets.min() <= found.targets.max() < classes:
        raise damaged(folder.predictions, f"targets that are none of {classes} classes")
    return found


def load_weights(folder: RunDir, model: nn.Module) -> None:
    """Put the kept weights into the model. Raises UserError where there are none, or others than the model has."""
    from safetensors.torch import load_file

    if not folder.weights.is_file():
        state = folder.read_record()["state"]
        message = f"{folder.path} is {state} and has no model yet; frame resume {folder.path} goes on"
        raise UserError(message, "wrong-state")
    try:
        model.load_state_dict(load_file(small_enough(folder.weights)))
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise damaged(folder.weights, error) from error
