"""A run, in order: build, find the learning rate, train, keep the model, predict, analyze, report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from ..analysis.after_training import analysis_run, history, keep_model, predict_test
from ..analysis.analyze import analyze
from ..api.data import DataSplits
from ..compute.distributed import ALONE, World, joined, lost, place, synchronized
from ..compute.interrupts import Interrupted, StopRequest
from ..compute.randomness import seed_everything, seed_process
from ..compute.relaunch import launch_name
from ..console import Console, duration
from ..errors import FrameError, RunFailed, UserError, lines_to
from ..input.data_checks import lacking
from ..recipe.identity import check_same_run
from ..recipe.load import Loaded, load_recipe
from ..recipe.recipe import Recipe
from ..recipe.saved import keep_plugins, provenance, save_recipe
from ..rundir.checkpoints import load_last
from ..rundir.folder import RunDir, open_run, write_json
from ..rundir.jsonfile import read_json
from ..rundir.new import NewRun, drafted, publish
from ..rundir.record import Best
from ..rundir.weights import save_info
from ..training.build import Parts, build, data_root, load_data
from ..training.compilation import compile_model
from ..training.engine import Job, train
from ..training.events import RunEvents
from ..training.faults import explained
from ..training.lr_finder import find_lr, save_finding
from ..training.meter import NotFinite
from ..training.session import Session
from ..training.setup import assemble
from ..training.state import restore
from ..training.trackers import Trackers
from .environment import describe_environment, differences
from .lifecycle import now, report, supervised
from .same_plugins import check_same_plugins


@dataclass(frozen=True)
class Outcome:
    """What a finished run came to: its kept model's test accuracy, and the best epoch by the monitored metric."""

    folder: Path
    test_accuracy: float
    best: Best | None
    failed_analyzers: int


def start(
    loaded: Loaded, place: NewRun, console: Console, data: DataSplits | None = None, world: World = ALONE
) -> Outcome:
    """Start a new run. data: the recipe's data where it has been read already.

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
        return follow(parts, console)
    with drafted(place, recipe.name) as draft:
        origin = provenance(loaded.source, recipe)
        draft.update_record(
            id=draft.run_id, name=recipe.name, state="running", started=now(), watched=recipe.watched,
            epochs=recipe.train.epochs, recipe=origin,
        )  # fmt: skip
        if name := launch_name():
            draft.update_record(launch=name)
        save_info(draft, data.info)
        # Learning rates in it may still be `auto`: the run can be resumed from here on.
        keep_plugins(draft, parts.recipe, console.warn)
        save_recipe(draft, parts.recipe)
        folder = publish(draft)
        console.log = folder.log
        console.say(f"run       {folder.path}")
        return conduct(loaded, parts, folder, console)


def repeat_runs(loaded: Loaded, out: Path, times: int, console: Console, world: World = ALONE) -> list[Outcome]:
    """Run a recipe several times, with seeds that count up from its own, and say how much the result varies."""
    varies = loaded.recipe.data.validation  # a validation split depends on the seed
    data = None if varies else world.in_turn(lambda: load_data(loaded.recipe))
    outcomes = []
    for number in range(times):
        recipe = replace(loaded.recipe, seed=loaded.recipe.seed + number)
        console.say(f"-- run {number + 1} of {times}, seed {recipe.seed}")
        outcomes.append(start(replace(loaded, recipe=recipe), NewRun(out), console, data, world))
    accuracies = [outcome.test_accuracy for outcome in outcomes]
    console.log = None
    spread = f"{mean(accuracies):.2%} ± {stdev(accuracies):.2%}"
    console.say(f"test accuracy of {times} runs: {spread} (mean, standard deviation)")
    return outcomes


def resume(path: Path, console: Console, overrides: Sequence[str] = (), *, trust: bool = False) -> Outcome:
    """Continue a run in its own folder, from its last whole checkpoint, or from its beginning where it has none.

    overrides: changes of settings that leave no mark on the result. Raises UserError for others. trust: load
    the run's plugins whoever made it; from then on they are this user's.
    """
    folder = open_run(path)
    if folder.read_record()["state"] == "finished":
        raise UserError(f"{path} is finished; there is nothing to resume")
    if not folder.recipe.is_file():
        raise UserError(f"{path} stopped before anything was saved; start it again with frame run")
    with ExitStack() as stack:
        if place().first:
            stack.enter_context(folder.locked())
        loaded = load_recipe(str(folder.recipe), overrides, trust=trust)
        recipe = loaded.recipe
        world = stack.enter_context(joined(recipe.train.device))
        check_same_plugins(recipe, world)
        data = world.in_turn(lambda: load_data(recipe))
        if not world.first:
            seed_everything(recipe.seed)
            return follow(build(recipe, data, world, fresh=False), console)
        state, notes = load_last(folder)
        if state:
            check_same_run(state, recipe, loaded.source, data)
        folder.remove_leftovers()
        seed_everything(recipe.seed)
        parts = build(recipe, data, world, fresh=state is None)
        if trust:
            keep_plugins(folder, recipe, console.warn)
        if overrides:
            save_recipe(folder, recipe)
        console.log = folder.log
        for note in notes:
            console.warn(note)
        return conduct(loaded, parts, folder, console, state, resumed=True)


def conduct(
    loaded: Loaded, parts: Parts, folder: RunDir, console: Console, state: dict[str, Any] | None = None,
    *, resumed: bool = False,
) -> Outcome:  # fmt: skip
    """Train from `state`, or from the beginning, to the end. resumed: whether the run has been started before."""
    trackers, lr = Trackers(console.warn), None
    with supervised(folder, parts, trackers, console) as stop:
        environment = describe_environment(parts.backend, loaded.plugins, parts.data.checksum)
        if state is None:
            describe(parts, console)
            write_json(folder.environment, environment)
            lr = settle_lr(parts, folder, console)
        else:
            history(folder)  # what is damaged in it is said now, not after the training
            for difference in differences(read_json(folder.environment, dict[str, Any]), environment):
                console.warn(f"this is not where the run began, so that its end may differ: {difference}")
        task = parts.backend.world.tell(Task(folder.path, lr, state, resumed))
        job, events = train_parts(parts, task, trackers, console, stop)
        return parts.backend.world.tell(carry_out(job, events, parts, events.recipe))


@dataclass(frozen=True)
class Task:
    """What the first process tells the others: the run's folder, the learning rate that was found, where to go on."""

    folder: Path
    lr: float | None
    state: dict[str, Any] | None
    resumed: bool


def follow(parts: Parts, console: Console) -> Outcome:
    """Train beside the first process, which alone writes, says and decides; return what the run came to."""
    world, stop = parts.backend.world, StopRequest()
    try:
        with stop.listening():
            train_parts(parts, world.tell(Task(Path(), None, None, False)), Trackers(console.warn), console, stop)
            return world.tell(Outcome(Path(), 0.0, None, 0))
    except (Interrupted, KeyboardInterrupt):
        raise Interrupted from None
    except Exception as problem:
        if lost(problem) or isinstance(problem, NotFinite):
            raise Interrupted from problem  # the first process says why
        reason = explained(problem, parts.recipe)
        if not reason and isinstance(problem, FrameError):
            reason = str(problem)  # it names the place itself
        elif not reason:
            reason = f"{type(problem).__name__}: {problem} ({lines_to(problem)[-1]})"
        raise RunFailed(f"process {world.rank} of {world.size} (from 0) failed: {reason}") from problem


def train_parts(
    parts: Parts, task: Task, trackers: Trackers, console: Console, stop: StopRequest
) -> tuple[Job, RunEvents]:
    """Train from the task's state, or from the beginning, to the end: what every process does."""
    world, folder, state = parts.backend.world, RunDir(task.folder), task.state
    recipe = parts.recipe if task.lr is None else parts.recipe.with_lr(task.lr)
    if recipe.train.sync_batchnorm:
        parts = replace(parts, model=synchronized(parts.model, world, parts.backend.device))
    if recipe.train.compile:
        seconds = compile_model(parts)
        console.say(f"compiled  in {duration(seconds)}, before the training and no part of its time")
        if world.first:
            folder.update_record(compile_seconds=round(seconds, 1))
    page = partial(report, folder, recipe, console, "running")
    session = Session(recipe, folder, world, console, trackers, stop, page)
    job, events = assemble(parts, session, fresh=state is None, resumed=task.resumed)
    if state is not None:
        take_back(state, job, events)
        console.say(f"resuming {folder.path} at epoch {job.run.epoch}, step {job.run.step}")
        if (before := len(state["rng"])) != world.size and world.first:
            text = f"it was saved by {before} processes and goes on in {world.size}: sums are taken in another order"
            console.warn(f"{text}, so that its end may differ in the last digits")
    elif not world.first:
        seed_process(recipe.seed, world.rank)
    with events.active():
        train(job, events)
    return job, events


def settle_lr(parts: Parts, folder: RunDir, console: Console) -> float | None:
    """Run the LR finder, if there is one, and return what it found; the recipe is saved with it."""
    finding = find_lr(parts, console)
    if finding is None:
        return None
    save_finding(folder, finding)
    console.say(f"lr finder {finding.suggestion:.3g} ({finding.rule})")
    save_recipe(folder, parts.recipe.with_lr(finding.suggestion))
    return finding.suggestion


def take_back(state: dict[str, Any], job: Job, events: RunEvents) -> None:
    """Put a training back to where it was saved. Raises RunFailed for a state that does not fit it."""
    try:
        events.restore(state)
        restore(job, state)
    except Exception as error:  # a checkpoint may hold anything
        raise RunFailed(f"the checkpoint does not fit the run: {type(error).__name__}: {error}") from error


def describe(parts: Parts, console: Console) -> None:
    """Say on what, with what and how long the run trains."""
    data, steps = parts.data, parts.steps
    validation = f", {len(data.validation):,} validation" if data.validation else ""
    parameters = sum(parameter.numel() for parameter in parts.model.parameters())
    console.say(f"device    {parts.backend.describe()}")
    images = f"{len(data.train):,} training{validation}, {len(data.test):,} test images"
    console.say(f"data      {parts.recipe.dataset.use}: {images}, {len(data.classes)} classes")
    for omission in data.left_out:
        console.say(f"left out  {omission}")
    for classes in lacking(data):
        console.say(f"lacks     {classes}")
    console.say(f"model     {parts.recipe.model.use}: {parameters:,} parameters")
    console.say(f"steps     {steps.per_epoch:,} an epoch, {steps.total:,} in {steps.epochs} epochs")


def carry_out(job: Job, events: RunEvents, parts: Parts, recipe: Recipe) -> Outcome:
    """After the training, predict, analyze and report: the first process alone, while the others wait."""
    folder, console = events.folder, events.console
    trained = events.elapsed
    skipped = len(job.meter.skipped)
    if recipe.data.unreadable == "skip":
        folder.update_record(skipped_images=skipped)
    which = keep_model(job.run, recipe, folder, is_best=events.best is not None)
    predictions = predict_test(job.run, parts, folder)
    since = time.monotonic()
    view = analysis_run(job.run.eval_model, parts, recipe, folder, predictions)
    failed = analyze(recipe.analyzers, view, folder.analysis, console.warn, events.session.trackers.log_result)
    best = events.best
    folder.update_record(
        kept=which,
        test_accuracy=predictions.accuracy,
        failed_analyzers=failed,
        training_seconds=round(trained, 1),
    )
    if skipped:
        console.say(f"skipped   {skipped} training image{'s' * (skipped > 1)} that could not be read")
    done = len(recipe.analyzers) - failed
    console.say(f"analyzed  {done} of {len(recipe.analyzers)} analyzers in {duration(time.monotonic() - since)}")
    console.say(
        f"best      {best['metric']} {best['value']:.4f} at epoch {best['epoch']}"
        if best
        else f"best      none: no epoch's {recipe.monitor} was a finite number; the last is kept"
    )
    without = ", without a mistake" if predictions.accuracy == 1 else ""
    console.say(f"result    test accuracy {predictions.accuracy:.2%}{without} ({which})")
    return Outcome(folder.path, predictions.accuracy, best, failed)
