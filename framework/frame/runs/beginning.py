"""Where a run begins or goes on, up to the first step of its training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..analysis.after_training import history
from ..compute.distributed import synchronized
from ..compute.relaunch import launch_name
from ..console import Console, duration
from ..console.events import Images, LRFound, RunBegin
from ..errors import RunFailed
from ..recipe.load import Loaded
from ..recipe.saved import keep_plugins, provenance, save_recipe
from ..rundir.folder import RunDir, write_json
from ..rundir.jsonfile import read_json
from ..rundir.new import publish
from ..rundir.weights import save_info
from ..training.build import Parts
from ..training.compilation import compile_model
from ..training.engine import Job
from ..training.events import RunEvents
from ..training.lr_finder import find_lr, save_finding
from ..training.state import restore
from .environment import describe_environment, differences
from .lifecycle import now
from .told import describe


@dataclass(frozen=True)
class Beginning:
    """What the first process tells the others: the run's folder, the learning rate found, the state to go on from.

    resumed: whether the run has been started before; it may have been stopped before there was a state. group: of the
    runs that it belongs to.
    """

    folder: RunDir
    lr: float | None = None
    state: dict[str, Any] | None = None
    resumed: bool = False
    group: str | None = None


def make_visible(draft: RunDir, loaded: Loaded, parts: Parts, console: Console, group: str | None) -> RunDir:
    """Write into a new run's folder all that a resume needs, give it its name, and return it.

    group: of the runs that it belongs to.
    """
    recipe = parts.recipe
    draft.update_record(
        id=draft.run_id, name=recipe.name, state="running", started=now(), watched=recipe.data.watched,
        epochs=recipe.train.epochs, recipe=provenance(loaded.source, recipe), parameters=parts.parameters,
    )  # fmt: skip
    if name := launch_name():
        draft.update_record(launch=name)
    if group:
        draft.update_record(group=group)
    save_info(draft, parts.data)
    # Learning rates in it may still be `auto`: the run can be resumed from here on.
    keep_plugins(draft, recipe, console.warn)
    save_recipe(draft, recipe)
    folder = publish(draft)
    console.log = folder.log
    console.say(f"run       {folder.path}")
    return folder


def settle(beginning: Beginning, loaded: Loaded, parts: Parts, console: Console) -> Beginning:
    """Note where a new run is made and find its learning rate; of one that goes on, say what is not as it was."""
    folder = beginning.folder
    console.tell(_begin_event(beginning, parts))
    environment = describe_environment(parts.backend, loaded.plugins, parts.data.checksum)
    if beginning.state is None:
        describe(parts, console)
        write_json(folder.environment, environment)
        return replace(beginning, lr=_find_lr(parts, folder, console))
    history(folder)  # what is damaged in it is said now, not after the training
    for difference in differences(read_json(folder.environment, dict[str, Any]), environment):
        console.warn(f"this is not where the run began, so that its end may differ: {difference}")
    return beginning


def _begin_event(beginning: Beginning, parts: Parts) -> RunBegin:
    recipe, data, state = parts.recipe, parts.data, beginning.state
    counts = Images(train=len(data.train), validation=len(data.validation or ()), test=len(data.test))
    return RunBegin(
        event="run_begin",
        run=str(beginning.folder.path),
        name=recipe.name,
        group=beginning.group,
        seed=recipe.seed,
        resumed=beginning.resumed,
        epoch=state["epoch"] if state else 0,
        epochs=recipe.train.epochs,
        steps=parts.steps.total,
        device=parts.backend.describe(),
        parameters=parts.parameters,
        images=counts,
    )


def _find_lr(parts: Parts, folder: RunDir, console: Console) -> float | None:
    """Run the LR finder, if there is one, and return what it found; the recipe is saved with it."""
    finding = find_lr(parts, console)
    if finding is None:
        return None
    save_finding(folder, finding)
    console.tell(LRFound(event="lr_found", lr=finding.suggestion, rule=finding.rule))
    console.say(f"lr finder {finding.suggestion:.3g} ({finding.rule})")
    save_recipe(folder, parts.recipe.with_lr(finding.suggestion))
    return finding.suggestion


def ready_to_train(parts: Parts, begun: Beginning, console: Console) -> Parts:
    """Return the parts with the learning rate that was found, and their model synchronized and compiled."""
    world = parts.backend.world
    if begun.lr is not None:
        parts = replace(parts, recipe=parts.recipe.with_lr(begun.lr))
    if parts.recipe.train.sync_batchnorm:
        parts = replace(parts, model=synchronized(parts.model, world, parts.backend.device))
    if parts.recipe.train.compile:
        seconds = compile_model(parts)
        console.say(f"compiled  in {duration(seconds)}, before the training and no part of its time")
        if world.first:
            begun.folder.update_record(compile_seconds=round(seconds, 1))
    return parts


def restore_run(state: dict[str, Any], job: Job, events: RunEvents, console: Console) -> None:
    """Put a training back to where it was saved. Raises RunFailed for a state that does not fit it."""
    try:
        events.restore(state)
        restore(job, state)
    except Exception as error:  # a checkpoint may hold anything
        text = f"the checkpoint does not fit the run: {type(error).__name__}: {error}"
        raise RunFailed(text, "damaged-checkpoint") from error
    world = job.backend.world
    console.say(f"resuming {job.run.folder} at epoch {job.run.epoch}, step {job.run.step}")
    if (before := len(state["rng"])) != world.size and world.first:
        text = f"it was saved by {before} processes and goes on in {world.size}: sums are taken in another order"
        console.warn(f"{text}, so that its end may differ in the last digits")
