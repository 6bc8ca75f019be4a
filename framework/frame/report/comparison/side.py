"""One run of a comparison, read from its folder: what is missing or damaged is left out, and damage is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...api.contracts import is_epoch
from ...nested import Key, leaves
from ...recipe.yaml_text import dotted, read_yaml
from ...rundir.folder import RunDir
from ...rundir.history import checked_lines
from ...rundir.jsonfile import read_json
from ...rundir.record import Record
from ...secrets import fingerprint, hide_settings, known_secrets
from ..images import SavedPredictions
from ..shapes import Damaged


@dataclass(frozen=True)
class Graded:
    """The predictions on the test set, (N,) each. confidence: the probability of the answer; belief: of the target."""

    classes: list[str]
    targets: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    belief: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Whether each answer is."""
        return self.predicted == self.targets


@dataclass(frozen=True)
class Side:
    """One run. letter: what the comparison calls it. epochs: a line of metrics for each that is finished.

    recipe: the resolved recipe, `optimizer.lr` -> value; empty where there is none. predictions: None if not saved.
    environment: versions, device and the data's checksum, as far as they are known.
    """

    letter: str
    folder: RunDir
    record: Record
    state: str
    epochs: list[dict[str, Any]]
    recipe: dict[str, Any]
    predictions: Graded | None
    environment: dict[str, Any]

    @property
    def name(self) -> str:
        """How charts name it."""
        return f"{self.letter} {self.record['name']}"

    @property
    def checksum(self) -> str | None:
        """Which images the run had: train and test set together."""
        found = self.environment.get("data_checksum")
        return found if isinstance(found, str) and found else None


def read_side(letter: str, folder: RunDir, damaged: Damaged) -> Side:
    """Read one run. damaged: gets what could not be read. Raises UserError where run.json is damaged."""
    record: Record = read_json(folder.record, Record)
    return Side(
        letter=letter,
        folder=folder,
        record=record,
        state=folder.state(),
        epochs=damaged.without([], _epochs, folder),
        recipe=damaged.without({}, _recipe, folder),
        predictions=damaged.without(None, _graded, folder),
        environment=damaged.without({}, _environment, folder),
    )


def _epochs(folder: RunDir) -> list[dict[str, Any]]:
    return [line for line in checked_lines(folder.metrics) if is_epoch(line)]


def _recipe(folder: RunDir) -> dict[str, Any]:
    if not folder.recipe.is_file():
        return {}
    values = hide_settings(read_yaml(folder.recipe).values, known_secrets(), fingerprint)
    return {dotted(key): value for key, value in leaves(values, _is_one) if value not in ({}, [])}


def _graded(folder: RunDir) -> Graded | None:
    predictions = SavedPredictions.read(folder)
    if predictions is None:
        return None
    chances, targets = predictions.probabilities, predictions.targets
    belief = chances[np.arange(len(targets)), targets]
    return Graded(predictions.classes, targets, chances.argmax(1), chances.max(1), belief)


def _environment(folder: RunDir) -> dict[str, Any]:
    return dict(read_json(folder.environment, dict[str, Any])) if folder.environment.is_file() else {}


def _is_one(_: Key, value: Any) -> bool:
    """Tell whether this is a list of plain values, which count as one."""
    return isinstance(value, list) and not any(isinstance(child, Mapping | list) for child in value)
