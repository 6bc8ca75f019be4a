"""From a run's parts to the job of the loop: optimizers, schedules, and what callbacks and trackers see of it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..api.contracts import TrainingRun
from ..errors import coded
from ..rundir.folder import RunDir
from .build import Parts
from .culprit import blame
from .engine import Job
from .meter import Meter
from .schedule_plan import plan_schedule, save_plan


@coded("bad-value")
def build_job(
    parts: Parts, folder: RunDir, warn: Callable[[str], None], *, fresh: bool, resumed: bool, group: str | None = None
) -> Job:
    """Build optimizers and schedules for the parts' model. fresh: the training begins; resumed: the run goes on.

    Both may be true: a run that was stopped before its first checkpoint begins again.
    """
    model, recipe, world = parts.model, parts.recipe, parts.backend.world
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
        warn=warn,
        resumed=resumed,
        rank=world.rank,
        group=group,
    )
    return Job(
        run=run,
        loss=parts.loss,
        forward=parts.forward,
        training=parts.training,
        watched=parts.watched,
        watched_name=recipe.data.watched,
        backend=parts.backend,
        scaler=torch.amp.GradScaler(parts.backend.device.type, enabled=parts.backend.precision == "fp16"),
        clip_grad_norm=recipe.train.clip_grad_norm,
        log_every=recipe.train.log_every,
        culprits={name: blame(name, getattr(recipe, name)) for name in ("model", "optimizer", "scheduler")},
        meter=Meter(world),
    )
