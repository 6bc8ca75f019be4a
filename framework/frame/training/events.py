"""What happens around the loop, in an order that is a promise: an exact resume goes through it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..compute.interrupts import Interrupted
from .callbacks import Callbacks
from .checkpointing import Checkpointing
from .engine import Job
from .metric_log import MetricLog
from .progress import Progress
from .session import Session
from .throttle import Throttle

PAGES_SHARE = 0.05
"""Of the training's time, what the page of the run so far may take: it is longer with every epoch."""
FIRST_PAGES = 3
"""So many first epochs are shown at once, whatever share that is."""


class RunEvents:
    """Implements `engine.Events`: callbacks, then metrics, then the checkpoint, then the terminal and the page."""

    def __init__(self, session: Session, callbacks: Callbacks, identity: Mapping[str, str]) -> None:
        self.checkpoints = Checkpointing(session, identity)
        self._session, self._callbacks = session, callbacks
        self._metrics, self._progress = MetricLog(session), Progress(session.console)
        self._saved_callbacks: Mapping[str, Any] = {}
        self._pages = Throttle(PAGES_SHARE)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let requests to stop wait for the step in flight while the block runs; its bar does not outlive it."""
        with self._progress.bars, self._session.stop.patience():
            yield

    def run_start(self, job: Job) -> None:
        self._callbacks.call("on_run_start")
        self._callbacks.load_state_dict(self._saved_callbacks)
        if job.run.step == 0:
            self._save(job)  # from here on, a resume need not look for the learning rate again

    def epoch_start(self, job: Job) -> None:
        self._progress.epoch_start(job)
        if job.batch == 0:
            self._callbacks.call("on_epoch_start")

    def step_end(self, job: Job) -> None:
        self._callbacks.step_end()
        self._progress.step_end()
        if job.run.step % job.log_every == 0:
            self._log_steps(job)
        stop, due = self._agreed(job, due=self.checkpoints.due_after_step(job.run.step))
        if stop:
            self._progress.bars.close()
        if stop or due:
            self._save(job)
        if stop:
            raise Interrupted

    def epoch_end(self, job: Job, metrics: Mapping[str, float]) -> None:
        self._progress.bars.close()
        self._callbacks.call("on_epoch_end", metrics)
        run = job.run
        stop, _ = self._agreed(job)
        seconds = self._progress.epoch_seconds()
        self._metrics.write(job, "epoch", run.epoch, metrics, {"seconds": round(seconds, 3)})
        best = self.checkpoints.note_best(job, metrics)
        if stop or self.checkpoints.due_after_epoch(job):
            self._save(job)
        self._progress.epoch_end(job, metrics, seconds, best=best)
        if stop:
            raise Interrupted
        if self._session.world.first and run.epoch < run.steps.passes and not run.stop_reason:
            self._pages(self._session.page, must=run.epoch <= FIRST_PAGES)

    def run_end(self) -> None:
        self._callbacks.call("on_run_end")

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint: the callbacks get their states once the run starts."""
        self.checkpoints.restore(state)
        self._saved_callbacks = state["callbacks"]
        self._metrics.cut_back(state["sizes"])

    def _save(self, job: Job) -> None:
        self.checkpoints.save(job, self._callbacks.state_dict(), self._metrics.sizes())

    def _log_steps(self, job: Job) -> None:
        means = {f"train/{name}": value for name, value in job.meter.take_window().items()}
        rate = self._progress.images_per_s(job)
        epoch = job.run.step / job.run.steps.per_epoch
        self._metrics.write(job, "step", epoch, means, {"images_per_s": round(rate, 1)})
        self._progress.show(means, rate)

    def _agreed(self, job: Job, *, due: bool = False) -> tuple[bool, bool]:
        """Return whether any process is asked to stop, and whether a checkpoint is due; a callback's stop is shared."""
        stop, due, done = self._session.world.any(self._session.stop.requested, due, job.run.stop_reason is not None)
        if done and job.run.stop_reason is None:
            job.run.stop("another process stopped it")
        return stop, due
