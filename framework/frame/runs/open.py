"""Runs in Python, as a notebook has them: run a recipe, open a run's folder, and ask it for what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from ..api.data import DataInfo, Predictions
from ..compute.randomness import rng_untouched
from ..console import Console
from ..errors import Problem, UserError, refuse
from ..nested import leaves
from ..recipe.load import Loaded, load_recipe
from ..recipe.source import COMMAND_LINE
from ..recipe.yaml_text import dotted
from ..rundir.folder import RunDir, open_run
from ..rundir.history import read_lines
from ..rundir.new import NewRun
from ..rundir.weights import load_weights, read_info, read_predictions
from ..training.build import Network, build_network
from ..training.faults import faults_explained
from .start import start

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Run:
    """A run's folder, each part of it read when it is asked for. Made by `load_run` and `run`."""

    path: Path
    loaded: Loaded = field(repr=False)

    @property
    def folder(self) -> RunDir:
        return RunDir(self.path)

    @property
    def record(self) -> dict[str, Any]:
        """What run.json says: state, best value, test accuracy, duration, ... Raises UserError where it is damaged."""
        return self.folder.read_record()

    @property
    def recipe(self) -> dict[str, Any]:
        """Every value that was used, the found learning rate included."""
        return self.loaded.recipe.values()

    @property
    def metrics(self) -> DataFrame:
        """The lines of metrics.jsonl, a row each: `kind` is `epoch` or `step`. Needs pandas (extra `notebook`)."""
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise UserError(
                "the metrics become a DataFrame by pandas, which is not installed: pip install 'frame-train[notebook]'",
                "missing-package",
            ) from error
        return pandas.DataFrame(read_lines(self.folder.metrics))

    @cached_property
    def info(self) -> DataInfo:
        """What the model knows of the run's data: classes, shape, mean and standard deviation."""
        return read_info(self.folder)

    def model(self) -> nn.Module:
        """Return the kept model, in eval mode, on the recipe's device: images (N, C, H, W) -> logits (N, classes).

        It is built from the resolved recipe; the data is not needed. Raises UserError where no model was kept yet.
        """
        return self.network().model

    def network(self) -> Network:
        """Return the kept model with all that an image passes through on its way to an answer."""
        recipe = self.loaded.recipe
        with rng_untouched(), faults_explained(recipe):
            network = build_network(recipe, self.info)
            load_weights(self.folder, network.model)
        network.model.eval()
        return network

    def predictions(self) -> Predictions:
        """Return what the kept model answered on the test set. Raises UserError where it did not come to that."""
        return read_predictions(self.folder, self.info.num_classes)


def load_run(path: str | Path, *, trust: bool = False) -> Run:
    """Open a run's folder.

    trust: load the plugins of its recipe whoever made the run. Raises UserError for what is no run, or is damaged.
    """
    return open_changed(Path(path), trust=trust)


def open_changed(path: Path, overrides: Sequence[str] = (), *, trust: bool = False) -> Run:
    """Open a run's folder as if its recipe had other values: `key=value` each."""
    folder = open_run(path)
    if not folder.recipe.is_file():
        raise UserError(f"{path} stopped before anything was saved; there is nothing to look at", "wrong-state")
    return Run(folder.path, load_recipe(str(folder.recipe), overrides, trust=trust))


def refuse_others(overrides: Sequence[str], *allowed: str) -> None:
    """Raise UserError for overrides whose keys do not begin as one of the allowed ones."""
    message = f"cannot be changed any more: the run has been made; only {', '.join(allowed)} can"
    keys = [text.partition("=")[0] for text in overrides if not text.startswith(allowed)]
    refuse(Problem(message, key, COMMAND_LINE, code="bad-override") for key in keys)


def run(
    recipe: str | Path, overrides: Mapping[str, Any] | None = None, *, out: str | Path = "runs", trust: bool = False,
    **sections: Any,
) -> Run:  # fmt: skip
    """Train a recipe, a file or the name of a shipped one, as `frame run` does, and return the finished run.

    overrides: values by their keys, as in `{"train.epochs": 5}`. sections: the same by name, `seed=3,
    train={"epochs": 5}`. Raises UserError, RunFailed, or Interrupted after Ctrl-C.
    """
    # What is no section is put in its place; sections are changed where they differ, not replaced.
    given = leaves({**(overrides or {}), **sections}, lambda _, value: not isinstance(value, Mapping))
    texts = [f"{dotted(key)}={json.dumps(value)}" for key, value in given if not isinstance(value, Mapping)]
    loaded = load_recipe(str(recipe), texts, trust=trust)
    console = Console()
    for warning in loaded.warnings:
        console.warn(str(warning))
    return load_run(start(loaded, NewRun(Path(out)), console).folder, trust=trust)
