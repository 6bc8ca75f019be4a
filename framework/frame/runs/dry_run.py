"""A rehearsal: the whole run on one batch, in a folder that is thrown away."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ..api.data import DataSplits, Split, take
from ..api.layers import layer_table, layers_of
from ..compute.randomness import epoch_order, seed_everything
from ..console import Console
from ..console.events import DryRunEnd
from ..errors import RunFailed
from ..recipe.load import Loaded
from ..recipe.recipe import Recipe
from ..recipe.saved import as_yaml
from ..rundir.new import NewRun
from ..training.build import build, load_data
from .start import start
from .told import describe

STAND_IN_LR = 1e-3
"""Takes the place of `auto`: the finder is not run."""


def dry_run(loaded: Loaded, console: Console) -> None:
    """Print what the recipe comes to, then train, evaluate and analyze one batch. Nothing is left behind.

    Raises what the run itself would raise, and RunFailed when an analyzer or a tracker fails.
    """
    recipe = loaded.recipe
    console.say(as_yaml(recipe.shown()))
    data = load_data(recipe)
    seed_everything(recipe.seed)
    parts = build(recipe, data)
    describe(parts, console)
    image = torch.zeros(1, data.info.channels, *data.info.size, device=parts.backend.device)
    console.say(layer_table(layers_of(parts.model, image)))
    with tempfile.TemporaryDirectory(prefix="frame-dry-run-") as folder:
        quiet = Console()
        quiet.out.quiet = True
        short = replace(loaded, recipe=_short(recipe))
        outcome = start(short, NewRun(Path(folder), passing=True), quiet, data=_one_batch(data, recipe))
    if outcome.failed_analyzers:
        text = f"{outcome.failed_analyzers} of {len(recipe.analyzers)} analyzers failed on one batch"
        raise RunFailed(text, "analyzers-failed")
    told = DryRunEnd(event="dry_run_end", parameters=parts.parameters, analyzers=len(recipe.analyzers))
    console.tell(told)
    console.say(f"dry run: one batch went through training, evaluation and {len(recipe.analyzers)} analyzers")


def _short(recipe: Recipe) -> Recipe:
    """Return the recipe for one epoch of one batch, without LR finder and trackers; no plugin is kept."""
    train = recipe.train.model_copy(update={"epochs": 1, "accumulate": 1, "log_every": 1})
    data = recipe.data.model_copy(update={"drop_last": False})
    short = recipe.with_lr(STAND_IN_LR).without("lr_finder", "trackers")
    return replace(short, train=train, data=data, plugins=())


def _one_batch(data: DataSplits, recipe: Recipe) -> DataSplits:
    def part(split: Split, size: int) -> Split:
        return take(split, np.sort(epoch_order(recipe.seed, 0, len(split))[:size]))

    validation = part(data.validation, recipe.data.eval_batch_size) if data.validation else None
    return replace(
        data,
        train=part(data.train, recipe.data.batch_size),
        test=part(data.test, recipe.data.eval_batch_size),
        validation=validation,
    )
