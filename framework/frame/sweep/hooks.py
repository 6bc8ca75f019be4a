"""What Ray Tune calls: for the next trial, for news of one, and whether to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ray.tune import Callback, Stopper
from ray.tune.search import Searcher

if TYPE_CHECKING:
    from .tuning import Controller


class Suggestions(Searcher):
    """Hands the controller's trials to Tune."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self.controller = controller

    def suggest(self, trial_id: str) -> Any:
        config = self.controller.start(trial_id)
        return Searcher.FINISHED if config is None else config

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: `Results` says how it ended."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: sweep.json holds all that goes on."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as in `save`."""


@dataclass(eq=False)
class Results(Callback):
    """Tells the controller how trials end."""

    controller: Controller

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
        result = trial.last_result or {}
        self.controller.end(trial.trial_id, ended=result.get("ended", False), error=result.get("error"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
        reason = str(trial.get_error()).strip().splitlines()
        self.controller.end(trial.trial_id, error=f"its worker died: {reason[-1] if reason else 'no reason given'}")


@dataclass(eq=False)
class StopSweep(Stopper):
    """Ends the sweep when it was asked to."""

    controller: Controller

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002
        return False

    def stop_all(self) -> bool:
        return self.controller.stop.requested
