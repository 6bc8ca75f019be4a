"""When a run is saved, what for a resume belongs to it beside the training's state, and which epoch is the best."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

from ..api.ranking import better, number
from ..console.events import Saved
from ..rundir.checkpoints import BEST, LAST, save_best, save_last
from ..rundir.record import Best
from .engine import Job
from .session import Session
from .state import plain, snapshot


class Checkpointing:
    """Saves the last state and the best model; of several processes, the first alone writes.

    elapsed: seconds that the run has trained, all its sessions together.
    """

    def __init__(self, session: Session, identity: Mapping[str, str]) -> None:
        self.best: Best | None = None
        self._session, self._identity = session, identity
        self._before = 0.0  # seconds trained in earlier sessions
        self._started = self._saved = time.monotonic()

    @property
    def elapsed(self) -> float:
        return self._before + time.monotonic() - self._started

    def due_after_step(self, step: int) -> bool:
        """Whether a checkpoint within the epoch is due."""
        settings = self._session.recipe.checkpoint
        if settings.every_steps is not None and step % settings.every_steps == 0:
            return True
        minutes = settings.every_minutes
        return minutes is not None and time.monotonic() - self._saved >= 60 * minutes

    def due_after_epoch(self, job: Job) -> bool:
        """Whether a checkpoint between two epochs is due; behind the last one it is."""
        run = job.run
        ends = run.epoch == run.steps.passes or run.stop_reason is not None
        return ends or run.epoch % self._session.recipe.checkpoint.every_epochs == 0

    def save(self, job: Job, callbacks: Mapping[str, Any], sizes: list[int]) -> None:
        """Save everything that a resume needs. sizes: of the metrics' files, as far as they belong to it."""
        around = {
            **self._identity,
            "best": self.best,
            "elapsed": self.elapsed,
            "callbacks": callbacks,
            "sizes": sizes,
        }
        state = snapshot(job) | around
        if self._session.world.first:
            save_last(self._session.folder, state)
            self._tell(job, "last", LAST)
        self._saved = time.monotonic()

    def note_best(self, job: Job, metrics: Mapping[str, float]) -> bool:
        """Keep the model if its epoch is the best so far, and return whether it is."""
        recipe, folder = self._session.recipe, self._session.folder
        value = metrics[recipe.monitor]
        if not better(value, self.best["value"] if self.best else None, recipe.monitor_mode):
            return False
        self.best = Best(metric=recipe.monitor, value=value, epoch=job.run.epoch)
        if self._session.world.first:
            folder.update_record(best=self.best)
            save_best(folder, {**self.best, "model": plain(job.run.eval_model).state_dict()})
            self._tell(job, "best", BEST)
        return True

    def _tell(self, job: Job, kind: Literal["last", "best"], file: str) -> None:
        path = str(self._session.folder.checkpoints / file)
        event = Saved(event="checkpoint", kind=kind, path=path, epoch=job.run.epoch, step=job.run.step)
        self._session.console.tell(event)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `save` saved."""
        best, self._before = state["best"], state["elapsed"]
        self.best = best if best and number(best["value"]) is not None else None
