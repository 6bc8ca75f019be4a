"""From a run's parts to what trains it: optimizers, schedules, callbacks, trackers, and the job of the loop."""

from __future__ import annotations

import torch

from ..api.contracts import Callback, TrainingRun
from ..recipe.identity import identity
from ..recipe.recipe import unique_names
from .build import Parts
from .culprit import blame
from .engine import Job
from .events import RunEvents, misspelt
from .meter import Meter
from .schedule_plan import plan_schedule, save_plan
from .session import Session


def assemble(parts: Parts, session: Session, *, fresh: bool, resumed: bool) -> tuple[Job, RunEvents]:
    """Build what trains the model: optimizers, schedules, callbacks, trackers. fresh: from the beginning."""
    model, recipe, folder, world = parts.model, session.recipe, session.folder, session.world
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
        warn=session.console.warn,
        resumed=resumed,
        rank=world.rank,
    )
    callbacks: dict[str, Callback] = {}
    for name, named in unique_names(recipe.callbacks):
        with blame("callback", named):
            callbacks[name] = named.component.build(run)
        for text in misspelt(callbacks[name]):
            session.console.warn(f"callback '{name}' {text}")
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
    session.trackers.start(recipe.trackers if world.first else (), run)
    return job, RunEvents(session, identity(recipe, parts.data), callbacks)
