"""Analyzers on a finished run, again or for the first time, without training."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path

from ..analysis.after_training import analysis_run
from ..analysis.analyze import analyze
from ..api.data import DataInfo, DataSplits
from ..compute.randomness import seed_everything
from ..console import Console, duration
from ..errors import UserError
from ..recipe.recipe import unique_names
from ..recipe.saved import keep_plugins, save_recipe
from ..report import write_report
from ..rundir.folder import RunDir, open_run
from ..rundir.weights import load_weights
from ..training.build import build, load_data
from ..training.faults import faults_explained
from ..training.trackers import Trackers
from .open import Run, open_changed, refuse_others


def reanalyze(
    path: Path, wanted: Sequence[str], console: Console, device: Sequence[str] = (), *, trust: bool = False
) -> int:
    """Run analyzers on a finished run, write its report again, and return how many of them failed.

    wanted: names of the run's analyzers, of others, which are added to its recipe, and `analyzers.N.key=value`; without
    any, all of the run's analyzers. device: the override that chooses one. Raises UserError.
    """
    overrides = [text for text in wanted if "=" in text]
    refuse_others(overrides, "analyzers.", "data.root")
    folder = open_run(path)
    with folder.locked():
        run, changes, chosen = _choose(path, [text for text in wanted if "=" not in text], overrides, trust=trust)
        if not chosen:
            raise UserError(f"{path} was run without analyzers; name some: frame analyze {path} confusion")
        with faults_explained(run.loaded.recipe, folder.path):
            console.log = folder.log
            failed = _analyze(folder, open_changed(path, [*changes, *device], trust=trust), chosen, console)
            if changes:
                if trust:
                    keep_plugins(folder, run.loaded.recipe, console.warn)
                save_recipe(folder, run.loaded.recipe)
            folder.update_record(failed_analyzers=len(list(folder.analysis.glob("*/error.txt"))))
            for what in write_report(folder):
                console.warn(f"left out of the report: {what}")
            console.say(f"report    {folder.report}")
    return failed


def _choose(
    path: Path, names: Sequence[str], overrides: Sequence[str], *, trust: bool
) -> tuple[Run, list[str], Collection[str]]:
    """Return the run as its recipe is to be, the overrides that make it so, and the names of the analyzers to run."""
    run = open_changed(path, overrides, trust=trust)
    known = [name for name, _ in unique_names(run.loaded.recipe.analyzers)]
    new = [name for name in dict.fromkeys(names) if name not in known]
    changes = [*overrides, *(f"analyzers.{number}.use={name}" for number, name in enumerate(new, len(known)))]
    if new:
        run = open_changed(path, changes, trust=trust)
    keys = [text.partition("=")[0].split(".") for text in overrides]
    touched = {int(key[1]) for key in keys if key[0] == "analyzers"}
    chosen = {*names, *(name for number, name in enumerate(known) if number in touched)}
    return run, changes, chosen or known


def _analyze(folder: RunDir, run: Run, chosen: Collection[str], console: Console) -> int:
    """Build the run's parts again, its weights in its model, and run the chosen analyzers on its own predictions."""
    recipe, since = run.loaded.recipe, time.monotonic()
    data = load_data(recipe)
    _refuse_other_data(run.info, data)
    seed_everything(recipe.seed)
    parts = build(recipe, data, fresh=False)
    load_weights(folder, parts.model)
    view = analysis_run(parts.model, parts, folder, run.predictions())
    told = Trackers(console.warn).log_result  # none: they were told of the run when it was one
    failed = analyze(recipe.analyzers, view, folder.analysis, console, told, chosen)
    console.say(f"analyzed  {len(chosen) - failed} of {len(chosen)} analyzers in {duration(time.monotonic() - since)}")
    return failed


def _refuse_other_data(info: DataInfo, data: DataSplits) -> None:
    if data.checksum != info.checksum:
        raise UserError(
            "data: is not what it was when the run was made: its checksum is another; name the folder that has the "
            "run's data, data.root=FOLDER, or measure the model on this with frame evaluate",
            "not-the-same-run",
        )
