"""A run as a report tells of it, read from its folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from frame import UserError, hide_settings, known_secrets, mode_of

SEGMENT = re.compile(r"(?:offline-)?run-\d{8}_\d{6}-(.+)")
"""A folder that wandb makes for each session of a run, and the run's id in its name."""
SHOWN_OF_CHECKSUM = 8
"""Digits that tell one set of data from another."""
NO_MATTER = ("name", "seed", "trackers", "data.root")
"""Settings that do not tell one recipe from another."""


@dataclass(frozen=True)
class ReportedRun:
    """What a run's folder says. id: of the run at W&B. recipe: the resolved one, without its secrets."""

    folder: Path
    id: str
    record: Mapping[str, Any]
    recipe: Mapping[str, Any]
    environment: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.record["name"])

    @property
    def seed(self) -> str:
        return str(self.recipe.get("seed", ""))

    @property
    def data(self) -> str:
        """The dataset and the beginning of its checksum, which tells whether two runs had the same images."""
        checksum = str(self.environment.get("data_checksum") or "")[:SHOWN_OF_CHECKSUM]
        return self._use("data") + (f" ({checksum})" if checksum else "")

    @property
    def model(self) -> str:
        parameters = self.record.get("parameters")
        return self._use("model") + (f", {parameters:,} parameters" if parameters else "")

    @property
    def metric(self) -> str:
        """What it monitored: the best epoch is the best by this metric."""
        best, monitor = self.record.get("best"), (self.recipe.get("checkpoint") or {}).get("monitor")
        return str(best["metric"] if best else monitor or f"{self.record.get('watched', 'test')}/acc")

    @property
    def mode(self) -> Literal["max", "min"]:
        return (self.recipe.get("checkpoint") or {}).get("mode") or mode_of(self.metric)

    @property
    def value(self) -> float | None:
        """The metric in the best epoch."""
        return (self.record.get("best") or {}).get("value")

    @property
    def accuracy(self) -> float | None:
        """On the test set, by the weights that were kept: a share."""
        return self.record.get("test_accuracy")

    @property
    def keeps_last(self) -> bool:
        """Whether it keeps the last epoch's weights, not the best one's."""
        return str(self.record.get("kept", "")).endswith("the last")

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe by dotted keys, without what the LR finder found: that is no setting."""
        left_out = (*NO_MATTER, *(self.record.get("recipe") or {}).get("found", ()))
        inside = tuple(f"{key}." for key in left_out)
        return {key: one for key, one in flat(self.recipe) if key not in left_out and not key.startswith(inside)}

    def _use(self, section: str) -> str:
        return str((self.recipe.get(section) or {}).get("use", ""))


def load(folder: Path) -> ReportedRun:
    """Read a run's folder. Raises UserError where W&B has not all of the run, as far as the folder knows."""
    recipe = yaml.safe_load((folder / "recipe.resolved.yaml").read_text())
    return ReportedRun(
        folder,
        uploaded_id(folder),
        read(folder / "run.json"),
        hide_settings(recipe, known_secrets()),
        read(folder / "environment.json"),
    )


def uploaded_id(folder: Path) -> str:
    """Return a run's id at W&B. Raises UserError where W&B has not all of it, as far as its folder knows."""
    segments = {path: match[1] for path in folder.glob("wandb/*run-*") if (match := SEGMENT.fullmatch(path.name))}
    if not segments:
        raise UserError(f"{folder} was never logged to W&B: nothing is there to report on")
    if any(path.name.startswith("offline-") and not any(path.glob("*.wandb.synced")) for path in segments):
        raise UserError(f"{folder} is not at W&B yet: upload it first with: frame sync {folder}")
    return segments[max(segments)]


def metrics(folder: Path) -> set[str]:
    """Return the names of all that a run logged, as the tracker has them."""
    steps = (f"perf/{key}" for line in lines(folder / "timing.jsonl") for key in line)
    return {key for line in lines(folder / "metrics.jsonl") for key in line}.union(steps)


def flat(values: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the values of nested mappings by dotted keys; a list is one value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def read(path: Path) -> dict[str, Any]:
    """Return a JSON file's values, none if there is no file. Raises UserError where it is damaged."""
    return _parse(path, path.read_text()) if path.is_file() else {}


def lines(path: Path) -> Iterable[dict[str, Any]]:
    """Yield the values of a JSON-lines file, without a last line cut short."""
    text = path.read_text() if path.is_file() else ""
    return [_parse(path, line) for line in text[: text.rfind("\n") + 1].splitlines()]


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: damaged: not a set of values")
    return values
