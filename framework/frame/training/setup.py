"""From a run's parts to what trains it: optimizers, schedules, callbacks, trackers, and the job of the loop."""

from __future__ import annotations

import torch

from ..api.contracts import Callback, TrainingRun
from ..compute.interrupts import StopRequest
from ..console import Console
from ..recipe.identity import identity
from ..recipe.recipe import Recipe, unique_names
from ..rundir.folder import RunDir
from ..runs.lifecycle import report
from .build import Parts
from .culprit import blame
from .engine import Job
from .events import RunEvents, misspelt
from .meter import Meter
from .schedule_plan import plan_schedule, save_plan
from .trackers import Trackers


def assemble(
    parts: Parts, recipe: Recipe, folder: RunDir, trackers: Trackers, console: Console, stop: StopRequest,
    *, fresh: bool, resumed: bool,
) -> tuple[Job, RunEvents]:  # fmt: skip
    """Build what trains the model: optimizers, schedules, callbacks, trackers. fresh: from the beginning."""
    model, world = parts.model, parts.backend.world
    with blame("optimizer", recipe.optimizer):
        optimizers = list(recipe.optimizer.component.build(model))
    schedulers = []
    if recipe.scheduler:
        with blame("scheduler", recipe.scheduler):
            if fresh and world.first:
                save_plan(folder, plan_schedule(recipe.scheduler.component, optimizers[0], parts.steps))
            schedulers = [recipe.scheduler.component.build(optimizer, parts.steps) for optimizer in optimizers]
    run = TrainingRun(
        name=recipe.name,
        run_id=folder.run_id,
        folder=folder.path,
        recipe=recipe.shown(),
        data=parts.data.info,
        steps=parts.steps,
        model=model,
        eval_model=model,
        optimizers=optimizers,
        schedulers=schedulers,
        device=parts.backend.device,
        warn=console.warn,
        resumed=resumed,
        rank=world.rank,
    )
    callbacks: dict[str, Callback] = {}
    for name, named in unique_names(recipe.callbacks):
        with blame("callback", named):
            callbacks[name] = named.component.build(run)
        for text in misspelt(callbacks[name]):
            console.warn(f"callback '{name}' {text}")
    job = Job(
        run=run,
        loss=parts.loss,
        answer=parts.answer,
        training=parts.training,
        watched=parts.watched,
        watched_name=recipe.watched,
        backend=parts.backend,
        scaler=torch.amp.GradScaler(parts.backend.device.type, enabled=parts.backend.precision == "fp16"),
        clip_grad_norm=recipe.train.clip_grad_norm,
        log_every=recipe.train.log_every,
        culprits={name: blame(name, getattr(recipe, name)) for name in ("model", "optimizer", "scheduler")},
        meter=Meter(world),
    )
    trackers.start(recipe.trackers if world.first else (), run)

    def page() -> None:
        report(folder, recipe, console, "running")

    same = identity(recipe, parts.data)
    return job, RunEvents(folder, recipe, same, callbacks, trackers, console, stop, page, world)
