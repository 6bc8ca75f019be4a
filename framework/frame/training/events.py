"""What happens around the loop: callbacks, metrics files, trackers, checkpoints, the terminal, stopping on request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

from ..api.contracts import Callback
from ..api.ranking import better, number
from ..compute.interrupts import Interrupted
from ..console import Bar, duration, epoch_line
from ..errors import suggest
from ..recipe.recipe import unique_names
from ..rundir.checkpoints import save_best, save_last
from ..rundir.files import cut
from ..rundir.history import Place, append_line
from ..rundir.record import Best
from .culprit import Culprit, blame
from .engine import Job
from .session import Session
from .state import plain, snapshot
from .throttle import Throttle

PAGES_SHARE = 0.05
"""Of the training's time, what the page of the run so far may take: it is longer with every epoch."""
FIRST_PAGES = 3
"""So many first epochs are shown at once, whatever share that is."""


class RunEvents:
    """Implements `engine.Events` for a run that has a folder; of several processes, the first alone writes to it."""

    def __init__(self, session: Session, identity: Mapping[str, str], callbacks: Mapping[str, Callback]) -> None:
        self.session, self.identity, self.callbacks = session, identity, callbacks
        self.folder, self.recipe, self.console, self.world = (
            session.folder, session.recipe, session.console, session.world,
        )  # fmt: skip
        self._saved_callbacks: Mapping[str, Any] = {}
        self.culprits = {name: blame("callback", named) for name, named in unique_names(self.recipe.callbacks)}
        self.step_calls = list(self._calls("on_step_end"))
        self.best: Best | None = None
        self.elapsed_before = 0.0
        self._started = self._epoch_started = time.monotonic()
        self._saved = self._started
        self._window = (self._started, 0)  # since when, and from which batch on, the next step line counts
        self._pages = Throttle(PAGES_SHARE)
        self._bars = ExitStack()
        self._bar: Bar | None = None

    @property
    def elapsed(self) -> float:
        """Seconds that the run has trained, all its sessions together."""
        return self.elapsed_before + time.monotonic() - self._started

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let requests to stop wait for the step in flight while the block runs; its bar does not outlive it."""
        with self._bars, self.session.stop.patience():
            yield

    def run_start(self, job: Job) -> None:
        self._tell("on_run_start")
        for name, state in self._saved_callbacks.items():
            with self.culprits[name]:
                self.callbacks[name].load_state_dict(state)
        if job.run.step == 0:
            self.checkpoint(job)  # from here on, a resume need not look for the learning rate again

    def epoch_start(self, job: Job) -> None:
        self._epoch_started = time.monotonic()
        self._window = (self._epoch_started, job.batch)
        steps = job.run.steps
        self._bar = self._bars.enter_context(self.console.bar(f"epoch {job.run.epoch + 1}/{steps.passes}"))
        self._bar.set(job.run.step % steps.per_epoch, steps.steps_in(job.run.epoch))
        if job.batch == 0:
            self._tell("on_epoch_start")

    def step_end(self, job: Job) -> None:
        for culprit, call in self.step_calls:
            with culprit:
                call()
        if self._bar:
            self._bar.advance()
        if job.run.step % job.log_every == 0:
            self._write_steps(job)
        stop, due = self._agreed(job, due=self._is_due(job.run.step))
        if stop:
            self._bars.close()
            self.checkpoint(job)
            raise Interrupted
        if due:
            self.checkpoint(job)

    def epoch_end(self, job: Job, metrics: Mapping[str, float]) -> None:
        self._bars.close()
        self._tell("on_epoch_end", metrics)
        run = job.run
        stop, _ = self._agreed(job)
        seconds = time.monotonic() - self._epoch_started
        self._write(job, "epoch", run.epoch, metrics, {"seconds": round(seconds, 3)})
        improved = self._note_best(run.epoch, metrics)
        if improved and self.world.first:
            self.folder.update_record(best=self.best)
            save_best(self.folder, {**(self.best or {}), "model": plain(run.eval_model).state_dict()})
        must = run.epoch == run.steps.passes or run.stop_reason is not None or stop
        if must or run.epoch % self.recipe.checkpoint.every_epochs == 0:
            self.checkpoint(job)
        watched = (job.watched_name, len(job.watched.split))
        line = epoch_line(run.epoch, run.steps.passes, metrics, watched, job.meter.lr)
        self.console.say(f"{line}  {duration(seconds)}{'  best' if improved else ''}")
        if run.stop_reason:
            self.console.say(f"stopped after epoch {run.epoch}: {run.stop_reason}")
        if stop:
            raise Interrupted
        if self.world.first and run.epoch < run.steps.passes and not run.stop_reason:
            self._pages(self.session.page, must=run.epoch <= FIRST_PAGES)

    def run_end(self) -> None:
        self._tell("on_run_end")

    def checkpoint(self, job: Job) -> None:
        """Save everything that a resume needs; the sizes of the metrics' files say how far they belong to it."""
        around = {
            **self.identity,
            "best": self.best,
            "elapsed": self.elapsed,
            "callbacks": {name: self._state(name) for name in self.callbacks},
            "sizes": [_size(path) for path in self._appended],
        }
        state = snapshot(job) | around
        if self.world.first:
            save_last(self.folder, state)
        self._saved = time.monotonic()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `checkpoint` saved around the training, and cut the metrics' files back to it."""
        best, self.elapsed_before = state["best"], state["elapsed"]
        self.best = best if best and number(best["value"]) is not None else None
        self._saved_callbacks = state["callbacks"]
        if not self.world.first:
            return
        for path, size in zip(self._appended, state["sizes"], strict=True):
            if _size(path) < size:
                self.console.warn(f"{path} is shorter than when the checkpoint was saved: its last lines are lost")
            elif path.is_file():
                cut(path, size)

    def _calls(self, method: str) -> Iterator[tuple[Culprit, Callable[..., None]]]:
        """Yield that method of each callback which has one of its own, with who is to blame for it."""
        default = getattr(Callback, method)
        for name, callback in self.callbacks.items():
            if getattr(type(callback), method, default) is not default:
                yield self.culprits[name], getattr(callback, method)

    def _tell(self, method: str, *arguments: Any) -> None:
        """Call that method of each callback, with copies of its own: what it writes into them is nobody else's."""
        for culprit, call in self._calls(method):
            with culprit:
                call(*deepcopy(arguments))

    def _state(self, name: str) -> Any:
        with self.culprits[name]:
            return self.callbacks[name].state_dict()

    @property
    def _appended(self) -> tuple[Path, Path]:
        return self.folder.metrics, self.folder.timing

    def _agreed(self, job: Job, *, due: bool = False) -> tuple[bool, bool]:
        """Return whether any process is asked to stop, and whether a checkpoint is due; a callback's stop is shared."""
        stop, due, done = self.world.any(self.session.stop.requested, due, job.run.stop_reason is not None)
        if done and job.run.stop_reason is None:
            job.run.stop("another process stopped it")
        return stop, due

    def _is_due(self, step: int) -> bool:
        """Whether a checkpoint within the epoch is due."""
        steps, minutes = self.recipe.checkpoint.every_steps, self.recipe.checkpoint.every_minutes
        if steps is not None and step % steps == 0:
            return True
        return minutes is not None and time.monotonic() - self._saved >= 60 * minutes

    def _note_best(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        value = metrics[self.recipe.monitor]
        if not better(value, self.best["value"] if self.best else None, self.recipe.monitor_mode):
            return False
        self.best = Best(metric=self.recipe.monitor, value=value, epoch=epoch)
        return True

    def _write_steps(self, job: Job) -> None:
        means = {f"train/{name}": value for name, value in job.meter.take_window().items()}
        epoch = job.run.step / job.run.steps.per_epoch
        (since, first), self._window = self._window, (time.monotonic(), job.batch)
        rate = (job.batch - first) * job.run.steps.batch_size / (self._window[0] - since)
        self._write(job, "step", epoch, means, {"images_per_s": round(rate, 1)})
        if self._bar:
            self._bar.status(f"loss {means['train/loss']:.4f}  acc {means['train/acc']:.2%}  {rate:,.0f} images/s")

    def _write(
        self,
        job: Job,
        kind: Literal["epoch", "step"],
        epoch: float,
        metrics: Mapping[str, float],
        timing: Mapping[str, float],
    ) -> None:
        if not self.world.first:
            return
        step = job.run.step
        metrics = {**metrics, "lr": job.meter.lr}
        if job.meter.momentum is not None:
            metrics["momentum"] = job.meter.momentum
        place = Place(kind=kind, epoch=epoch, step=step)
        append_line(self.folder.metrics, place, metrics)
        append_line(self.folder.timing, place, timing)
        self.session.trackers.log({**metrics, **{f"perf/{name}": value for name, value in timing.items()}}, epoch, step)


def misspelt(callback: Callback) -> Iterator[str]:
    """Yield what is odd about each method of a callback that is named as if the training called it, and is not."""
    hooks = [name for name in dir(Callback) if name.startswith("on_")]
    for name in dir(callback):
        if name.startswith("on_") and name not in hooks and callable(getattr(type(callback), name, None)):
            yield f"has a method {name}, which nothing calls{suggest(name, hooks)}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
