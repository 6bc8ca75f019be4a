"""Ends the training when a metric no longer gets better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from frame import (
    Callback,
    CallbackComponent,
    Component,
    MetricName,
    Problem,
    TrainingRun,
    UserError,
    better,
    hookimpl,
    mode_of,
    suggest,
)


class EarlyStopping(CallbackComponent):
    """Stops the run, as finished, after `patience` epochs in which a metric has not improved."""

    monitor: MetricName | None = None
    """The metric that is watched; without it `val/acc`, or `test/acc` where nothing is split off for validation."""
    mode: Literal["max", "min"] | None = None
    """Whether higher or lower values are better; without it lower for a loss, higher for all else."""
    patience: int = Field(5, gt=0)
    """Epochs in a row without an improvement that end the training."""
    min_delta: float = Field(0.0, ge=0)
    """By how much the best value must be beaten to count as an improvement."""

    def review(self, epochs: float) -> Iterable[Problem]:
        if self.patience >= epochs:
            message = f"train.epochs is {epochs}: the training ends before it could be stopped"
            yield Problem(message, "patience", level="warning")

    def build(self, run: TrainingRun) -> Patience:
        return Patience(run, self.monitor, self.mode, self.patience, self.min_delta)


class Patience(Callback):
    """Counts the epochs since the best value."""

    def __init__(
        self,
        run: TrainingRun,
        monitor: str | None,
        mode: Literal["max", "min"] | None,
        patience: int,
        min_delta: float,
    ) -> None:
        self.run, self.monitor, self.mode, self.patience, self.min_delta = run, monitor, mode, patience, min_delta
        self.best: float | None = None
        self.waited = 0

    def on_epoch_end(self, metrics: Mapping[str, float]) -> None:
        monitor = self.monitor or ("val/acc" if "val/acc" in metrics else "test/acc")
        if monitor not in metrics:
            raise UserError(f"early_stopping.monitor: there is no metric '{monitor}'{suggest(monitor, metrics)}")
        value = metrics[monitor]
        if better(value, self.best, self.mode or mode_of(monitor)) and self._by_enough(value):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            best = "has been a number" if self.best is None else f"was better than {self.best:.6g}"
            self.run.stop(f"early stopping: no {monitor} of the last {self.waited} epochs {best}")

    def _by_enough(self, value: float) -> bool:
        return self.best is None or abs(value - self.best) > self.min_delta

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.waited = state["best"], state["waited"]


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Offer this module's components by name."""
    return {"early_stopping": EarlyStopping}
