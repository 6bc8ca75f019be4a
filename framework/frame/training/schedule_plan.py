"""The schedule as planned: what learning rate and momentum every step will have, found out on a stand-in."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import asdict

import torch
from torch.optim import Optimizer
from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on

from ..api.components import SchedulerComponent
from ..api.contracts import SchedulePlan, momentum
from ..api.steps import Steps
from ..compute.randomness import rng_untouched
from ..rundir.folder import RunDir, write_json
from ..rundir.jsonfile import numbers, read_json

POINTS = 600
"""A plan of more steps than this is thinned out to about as many points."""


def plan_schedule(component: SchedulerComponent, optimizer: Optimizer, steps: Steps) -> SchedulePlan:
    """Step a schedule through a whole run. optimizer: one that no schedule has been built for; it is not touched."""
    stand_in = copy.copy(optimizer)
    stand_in.param_groups = [{**group, "params": [torch.zeros(1)]} for group in optimizer.param_groups]
    stand_in.state = defaultdict(dict)
    every = max(1, steps.total // POINTS)
    points: list[tuple[float, float, float | None]] = []
    with rng_untouched():
        scheduler = component.build(stand_in, steps)
        for step in range(1, steps.total + 1):
            group = stand_in.param_groups[0]
            if step % every == 0 or step in (1, steps.total):
                points.append((step / steps.per_epoch, float(group["lr"]), momentum(group)))
            stand_in.step()
            scheduler.step()
    epochs, lrs, momenta = zip(*points, strict=True)
    return SchedulePlan(epochs, lrs, momenta if None not in momenta else ())


def save_plan(folder: RunDir, plan: SchedulePlan) -> None:
    """Write the plan into the run's folder."""
    write_json(folder.schedule, asdict(plan))


def read_plan(folder: RunDir) -> SchedulePlan | None:
    """Return what `save_plan` wrote, None for a run without a schedule. Raises UserError where it is damaged."""
    if not folder.schedule.is_file():
        return None
    saved: _Saved = read_json(folder.schedule, _Saved)
    return SchedulePlan(saved["epochs"], numbers(saved["lrs"]), numbers(saved["momenta"]))


class _Saved(TypedDict):
    """schedule.json: null for what was not finite."""

    epochs: tuple[float, ...]
    lrs: tuple[float | None, ...]
    momenta: tuple[float | None, ...]
