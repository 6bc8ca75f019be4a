"""A run, in order: build, find the learning rate, train, keep the model, predict, analyze, report."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from .build import Parts, blame, build, data_root, load_data
from .console import Console, duration
from .contracts import Callback, TrainingRun
from .data import DataSplits
from .engine import Job, train
from .environment import describe_environment
from .errors import FrameError, RunFailed, UserError
from .events import RunEvents
from .explain import explain, explain_so_far, history, keep_model, predict_test
from .interrupts import Interrupted
from .lr import find_lr, save_finding
from .meter import NotFinite
from .plan import plan_schedule, save_plan
from .randomness import seed_everything
from .recipe import Recipe, unique_names
from .report import write_report
from .resolve import Loaded, load_recipe
from .rundir import RunDir, create_run, open_run, write_json
from .saved_recipe import provenance, save_recipe
from .state import load_last, restore
from .tracking import Trackers


@dataclass(frozen=True)
class Outcome:
    """What a finished run came to: its kept model's test accuracy, and the best epoch by the monitored metric."""

    folder: Path
    test_accuracy: float
    best: dict[str, Any]
    failed_analyzers: int


def start(loaded: Loaded, out: Path, console: Console, data: DataSplits | None = None) -> Outcome:
    """Start a new run under `out`. data: the recipe's data where it has been read already.

    Raises UserError before anything is written, RunFailed or Interrupted once the run's folder exists.
    """
    recipe = loaded.recipe
    recipe = replace(recipe, data=recipe.data.model_copy(update={"root": str(data_root(recipe).resolve())}))
    data = data or load_data(recipe)
    seed_everything(recipe.seed)
    parts = build(recipe, data)
    folder = create_run(out, recipe.name)
    console.log = folder.log
    console.say(f"run       {folder.path}")
    describe(parts, console)
    trackers = Trackers(console.warn)
    with supervised(folder, recipe, trackers, console):
        origin = provenance(loaded.source, recipe)
        folder.update_record(watched=recipe.watched, epochs=recipe.train.epochs, recipe=origin)
        write_json(folder.environment, describe_environment(parts.backend, loaded.plugins, data.checksum))
        finding = find_lr(parts, console)
        if finding:
            save_finding(folder, finding)
            console.say(f"lr finder {finding.suggestion:.3g} ({finding.rule})")
            recipe = recipe.with_lr(finding.suggestion)
        save_recipe(folder, recipe)
        job, events = assemble(parts, recipe, folder, trackers, console)
        return carry_out(job, events, parts, recipe)


def repeat_runs(loaded: Loaded, out: Path, times: int, console: Console) -> list[Outcome]:
    """Run a recipe several times, with seeds that count up from its own, and say how much the result varies."""
    data = None if loaded.recipe.data.validation else load_data(loaded.recipe)  # a validation split depends on the seed
    outcomes = []
    for number in range(times):
        recipe = replace(loaded.recipe, seed=loaded.recipe.seed + number)
        console.say(f"-- run {number + 1} of {times}, seed {recipe.seed}")
        outcomes.append(start(replace(loaded, recipe=recipe), out, console, data))
    accuracies = [outcome.test_accuracy for outcome in outcomes]
    console.log = None
    spread = f"{mean(accuracies):.2%} ± {stdev(accuracies):.2%}"
    console.say(f"test accuracy of {times} runs: {spread} (mean, standard deviation)")
    return outcomes


def resume(path: Path, console: Console) -> Outcome:
    """Continue an interrupted run in its own folder, from its last whole checkpoint."""
    folder = open_run(path)
    if folder.read_record()["state"] == "finished":
        raise UserError(f"{path} is finished; there is nothing to resume")
    if not folder.recipe.is_file():
        raise UserError(f"{path} stopped before its training began; start it again with frame run")
    loaded = load_recipe(str(folder.recipe))
    state, notes = load_last(folder)
    parts = build(loaded.recipe, load_data(loaded.recipe))
    console.log = folder.log
    trackers = Trackers(console.warn)
    with supervised(folder, loaded.recipe, trackers, console):
        for note in notes:
            console.warn(note)
        job, events = assemble(parts, loaded.recipe, folder, trackers, console, resumed=True)
        events.restore(state)
        restore(job, state)
        history(folder)  # what is damaged in it is said now, not after the training
        console.say(f"resuming {folder.path} at epoch {job.run.epoch}, step {job.run.step}")
        return carry_out(job, events, parts, loaded.recipe)


def describe(parts: Parts, console: Console) -> None:
    """Say on what, with what and how long the run trains."""
    data, steps = parts.data, parts.steps
    validation = f", {len(data.validation):,} validation" if data.validation else ""
    parameters = sum(parameter.numel() for parameter in parts.model.parameters())
    console.say(f"device    {parts.backend.describe()}")
    images = f"{len(data.train):,} training{validation}, {len(data.test):,} test images"
    console.say(f"data      {parts.recipe.dataset.use}: {images}, {len(data.classes)} classes")
    console.say(f"model     {parts.recipe.model.use}: {parameters:,} parameters")
    console.say(f"steps     {steps.per_epoch:,} an epoch, {steps.total:,} in {steps.epochs} epochs")


def assemble(
    parts: Parts, recipe: Recipe, folder: RunDir, trackers: Trackers, console: Console, *, resumed: bool = False
) -> tuple[Job, RunEvents]:
    """Build what trains the model: optimizers, schedules, callbacks, trackers."""
    model = parts.model
    with blame("optimizer", recipe.optimizer):
        optimizers = list(recipe.optimizer.component.build(model))
    schedulers = []
    if recipe.scheduler:
        with blame("scheduler", recipe.scheduler):
            if not resumed:
                save_plan(folder, plan_schedule(recipe.scheduler.component, optimizers[0], parts.steps))
            schedulers = [recipe.scheduler.component.build(optimizer, parts.steps) for optimizer in optimizers]
    run = TrainingRun(
        name=recipe.name,
        run_id=folder.run_id,
        folder=folder.path,
        recipe=recipe.values(),
        data=parts.data.info,
        steps=parts.steps,
        model=model,
        eval_model=model,
        optimizers=optimizers,
        schedulers=schedulers,
        device=parts.backend.device,
        warn=console.warn,
        resumed=resumed,
    )
    callbacks: dict[str, Callback] = {}
    for name, named in unique_names(recipe.callbacks):
        with blame("callback", named):
            callbacks[name] = named.component.build(run)
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
    )
    trackers.start(recipe.trackers, run)

    def page() -> None:
        report(folder, recipe, console, so_far=True)

    return job, RunEvents(folder, recipe, callbacks, trackers, console, page)


def carry_out(job: Job, events: RunEvents, parts: Parts, recipe: Recipe) -> Outcome:
    """Train to the end, then predict, analyze and report."""
    folder, console = events.folder, events.console
    with events.active():
        train(job, events)
    trained = events.elapsed
    which = keep_model(job.run, recipe, folder)
    predictions = predict_test(job.run, parts, folder)
    since = time.monotonic()
    failed = explain(job.run, parts, recipe, folder, predictions, events.trackers, console)
    best = events.best or {}
    folder.update_record(
        best=best,
        kept=which,
        test_accuracy=predictions.accuracy,
        failed_analyzers=failed,
        training_seconds=round(trained, 1),
    )
    done = len(recipe.analyzers) - failed
    console.say(f"analyzed  {done} of {len(recipe.analyzers)} analyzers in {duration(time.monotonic() - since)}")
    console.say(f"best      {best['metric']} {best['value']:.4f} at epoch {best['epoch']}")
    console.say(f"result    test accuracy {predictions.accuracy:.2%} ({which})")
    return Outcome(folder.path, predictions.accuracy, best, failed)


@contextmanager
def supervised(folder: RunDir, recipe: Recipe, trackers: Trackers, console: Console) -> Iterator[None]:
    """Keep run.json, the trackers and the report true to what happens inside, however it ends."""
    started = time.monotonic()
    before = folder.read_record().get("seconds", 0.0) if folder.record.is_file() else 0.0
    first = {} if folder.record.is_file() else {"name": folder.path.parent.name, "started": now()}
    folder.update_record(id=folder.run_id, state="running", error=None, **first)
    state, error = "failed", ""
    try:
        yield
        state = "finished"
    except (Interrupted, KeyboardInterrupt):
        state = "interrupted"
        raise Interrupted(f"interrupted; continue with: frame resume {folder.path}") from None
    except NotFinite as problem:
        error = f"{problem}. {ADVICE}"
        raise RunFailed(error) from problem
    except OSError as problem:
        error = f"cannot write {problem.filename or folder.path}: {problem.strerror}. What was saved before is kept"
        raise RunFailed(error) from problem
    except FrameError as problem:
        error = str(problem)
        raise
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
        with suppress(OSError):
            (folder.path / "error.txt").write_text(traceback.format_exc())
        raise RunFailed(f"{error}. The traceback is in {folder.path / 'error.txt'}") from problem
    finally:
        seconds = round(before + time.monotonic() - started, 1)
        with suppress(OSError):
            folder.update_record(state=state, error=error or None, ended=now(), seconds=seconds)
        report(folder, recipe, console, so_far=state != "finished")
        trackers.finish(state)  # last, so that they can take the report along
        if folder.report.is_file():
            console.say(f"report    {folder.report}")


def report(folder: RunDir, recipe: Recipe, console: Console, *, so_far: bool) -> None:
    """Write the report, its curves `so_far` where the analyzers have not run; the run's result stands without it."""
    try:
        if so_far:
            explain_so_far(recipe, folder)
        write_report(folder)
    except Exception as problem:
        console.warn(f"the report could not be written: {type(problem).__name__}: {problem}")


ADVICE = (
    "Try a lower learning rate (scheduler.max_lr, optimizer.lr), train.clip_grad_norm=1, or train.precision=fp32; "
    "the last good checkpoint is kept"
)


def now() -> str:
    """Return the time as ISO 8601 with its zone."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
