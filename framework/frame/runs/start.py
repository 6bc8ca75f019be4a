"""A run in order: build, find the learning rate, train, keep the model, predict, analyze, report."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from ..analysis.after_training import analysis_run, keep_model, predict_test
from ..analysis.analyze import analyze
from ..api.data import DataSplits
from ..compute.distributed import ALONE, World
from ..compute.randomness import seed_everything, seed_process
from ..console import Console, duration
from ..recipe.identity import identity
from ..recipe.load import Loaded
from ..rundir.new import NewRun, drafted
from ..rundir.record import Best
from ..training.build import Parts, build, data_root, load_data
from ..training.callbacks import Callbacks
from ..training.engine import Job, train
from ..training.events import RunEvents
from ..training.session import Session
from ..training.setup import build_job
from ..training.trackers import Trackers
from .beginning import Beginning, make_visible, ready_to_train, restore_run, settle
from .lifecycle import beside_the_first, report, supervised
from .same_plugins import check_same_plugins
from .told import say_result


@dataclass(frozen=True)
class Outcome:
    """What a finished run came to: its kept model's test accuracy, and the best epoch by the monitored metric."""

    folder: Path
    test_accuracy: float
    best: Best | None
    failed_analyzers: int


def start(
    loaded: Loaded, place: NewRun, console: Console, world: World = ALONE, data: DataSplits | None = None
) -> Outcome:
    """Start a new run and see it to its end. data: the recipe's data where it has been read already.

    Raises UserError before anything is written, RunFailed or Interrupted once the run's folder exists.
    """
    recipe = loaded.recipe
    recipe = replace(recipe, data=recipe.data.model_copy(update={"root": str(data_root(recipe).resolve())}))
    check_same_plugins(recipe, world)
    data = data or world.in_turn(lambda: load_data(recipe))
    seed_everything(recipe.seed)
    parts = build(recipe, data, world)
    parts = replace(parts, recipe=recipe.with_arithmetic(parts.backend.precision, torch.get_num_threads()))
    if not world.first:
        return run_to_end(loaded, parts, None, console)
    with drafted(place, recipe.name) as draft:
        folder = make_visible(draft, loaded, parts, console, place.group)
        return run_to_end(loaded, parts, Beginning(folder, group=place.group), console)


def run_to_end(loaded: Loaded, parts: Parts, beginning: Beginning | None, console: Console) -> Outcome:
    """Train, keep, predict, analyze, report: what every run does, a new one and one that goes on.

    beginning: what the first process knows of it; the others, which pass None, are told.
    """
    world, trackers = parts.backend.world, Trackers(console.warn)
    alive = supervised(beginning.folder, parts, trackers, console) if beginning else beside_the_first(parts)
    with alive as stop:
        begun = world.broadcast(settle(beginning, loaded, parts, console) if beginning else None)
        parts = ready_to_train(parts, begun, console)
        recipe, folder = parts.recipe, begun.folder
        fresh = begun.state is None
        job = build_job(parts, folder, console.warn, fresh=fresh, resumed=begun.resumed, group=begun.group)
        callbacks = Callbacks(recipe.callbacks, job.run)
        trackers.start(recipe.trackers if world.first else (), job.run)
        page = partial(report, folder, recipe, console, "running")
        session = Session(recipe, folder, world, console, trackers, stop, page)
        events = RunEvents(session, callbacks, identity(recipe, parts.data))
        if begun.state is not None:
            restore_run(begun.state, job, events, console)
        elif not world.first:
            seed_process(recipe.seed, world.rank)
        with events.active():
            train(job, events)
        return world.broadcast(after_training(job, parts, events, session) if world.first else None)


def after_training(job: Job, parts: Parts, events: RunEvents, session: Session) -> Outcome:
    """Keep the model, predict, analyze: the first process alone, while the others wait."""
    recipe, folder, console = session.recipe, session.folder, session.console
    trained, best, skipped = events.checkpoints.elapsed, events.checkpoints.best, len(job.meter.skipped)
    if recipe.data.unreadable == "skip":
        folder.update_record(skipped_images=skipped)
    kept = keep_model(job.run, recipe, folder, is_best=best is not None)
    predictions = predict_test(job.run, parts, folder)
    since = time.monotonic()
    view = analysis_run(job.run.eval_model, parts, folder, predictions)
    failed = analyze(recipe.analyzers, view, folder.analysis, console, session.trackers.log_result)
    folder.update_record(
        kept=kept, test_accuracy=predictions.accuracy, failed_analyzers=failed, training_seconds=round(trained, 1)
    )
    if skipped:
        console.say(f"skipped   {skipped} training image{'s' * (skipped > 1)} that could not be read")
    done, seconds = len(recipe.analyzers) - failed, time.monotonic() - since
    console.say(f"analyzed  {done} of {len(recipe.analyzers)} analyzers in {duration(seconds)}")
    outcome = Outcome(folder.path, predictions.accuracy, best, failed)
    say_result(outcome.test_accuracy, best, kept, recipe, console)
    return outcome
