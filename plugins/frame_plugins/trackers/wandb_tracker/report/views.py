"""A saved view of a project's workspace, with the runs of a report and their main panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr

from . import panels
from .comparing import repeats
from .runs import ReportedRun
from .sweeps import Sweep

if TYPE_CHECKING:
    from .shapes import Site

COLUMNS = ["run:displayName", "summary:test_accuracy", "config:seed.value", "config:data.value.use",
           "config:model.value.use"]  # fmt: skip
"""Of the table of runs, in front."""


def save(runs: Sequence[ReportedRun], sweep: Sweep | None, site: Site, before: str | None) -> str:
    """Save a view and return its URL. before: of the one that is changed."""
    banded = len(runs) > 1 and len(repeats(runs)) == 1
    names = ", ".join(dict.fromkeys(run.name for run in runs))
    name = f"Sweep {sweep.name}" if sweep else f"{names}: {len(runs)} run{'s' * (len(runs) > 1)}"
    view = ws.Workspace.from_url(before) if before else ws.Workspace(entity=site.entity, project=site.project)
    view.name = name
    plots, _ = panels.curves(runs, banded=banded)
    view.sections = [
        ws.Section(name="Results", panels=_results(runs, sweep), is_open=True, pinned=True),
        ws.Section(name="Curves", panels=[*plots], is_open=True),
    ]
    view.runset_settings = ws.RunsetSettings(
        filters=f"Metric('ID') in {[run.id for run in runs]}",
        groupby=[expr.Config("name")] if banded else [],
        pinned_columns=list(COLUMNS),
    )
    view.settings.max_runs = min(len(runs), panels.MOST_RUNS)
    return str(view.save().url)


def _results(runs: Sequence[ReportedRun], sweep: Sweep | None) -> list[Any]:
    if sweep is None:
        return [panels.bars("Test accuracy", panels.ACCURACY, len(runs))]
    best = sweep.best_run(runs)
    key = panels.summary_key(sweep.metric, last=bool(best and best.keeps_last))
    return [panels.parallel(sweep, key), panels.importance(key), panels.bars(sweep.metric, key, len(runs))]
