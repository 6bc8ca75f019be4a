"""What the terminal shows of a training: a bar for the epoch, the loss and the rate on it, a line for each epoch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack

from ..console import Bar, Console, duration, epoch_fields
from ..console.events import EpochEnd
from .engine import Job


class Progress:
    """The terminal, and the clock of its rates."""

    def __init__(self, console: Console) -> None:
        self.bars = ExitStack()
        self._console = console
        self._bar: Bar | None = None
        self._epoch_started = time.monotonic()
        self._window = (self._epoch_started, 0)  # since when, and from which batch on, the next rate counts

    def epoch_start(self, job: Job) -> None:
        """Show an epoch's bar, from the step on that the job is at."""
        self._epoch_started = time.monotonic()
        self._window = (self._epoch_started, job.batch)
        steps = job.run.steps
        title, done = f"epoch {job.run.epoch + 1}/{steps.passes}", job.run.step % steps.per_epoch
        self._bar = self.bars.enter_context(self._console.bar(title, done, steps.steps_in(job.run.epoch)))

    def step_end(self) -> None:
        """Move the bar on by a step."""
        if self._bar:
            self._bar.advance()

    def images_per_s(self, job: Job) -> float:
        """Return the rate since it was last asked for, or since the epoch's start."""
        (since, first), self._window = self._window, (time.monotonic(), job.batch)
        return (job.batch - first) * job.run.steps.batch_size / (self._window[0] - since)

    def show(self, means: Mapping[str, float], images_per_s: float) -> None:
        """Show a window's means beside the bar."""
        if self._bar:
            loss, accuracy = means["train/loss"], means["train/acc"]
            self._bar.status(f"loss {loss:.4f}  acc {accuracy:.2%}  {images_per_s:,.0f} images/s")

    def epoch_seconds(self) -> float:
        """Return the seconds since the epoch's start, in this session."""
        return time.monotonic() - self._epoch_started

    def epoch_end(self, job: Job, metrics: Mapping[str, float], seconds: float, *, best: bool) -> None:
        """Say an epoch's line, and why the training stops, where it does."""
        run = job.run
        self._console.tell(
            EpochEnd(
                event="epoch_end",
                epoch=run.epoch,
                epochs=run.steps.passes,
                step=run.step,
                metrics=metrics,
                lr=job.meter.lr,
                seconds=round(seconds, 3),
                best=best,
            )
        )
        watched = (job.watched_name, len(job.watched.split))
        fields = epoch_fields(run.epoch, run.steps.passes, metrics, watched, job.meter.lr)
        self._console.say_fields([*fields, duration(seconds), *["best"] * best])
        if run.stop_reason:
            self._console.say(f"stopped after epoch {run.epoch}: {run.stop_reason}")
