"""The collection of models that a run's belongs to, and the alias of its best, which no run moves by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import wandb

from frame import best_of, mode_of

from .naming import UNSAFE, place

PAGE = 200
"""Versions in one answer of W&B's."""


@dataclass(frozen=True)
class Models:
    """Models that can be compared: of one dataset, by one metric. collection: their artifact's name at W&B.

    metric: None for runs in which it never was a number, whose models no alias compares. mode: `max` or `min`.
    """

    collection: str
    metric: str | None
    mode: Literal["max", "min"]

    @property
    def alias(self) -> str | None:
        """What the best of all of them is called, such as `best-val-acc`."""
        return f"best-{UNSAFE.sub('-', self.metric)}" if self.metric else None


def models_of(data: str, checksum: str, metric: str | None, mode: Literal["max", "min"] | None) -> Models:
    """Return the models of a dataset that `metric` chose. mode: the recipe's, None for the metric's own."""
    name = UNSAFE.sub("-", "-".join(filter(None, (data, checksum[:8], metric or "model"))))
    return Models(name, metric, mode or mode_of(metric or ""))


def noted(folder: Path) -> Models | None:
    """Return the models that a run's belongs to, None of a run that has left none."""
    found = place(folder).get("models")
    return Models(**found) if found else None


def mark_best(api: wandb.Api, path: str, folders: Sequence[Path]) -> list[str]:
    """Have `best-<metric>` name the best of all models in the collections of these runs; return a sentence for each.

    path: `entity/project`. All versions there are compared, and of equals the first stays, so that a second call
    changes nothing and one after two at the same moment puts it right. Raises what W&B's API raises.
    """
    said = []
    for models in dict.fromkeys(found for folder in folders if (found := noted(folder)) and found.metric):
        best = _best(api, f"{path}/{models.collection}", models)
        if best is None or models.alias is None:
            continue
        if models.alias not in best.aliases:
            best.aliases = [*best.aliases, models.alias]
            best.save()
        value = best.metadata["best"]["value"]
        said.append(f"{models.collection}:{models.alias} is of the run {best.metadata.get('run')}, {value:.4g}")
    return said


def _best(api: wandb.Api, name: str, models: Models) -> wandb.Artifact | None:
    """Return the best version of a collection, None where there is none with a value."""
    try:
        versions = list(api.artifacts("model", name, per_page=PAGE))
    except ValueError:  # what it raises for a collection that is not there
        return None
    versions.sort(key=lambda version: int(version.source_version.removeprefix("v")))
    return best_of(versions, lambda version: _value(version.metadata, models.metric), models.mode)


def _value(metadata: Mapping[str, Any], metric: str | None) -> float | None:
    """Return a version's value of the metric, None where it is not the model of its run's best epoch."""
    best = metadata.get("best") or {}
    of_best = best.get("metric") == metric and best.get("epoch") == metadata.get("epoch")
    value = best.get("value") if of_best else None
    return value if isinstance(value, int | float) else None
