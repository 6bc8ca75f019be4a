"""However a run ends, its run.json, its trackers and its report say so."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from ..analysis.after_training import explain_so_far
from ..compute.distributed import GONE, peer_lost
from ..compute.interrupts import Interrupted, StopRequest
from ..console import Console
from ..console.events import RunEnd
from ..errors import ComponentFailed, FrameError, RunFailed, UserError, code_of, lines_to
from ..recipe.recipe import Recipe
from ..report import write_report
from ..rundir.files import write_text
from ..rundir.folder import RunDir
from ..rundir.record import State
from ..secrets import printable
from ..training.build import Parts
from ..training.faults import explained
from ..training.meter import NotFinite
from ..training.trackers import Trackers

ADVICE = (
    "Try a lower learning rate (scheduler.max_lr, optimizer.lr), train.clip_grad_norm=1, or train.precision=fp32; "
    "the last good checkpoint is kept"
)


@contextmanager
def supervised(folder: RunDir, parts: Parts, trackers: Trackers, console: Console) -> Iterator[StopRequest]:
    """Keep run.json, the trackers and the report true to what happens inside, however it ends: the first process."""
    recipe, world, started = parts.recipe, parts.backend.world, time.monotonic()
    before = folder.read_record().get("seconds", 0.0)
    state: State = "failed"
    error, stop = "", StopRequest()
    try:
        with stop.listening():
            folder.update_record(state="running", error=None)
            yield stop
        state = "finished"
    except (Interrupted, KeyboardInterrupt):
        if error := world.failure():
            raise RunFailed(error, "process-lost") from None
        state = "interrupted"
        how = "" if folder.passing else f"; continue with: frame resume {folder.path}"
        raise Interrupted(f"interrupted{how}") from None
    except NotFinite as problem:
        error = f"{problem}. {ADVICE}"
        raise RunFailed(error, problem.code) from problem
    except Exception as problem:
        fault = explained(problem, recipe, folder.path, lasting=not folder.passing)
        if peer_lost(problem):
            fault = RunFailed(world.failure() or GONE, "process-lost")
        if fault:
            error = str(fault)
            raise fault from problem
        if isinstance(problem, FrameError) and not (isinstance(problem, ComponentFailed) and problem.__cause__):
            error = str(problem)
            raise
        error = str(problem) if isinstance(problem, FrameError) else f"{type(problem).__name__}: {problem}"
        with suppress(OSError):
            write_text(folder.path / "error.txt", printable(traceback.format_exc()))
        kept = "" if folder.passing else f". The traceback is in {folder.path / 'error.txt'}"
        raise RunFailed(f"{error}{kept}", code_of(problem)) from problem
    finally:
        seconds = round(before + time.monotonic() - started, 1)
        with suppress(OSError):
            folder.update_record(error=error or None, ended=now(), seconds=seconds)
        if os.access(folder.path, os.W_OK):  # else it was removed, or its disk is read-only now
            report(folder, recipe, console, state)
        trackers.finish(state)  # behind the report, so that they can take it along
        with suppress(OSError):  # last: a run that is killed before goes on, and tells page and trackers again
            folder.update_record(state=state)
        if folder.report.is_file():
            console.say(f"report    {folder.report}")
        _tell_end(folder, state, error, console)


def _tell_end(folder: RunDir, state: State, error: str, console: Console) -> None:
    """Tell programs how the run ended, and where what it leaves lies."""
    record: dict[str, Any] = {}
    with suppress(UserError, OSError):
        record = folder.read_record()
    console.tell(
        RunEnd(
            event="run_end",
            run=str(folder.path),
            state=state,
            test_accuracy=record.get("test_accuracy"),
            best=record.get("best"),
            kept=record.get("kept"),
            failed_analyzers=record.get("failed_analyzers"),
            seconds=record.get("seconds"),
            report=str(folder.report) if folder.report.is_file() else None,
            weights=str(folder.weights) if folder.weights.is_file() else None,
            error=error or None,
        )
    )


@contextmanager
def beside_the_first(parts: Parts) -> Iterator[StopRequest]:
    """Leave it to the first process to say how the run ends, unless it is this one that breaks it."""
    world, stop = parts.backend.world, StopRequest()
    try:
        with stop.listening():
            yield stop
    except (Interrupted, KeyboardInterrupt):
        raise Interrupted from None
    except Exception as problem:
        if peer_lost(problem) or isinstance(problem, NotFinite):
            raise Interrupted from problem  # the first process says why
        reason = str(explained(problem, parts.recipe) or "")
        if not reason and isinstance(problem, FrameError):
            reason = str(problem)  # it names the place itself
        elif not reason:
            reason = f"{type(problem).__name__}: {problem} ({lines_to(problem)[-1]})"
        raise RunFailed(f"process {world.rank} of {world.size} (from 0) failed: {reason}") from problem


def report(folder: RunDir, recipe: Recipe, console: Console, state: str) -> None:
    """Write the report; the run's result stands without it. state: what run.json says, or is about to."""
    try:
        if state != "finished":  # the analyzers have not run
            explain_so_far(recipe, folder)
        write_report(folder, state)
    except Exception as problem:
        console.warn(f"the report could not be written: {type(problem).__name__}: {problem}")


def now() -> str:
    """Return the time as ISO 8601 with its zone."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
